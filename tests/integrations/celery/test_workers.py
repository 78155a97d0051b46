"""The Celery integration under real workers, with a real broker."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("celery", reason="Celery is not installed: pip install handlebar[celery]")

from tests.integrations.celery.conftest import Desk
from tests.support.celery_workers import PATIENCE

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo", "gevent"])
def test_pools(desk: Desk, pool: str) -> None:
    """Check 15: each task has a run of its own under the publisher's session and actor, and no event is lost."""
    if pool == "gevent":
        pytest.importorskip("gevent", reason="gevent is not installed")
    with desk.worker(pool, "-c", "1" if pool == "solo" else "4") as worker:
        with desk.module.client.run("the-web", session_id="s-1", actor="u-1"):
            sent = [desk.module.look.delay(seconds=0.05) for _ in range(24)]
        said = [result.get(timeout=PATIENCE) for result in sent]
        with desk.module.client.run("again", session_id="s-2", actor="u-1"):
            last = [desk.module.look.delay() for _ in range(4)]
        [result.get(timeout=PATIENCE) for result in last]
        worker.stop()
    assert {("s-1", "u-1", True, "the-web")} == {
        (each["session"], each["actor"], each["same"], each["tags"]["handlebar.parent_run"]) for each in said
    }
    assert 24 == len({each["run"] for each in said})
    assert {"run.started": 25, "run.ended": 25} == Counter(
        event["kind"] for event in desk.events() if event["sessionId"] == "s-1"
    )
    assert {"run.started": 5, "run.ended": 5} == Counter(
        event["kind"] for event in desk.events() if event["sessionId"] == "s-2"
    )
