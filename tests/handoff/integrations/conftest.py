"""A client on a control plane in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handlebar.handoff import HandoffRailClient

pytest.importorskip("sqlalchemy", reason="the extra embedded is not installed")


@pytest.fixture(name="client")
def _client(tmp_path: Path) -> Iterator[HandoffRailClient]:
    with HandoffRailClient(f"sqlite:///{tmp_path}/handoffs.db") as client:
        yield client
