"""The pictures of the README."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import screenshots
from tests.support.chromium import CHROMIUM

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.sqlite,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"),
]


def test_they_can_be_taken_again(tmp_path: Path) -> None:
    """Of the refund desk's own day; and they are small enough to be kept."""
    files = screenshots.take(tmp_path)
    assert {"overview.png", "run.png", "inbox.png"} == {file.name for file in files}
    for file in files:
        assert b"\x89PNG" == file.read_bytes()[:4]
        assert file.stat().st_size < 150_000
