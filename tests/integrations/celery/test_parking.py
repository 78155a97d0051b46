"""Tasks that wait for a person's answer without holding a worker."""

from __future__ import annotations

import pytest

pytest.importorskip("celery", reason="Celery is not installed: pip install handlebar[celery]")

from tests.integrations.celery.conftest import Desk
from tests.support.celery_workers import PATIENCE
from tests.support.http_server import ALLOW, Answer

pytestmark = pytest.mark.slow

ASK = {
    **ALLOW,
    "verdict": "BLOCK",
    "cause": {"kind": "HITL_PENDING", "approvalId": "a-1", "ruleId": "r-1"},
    "message": "A person is asked",
}


def looks(desk: Desk) -> int:
    """Return how often it was asked whether the person has answered."""
    return sum("a-1" in request.path for request in desk.plane.requests)


def test_answered(desk: Desk) -> None:
    """The task parks its run, leaves its only worker to others, and goes on with the same run after the answer."""
    module, plane = desk.module, desk.plane
    plane.decision = ASK
    plane.behave(Answer(200, {"status": "pending"}), path="a-1")
    with desk.worker("prefork", "-c", "1"):
        with module.client.run("web", session_id="s", actor="u"):
            waits = module.refund_order.delay("A-17")
        assert plane.wait_for(lambda: 2 <= looks(desk), PATIENCE)
        assert "system" == module.look.delay().get(timeout=PATIENCE)["actor"]
        parked = next(run for run in desk.runs("s") if run != "web")
        assert [] == desk.endings(parked)
        plane.decision = ALLOW
        plane.behave(Answer(200, {"status": "approved"}), path="a-1")
        said = waits.get(timeout=PATIENCE)
        assert desk.all_have_ended("s", 2)
    assert ("A-17 refunded", parked, "u", "s") == (said["said"], said["run"], said["actor"], said["session"])
    assert ["success"] == desk.endings(parked)
    # The code was not run for nothing: once it asked, once it went on.
    assert 2 == sum(request.path.endswith("/evaluate") and b"tool.before" in request.body for request in plane.requests)


def test_nobody_answers(desk: Desk) -> None:
    """When the time is over the task fails, and its run ends as a timeout."""
    desk.plane.decision = ASK
    desk.plane.behave(Answer(200, {"status": "pending"}), path="a-1")
    with desk.worker("threads", "-c", "1"):
        with desk.module.client.run("web", session_id="s"):
            waits = desk.module.refund_in_a_hurry.delay("A-17")
        with pytest.raises(TimeoutError, match="Nobody has answered"):
            waits.get(timeout=PATIENCE)
        assert desk.all_have_ended("s", 2)
    assert ["timeout"] == [desk.endings(run)[0] for run in desk.runs("s") if run != "web"]
