"""Where the runs of tasks come from, in every way in which Celery publishes one."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("celery", reason="Celery is not installed: pip install handlebar[celery]")

from celery import chain, chord, group

from handlebar.core.current import get_current_run
from tests.integrations.celery.conftest import Desk
from tests.support.celery_workers import PATIENCE
from tests.support.http_server import Slow

pytestmark = pytest.mark.slow


def parents(results: list[dict[str, Any]]) -> list[str]:
    """Return the run that each was published in."""
    return [result["tags"]["handlebar.parent_run"] for result in results]


def test_workflows(desk: Desk) -> None:
    """Check 18: retries, chains, groups, chords, replacements and tasks by name are one run each, of one session."""
    module, look = desk.module, desk.module.look
    with desk.worker("prefork", "-c", "4"):
        with module.client.run("web", session_id="s", actor="u"):
            retried, tried_again = module.twice_more.delay(), module.once_more.delay()
            chained = chain(look.s(), look.s(), look.s()).delay()
            grouped = group(look.s() for _ in range(3)).delay()
            joined = chord([look.s(), look.s()], look.s()).delay()
            replaced = module.another_instead.delay()
            named = desk.app.send_task(f"{module.__name__}.look", headers={"own": "kept"})
        links = [chained.parent.parent, chained.parent, chained]
        chain_said = [each.get(timeout=PATIENCE) for each in links]
        group_said = grouped.get(timeout=PATIENCE)
        others = [each.get(timeout=PATIENCE) for each in (retried, tried_again, joined, replaced, named)]
        # One of the web, attempts 3 and 2, a chain of 3, a group of 3, a chord of 2 and 1, 2 for one replaced, 1.
        assert desk.all_have_ended("s", 1 + 3 + 2 + 3 + 3 + 3 + 2 + 1)
    said = [*chain_said, *group_said, *others]
    assert {("s", "u", "web")} == {(it["session"], it["actor"], it["tags"]["handlebar.root_run"]) for it in said}
    assert ["web", chain_said[0]["run"], chain_said[1]["run"]] == parents(chain_said)
    assert ["web"] * 3 == parents(group_said)
    assert ["2", "1"] == [it["tags"]["celery.retries"] for it in others[:2]]
    assert (retried.id, "web") == (others[0]["tags"]["celery.task_id"], others[0]["tags"]["handlebar.parent_run"])


def test_options(desk: Desk) -> None:
    """A task that is no run passes on where it comes from; one that opted out knows nothing; without a publisher's
    run a task acts for the system.
    """
    module = desk.module
    with desk.worker("threads", "-c", "2"):
        with module.client.run("web", session_id="s", actor="u"):
            sent = [module.look_only.delay(), module.look_away.delay(), module.open_one.delay()]
        only, away, opened = (each.get(timeout=PATIENCE) for each in sent)
        alone = module.look.delay().get(timeout=PATIENCE)
    assert [None, None] == [only["run"], away["run"]]
    assert ("s", "u", "web") == (opened["session"], opened["actor"], opened["tags"]["handlebar.parent_run"])
    assert (None, "system") == (alone["session"], alone["actor"])
    assert "handlebar.parent_run" not in alone["tags"]


def test_sealed(desk: Desk) -> None:
    """A worker with a key does not believe what was published without it."""
    key, web = "a key that the publisher has not", desk.module.client.run("web", session_id="s", actor="u")
    with desk.worker("solo", DESK_KEY=key), web:
        said = desk.module.look.delay().get(timeout=PATIENCE)
    assert (None, "system") == (said["session"], said["actor"])


def test_eager(desk: Desk) -> None:
    """Check 18: an eager task is a run inside the publisher's, which then is current again, whatever the task does."""
    module = desk.module
    with module.client.run("web", session_id="s", actor="u") as web:
        inner = module.look.apply().get()
        assert get_current_run() is web
        failed = module.fail.apply()
        assert get_current_run() is web
    assert ("s", "u", "web") == (inner["session"], inner["actor"], inner["tags"]["handlebar.parent_run"])
    assert "FAILURE" == failed.state
    assert desk.all_have_ended("s", 3)
    assert ["success", "error"] == [desk.endings(run)[0] for run in desk.runs("s")[1:]]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_that_are_replaced(desk: Desk, method: str) -> None:
    """Check 19: children that each execute one task lose no event, while the main process emits, too."""
    desk.plane.behave(Slow(0.02))
    words = ["-c", "4", "--max-tasks-per-child=1"]
    with desk.worker("prefork", *words, DESK_START_METHOD=method, DESK_MAIN_EMITS="1"):
        with desk.module.client.run("web", session_id="s"):
            sent = [desk.module.look.delay() for _ in range(60)]
        # A new interpreter for each task takes half a second of a processor.
        pids = {each.get(timeout=6 * PATIENCE)["pid"] for each in sent}
        assert desk.all_have_ended("s", 61)
    assert 60 == len(pids)
