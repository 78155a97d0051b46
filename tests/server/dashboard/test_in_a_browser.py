"""The dashboard in a real browser: scripts at work, nothing forbidden tried, nothing fetched from elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import handlebar
from handlebar.core.client import HandlebarClient
from handlebar.core.config import RunConfig
from tests.support.chromium import CHROMIUM, chromium
from tests.support.control import a_policy, a_rule
from tests.support.servers import Served, a_key, servers

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PAGES = ["", "runs", "inbox", "policies", "edit-policy", "agents", "handoffs", "keys", "webhooks"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.sqlite,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module", name="served")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a rule that asks a person, and one that blocks."""
    asks = a_rule({"kind": "toolName", "op": "eq", "value": "pay"}, "hitl", name="Ask before paying")
    with servers(1, tmp_path_factory.mktemp("dashboard") / "plane.db", a_policy(asks)) as (one,):
        yield one


@pytest.fixture(scope="module", name="browser")
def _browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(name="page")
def _page(browser: Any, served: Served) -> Iterator[Any]:
    """A page of somebody who has logged in; what it must not do is told at the end."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    faults: list[str] = []
    page.on("console", lambda told: faults.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith((served.url, "data:")) else faults.append(asked.url))
    log_in(page, served)
    yield page
    context.close()
    assert [] == faults


def log_in(page: Any, served: Served) -> None:
    """Log in with a new admin's key."""
    page.goto(f"{served.url}/dashboard/")
    page.fill("input[name=key]", a_key(served.file).secret)
    page.click("text=Log in >> nth=-1")
    page.wait_for_selector("text=Waiting for a person")


@pytest.fixture(name="client")
def _client(served: Served) -> Iterator[HandlebarClient]:
    with served.client("refund-desk") as client:
        yield client


def test_a_run_is_watched_and_its_question_answered(served: Served, page: Any, client: HandlebarClient) -> None:
    """A live run shows what comes; the answer given in the inbox lets the waiting call go through."""
    run = client.start_run_sync(RunConfig("live-run", actor="user-7"))
    run.before_llm_sync([{"role": "user", "content": "Pay me, please"}])  # type: ignore[list-item]
    done: list[Any] = []

    @handlebar.tool(wait_for_approval=60)
    def pay(amount: int) -> str:
        return f"paid {amount}"

    page.goto(f"{served.url}/dashboard/runs/live-run")
    worker = threading.Thread(target=lambda: done.append(run.call_tool(pay, 40)))
    worker.start()
    page.wait_for_selector("text=May pay run?")
    page.goto(f"{served.url}/dashboard/inbox")
    page.wait_for_selector('text="amount": 40')
    page.fill("input[name=note] >> nth=0", "fine with me")
    page.click("text=Approve")
    page.wait_for_selector("text=Your answer counts")
    worker.join(60)
    assert ["paid 40"] == done
    page.goto(f"{served.url}/dashboard/runs/live-run")
    page.wait_for_selector("text=pay: success")
    run.end_sync("success")
    page.wait_for_selector("text=The run ended: success")


def test_the_inbox_is_live(served: Served, page: Any, client: HandlebarClient) -> None:
    """A question that comes while one looks appears by itself."""
    page.goto(f"{served.url}/dashboard/inbox")
    run = client.start_run_sync(RunConfig("another-run"))
    run.before_tool_sync("pay", {"amount": 77})
    page.wait_for_selector('text="amount": 77')
    run.end_sync("success")


def test_a_policy_is_edited_badly_and_well(served: Served, page: Any) -> None:
    """What the loader says appears while one types; what is good is put in force."""
    page.goto(f"{served.url}/dashboard/edit-policy")
    page.fill("textarea", "name: x\nrulez: []")
    page.wait_for_selector("text=Line 2: rulez")
    page.fill("textarea", json.dumps(a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "x"}), name="Browser")))
    page.wait_for_selector("text=No problems.")
    page.click("text=Put it in force")
    page.wait_for_selector("text=In force from the next decision on")


