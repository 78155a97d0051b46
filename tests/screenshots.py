"""The pictures of the dashboard in the README, taken of the refund desk's own day: `python -m tests.screenshots`."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.chromium import chromium
from tests.support.control import ROOT
from tests.support.servers import Served, a_key, servers

FOLDER = ROOT / "examples" / "screenshots"
_RULE = "money/no-refund-above-500"
_SIZE = {"width": 1120, "height": 720}


def take(folder: Path) -> list[Path]:
    """Let the refund desk work its tickets, and put a picture of the overview, a run and the inbox into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        database = Path(temporary) / "plane.db"
        _work(database)
        with servers(1, database) as (served,), chromium() as browser:
            page = browser.new_page(viewport=_SIZE, color_scheme="light", reduced_motion="reduce")
            _log_in(page, served)
            overview = _picture(page, folder / "overview.png")
            return [overview, _of_run(page, served, folder), _of_inbox(page, served, folder)]


def _work(database: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "refund_desk.py"), "--planner", "rules", "--workers", "1"]
    command += ["--database", str(database), "--shop", str(database.with_name("shop.db"))]
    subprocess.run(command, cwd=database.parent, env={"PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL)


def _log_in(page: Any, served: Served) -> None:
    page.goto(f"{served.url}/dashboard/")
    page.fill("input[name=key]", a_key(served.file).secret)
    page.click("text=Log in >> nth=-1")
    page.wait_for_selector("text=Waiting for a person")


def _of_run(page: Any, served: Served, folder: Path) -> Path:
    """Picture the decision that a rule has made, with its reasons."""
    page.goto(f"{served.url}/dashboard/runs?rule={_RULE}")
    (path, *_) = re.findall(r'scope="row"><a class="id" href="([^"]+)"', page.content())
    page.goto(f"{served.url}{path}")
    reasons = page.locator("summary:has-text('Why the rule decided so') >> nth=0")
    reasons.click()
    reasons.evaluate("each => each.closest('li').scrollIntoView()")
    return _picture(page, folder / "run.png")


def _of_inbox(page: Any, served: Served, folder: Path) -> Path:
    page.goto(f"{served.url}/dashboard/inbox")
    return _picture(page, folder / "inbox.png")


def _picture(page: Any, file: Path) -> Path:
    page.wait_for_load_state("load")
    page.screenshot(path=file)
    return file


if __name__ == "__main__":
    for made in take(FOLDER):
        sys.stdout.write(f"{made.relative_to(ROOT)}: {made.stat().st_size // 1000} kB\n")
