"""What the tests of the examples share."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(autouse=True)
def _examples_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts are found as they are when the script is started."""
    monkeypatch.syspath_prepend(EXAMPLES)