def test_a_policy_is_tried(served: Served, page: Any, client: HandlebarClient) -> None:
    """On one call and on what was called lately, before it is saved; what was typed stays."""
    run = client.start_run_sync(RunConfig("tried-run"))
    run.before_tool_sync("look", {"amount": 900})
    run.end_sync()
    client.shutdown_sync()
    page.goto(f"{served.url}/dashboard/edit-policy")
    large = {"kind": "toolArg", "type": "number", "path": "amount", "op": "gt", "value": 500}
    page.fill("textarea", json.dumps(a_policy(a_rule(large, tool="look"), name="Tried")))
    page.fill("input[name=tool]", "look")
    page.fill("input[name=args]", '{"amount": 501}')
    page.click("text=Try this call")
    page.wait_for_selector("h2:has-text('That call: block')")
    page.click("text=Decide them again")
    page.wait_for_selector("h2:has-text('1 would change')")
    assert "Tried" in page.input_value("textarea")


def test_locking_down(served: Served, page: Any, client: HandlebarClient) -> None:
    """From the page to the next decision."""
    client.ready_sync()
    page.goto(f"{served.url}/dashboard/agents")
    page.click("summary:has-text('Lock down')")
    page.fill("input[name=reason]", "fraud")
    page.fill("input[name=tool]", "search")
    page.click("button.danger:has-text('Lock down')")
    page.wait_for_selector("text=Locked down: in force")
    run = client.start_run_sync(RunConfig("locked-run"))
    assert not run.before_tool_sync("search", {}).allowed
    page.click("text=Lift the lockdown")
    page.wait_for_selector("text=Lifted.")
    run.end_sync()


def test_logging_out(served: Served, page: Any) -> None:
    """Leaves nothing to go back to."""
    page.click("text=Log out")
    page.wait_for_selector("input[name=key]")
    page.goto(f"{served.url}/dashboard/runs")
    page.wait_for_selector("input[name=key]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(served: Served, browser: Any, client: HandlebarClient, scheme: str) -> None:
    """Axe finds nothing to complain of on any page, in light and in dark, on a phone."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    run = client.start_run_sync(RunConfig(f"axe-run-{scheme}"))
    run.before_tool_sync("pay", {"amount": 5})
    run.end_sync()
    client.shutdown_sync()
    # Our policy would keep axe itself out.
    context = browser.new_context(bypass_csp=True, color_scheme=scheme, viewport={"width": 390, "height": 800})
    page = context.new_page()
    complaints = []
    page.goto(f"{served.url}/dashboard/log-in")
    complaints += _complaints(axe.run(page))
    log_in(page, served)
    for name in (*PAGES, f"runs/axe-run-{scheme}"):
        page.goto(f"{served.url}/dashboard/{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} is too wide"
        complaints += [f"{name}: {each}" for each in _complaints(axe.run(page))]
    context.close()
    assert [] == complaints


def _complaints(found: Any) -> list[str]:
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found.response["violations"]]


def test_by_keyboard(served: Served, page: Any) -> None:
    """The first stop leads past the navigation, and what has the focus can be seen."""
    page.goto(f"{served.url}/dashboard/runs")
    page.keyboard.press("Tab")
    assert "Skip to the content" == page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    assert "content" == page.evaluate("document.activeElement.id")


def test_hostile_text_breaks_no_layout(served: Served, page: Any, client: HandlebarClient) -> None:
    """Nor does it run."""
    hostile = "<img src=x onerror=alert(1)>\u202e\x1b[31m" + "W" * 100_000
    run = client.start_run_sync(RunConfig("hostile-run", actor=hostile[:200]))
    run.before_llm_sync([{"role": "user", "content": hostile}])  # type: ignore[list-item]
    run.before_tool_sync("pay", {hostile[:300]: hostile})
    run.end_sync()
    client.shutdown_sync()
    for name in ("runs/hostile-run", "runs", "inbox", ""):
        page.goto(f"{served.url}/dashboard/{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
