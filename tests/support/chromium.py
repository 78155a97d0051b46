"""The Chromium of the machine, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""Where it is; None where there is none."""

_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_QUIET += ["--disable-component-update", "--disable-sync"]


@contextmanager
def chromium() -> Iterator[Any]:
    """Start it, as one that asks nobody anything by itself; end it at the end."""
    from playwright.sync_api import sync_playwright  # not every interpreter has it

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        yield browser
        browser.close()
