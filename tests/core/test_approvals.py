"""Calls that a person has to approve: waiting, parking, resuming."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

import handlebar
from handlebar.core import Decision, HitlPendingCause, RunConfig, RunControl, Verdict
from handlebar.core.client import HandlebarClient
from handlebar.core.plane import ApprovalStatus, EvaluateRequest
from handlebar.errors import ApprovalPendingError, ConfigError, RunTerminatedError, UnreachableError
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, STOP, ScriptedPlane
from tests.support.waiting import eventually

PENDING = Decision(Verdict.BLOCK, RunControl.TERMINATE, HitlPendingCause("a-1", "r-1"), "A person has to look at it")


class AskingPlane(ScriptedPlane):
    """Asks a person about every call; *answers* are what becomes of the question, look by look."""

    def __init__(self, *answers: ApprovalStatus | Exception) -> None:
        super().__init__(self._decide)
        self.answers = list(answers)
        self.looks = 0

    def approval_status(self, approval_id: str, *, budget: float) -> ApprovalStatus:
        """Give the next answer; the last one for ever."""
        self.looks += 1
        answer = self.answers[min(self.looks, len(self.answers)) - 1] if self.answers else "pending"
        if isinstance(answer, Exception):
            raise answer
        self.approval = answer
        return answer

    def _decide(self, request: EvaluateRequest) -> Decision:
        return {"approved": ALLOW, "denied": BLOCK}.get(self.approval, PENDING)


Client = Callable[..., HandlebarClient]


@pytest.fixture(name="client")
def _client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Clients are shut down after each test."""
    return lambda plane, **config: client_on(plane, monkeypatch, **config)


class TestWaiting:
    def test_a_yes_allows_the_call(self, client: Client) -> None:
        """The decision that follows the answer is returned, and the run goes on."""
        run = client(AskingPlane("pending", "approved")).start_run_sync(RunConfig("1"))
        pending = run.before_tool_sync("refund", {"amount": 5})
        assert run.should_terminate
        assert ALLOW == run.await_approval(pending, timeout=30)
        assert not run.should_terminate
        assert ALLOW == run.before_tool_sync("other", {})

    def test_the_same_call_is_asked_about_again(self, client: Client) -> None:
        """The arguments are those of the first time."""
        plane = AskingPlane("approved")
        run = client(plane).start_run_sync(RunConfig("1"))
        run.await_approval(run.before_tool_sync("refund", {"amount": 5}, ["money"]), timeout=30)
        first, second = plane.named("evaluate")
        assert (first.tool_name, first.args, first.tool_tags) == (second.tool_name, second.args, second.tool_tags)

    def test_a_no_blocks_the_call(self, client: Client) -> None:
        """The run may go on without it."""
        run = client(AskingPlane("denied")).start_run_sync(RunConfig("1"))
        assert BLOCK == run.before_tool_sync("refund", {}, wait_for_approval=30)
        assert not run.should_terminate

    def test_nobody_answers_in_time(self, client: Client) -> None:
        """The question stays open, and its decision comes back."""
        run = client(AskingPlane()).start_run_sync(RunConfig("1"))
        assert PENDING == run.before_tool_sync("refund", {}, wait_for_approval=0.15)
        assert run.should_terminate

    def test_an_expired_question_is_no_refusal(self, client: Client) -> None:
        """The message tells it apart from a person's no, and the run may go on."""
        run = client(AskingPlane("expired")).start_run_sync(RunConfig("1"))
        decision = run.before_tool_sync("refund", {}, wait_for_approval=30)
        assert (Verdict.BLOCK, RunControl.CONTINUE) == (decision.verdict, decision.control)
        assert "expired" in decision.message
        assert isinstance(decision.cause, HitlPendingCause)

    @pytest.mark.parametrize(("answer", "then"), [("approved", ALLOW), ("denied", BLOCK)])
    def test_the_answer_is_to_the_call_that_was_asked_about(
        self, client: Client, answer: ApprovalStatus, then: Decision
    ) -> None:
        """Other calls, held up meanwhile, neither change what is decided nor use the answer up."""
        plane = AskingPlane("pending", answer)
        run = client(plane).start_run_sync(RunConfig("1"))
        pending = run.before_tool_sync("refund", {"amount": 5})
        assert pending is run.before_tool_sync("search", {}, wait_for_approval=0)
        assert then == run.await_approval(pending, timeout=30)
        assert ["refund", "refund"] == [each.tool_name for each in plane.named("evaluate")]

    def test_a_stop_for_good_is_above_an_open_question(self, client: Client) -> None:
        """It was under way when the question was asked; the person's yes does not lift it."""
        plane, asked, stopped = AskingPlane("approved"), threading.Event(), threading.Event()

        def decide(request: EvaluateRequest) -> Decision:
            if request.tool_name == "refund":
                return PENDING
            asked.wait(10)
            return STOP

        plane.answer = decide
        run = client(plane).start_run_sync(RunConfig("1"))
        under_way = threading.Thread(target=lambda: (run.before_tool_sync("wipe", {}), stopped.set()))
        under_way.start()
        assert eventually(lambda: bool(plane.named("evaluate")))
        pending = run.before_tool_sync("refund", {})
        asked.set()
        under_way.join(10)
        assert stopped.is_set()
        assert STOP == run.await_approval(pending, timeout=30)
        assert STOP == run.before_tool_sync("search", {})

    def test_an_open_question_leaves_answers_under_way_alone(self, client: Client) -> None:
        """One of them might have used up a person's answer."""
        plane, asked = AskingPlane("pending"), threading.Event()

        def decide(request: EvaluateRequest) -> Decision:
            if request.tool_name == "refund":
                return PENDING
            asked.wait(10)
            return ALLOW

        plane.answer = decide
        run = client(plane).start_run_sync(RunConfig("1"))
        got: list[Decision] = []
        under_way = threading.Thread(target=lambda: got.append(run.before_tool_sync("search", {})))
        under_way.start()
        assert eventually(lambda: bool(plane.named("evaluate")))
        run.before_tool_sync("refund", {})
        asked.set()
        under_way.join(10)
        assert [ALLOW] == got

    def test_an_open_question_keeps_no_result_back(self, client: Client) -> None:
        """A call that had begun before is decided on as ever when it ends."""
        plane = AskingPlane("pending")
        plane.answer = lambda request: PENDING if request.tool_name == "refund" else ALLOW
        run = client(plane).start_run_sync(RunConfig("1"))
        run.before_tool_sync("search", {})
        run.before_tool_sync("refund", {})
        assert ALLOW == run.after_tool_sync("search", {}, "found")
        assert run.should_terminate

    def test_a_control_plane_that_is_away_is_asked_again(self, client: Client) -> None:
        """Waiting outlives its failure."""
        plane = AskingPlane(UnreachableError("away", reason="network"), "approved")
        run = client(plane).start_run_sync(RunConfig("1"))
        assert ALLOW == run.before_tool_sync("refund", {}, wait_for_approval=30)
        assert 2 == plane.looks

    @pytest.mark.parametrize(
        "stop",
        [lambda client, run: client.shutdown_sync(), lambda client, run: run.end_sync()],
        ids=["shutdown", "end"],
    )
    def test_a_shutdown_or_an_end_ends_the_waiting(self, client: Client, stop: Callable[..., None]) -> None:
        """Whoever waits gets the pending decision."""
        plane = AskingPlane()
        a_client = client(plane)
        run = a_client.start_run_sync(RunConfig("1"))
        pending = run.before_tool_sync("refund", {})
        got: list[Decision] = []
        waiting = threading.Thread(target=lambda: got.append(run.await_approval(pending)))
        waiting.start()
        assert eventually(lambda: plane.looks > 0)
        stop(a_client, run)
        waiting.join(10)
        assert [PENDING] == got

    def test_only_a_pending_decision_of_the_run_can_be_waited_for(self, client: Client) -> None:
        """Any other is refused, at once."""
        run = client(AskingPlane()).start_run_sync(RunConfig("1"))
        for decision in (ALLOW, PENDING):
            with pytest.raises(ConfigError, match="waits for a person"):
                run.await_approval(decision)

    def test_awaiting_leaves_the_loop_free(self, client: Client) -> None:
        """The awaitable hook waits in a worker thread."""
        plane = AskingPlane("pending", "pending", "approved")
        run = client(plane).start_run_sync(RunConfig("1"))

        async def main() -> Decision:
            waiting = asyncio.ensure_future(run.before_tool("refund", {}, wait_for_approval=30))
            while not plane.looks:
                await asyncio.sleep(0.001)
            return await waiting

        assert ALLOW == asyncio.run(main())

    def test_shadow_mode_waits_for_nobody(self, client: Client) -> None:
        """The caller gets an ALLOW at once."""
        run = client(AskingPlane(), enforce_mode="shadow").start_run_sync(RunConfig("1"))
        assert run.before_tool_sync("refund", {}, wait_for_approval=30).allowed


@handlebar.tool(on_approval="raise")
def refund(amount: int) -> str:
    """Pay back."""
    return f"refunded {amount}"


@handlebar.tool(wait_for_approval=30)
def patient_refund(amount: int) -> str:
    """Pay back, after a person has looked at it."""
    return f"refunded {amount}"


@handlebar.tool
def plain_refund(amount: int) -> str:
    """Pay back."""
    return f"refunded {amount}"


class TestGuards:
    def test_a_guard_may_wait(self, client: Client) -> None:
        """The tool runs once a person has said yes."""
        with client(AskingPlane("approved")).run():
            assert "refunded 5" == patient_refund(5)

    def test_without_a_word_on_approvals_the_run_stops(self, client: Client) -> None:
        """A pending approval is a TERMINATE like any other."""
        with pytest.raises(RunTerminatedError), client(AskingPlane()).run():
            plain_refund(5)

    def test_a_parked_run_does_not_end(self, client: Client) -> None:
        """Leaving its block by ApprovalPendingError tells the control plane of no end, and resuming of no start."""
        plane = AskingPlane()
        a_client = client(plane)
        with pytest.raises(ApprovalPendingError) as parked, a_client.run("run-1", actor="u-1", tags={"a": "b"}) as run:
            refund(5)
        assert ("a-1", PENDING) == (parked.value.approval_id, parked.value.decision)
        assert not run.is_ended
        assert [] == plane.named("end")

        plane.approval = "approved"
        with a_client.resume_run(parked.value.resume_token) as resumed:
            assert "refunded 5" == refund(5)
        assert ("run-1", "u-1", {"a": "b"}) == (resumed.run_id, resumed.actor.external_id, resumed.tags)
        assert [("run-1", "success")] == plane.named("end")
        a_client.shutdown_sync()
        assert 1 == plane.kinds().count("run.started")

    def test_a_parked_run_stops_its_clock(self, client: Client) -> None:
        """The control plane is told that a run with a time to live is parked, and that it goes on."""
        plane = AskingPlane()
        a_client = client(plane)
        with pytest.raises(ApprovalPendingError) as parked, a_client.run("run-1", actor="u-1", run_ttl_ms=60_000):
            refund(5)
        with a_client.resume_run(parked.value.resume_token):
            pass
        starts = plane.named("start")
        assert [60_000, None, 60_000] == [start.run_ttl_ms for start in starts]
        assert {"u-1"} == {start.actor.external_id for start in starts}

    def test_a_parked_run_in_async_code(self, client: Client) -> None:
        """`async with` parks it too."""
        plane = AskingPlane()

        async def main() -> None:
            async with client(plane).run():
                refund(5)

        with pytest.raises(ApprovalPendingError):
            asyncio.run(main())
        assert [] == plane.named("end")

    def test_the_error_survives_pickling(self) -> None:
        """A task queue may carry it to another process."""
        error = pickle.loads(pickle.dumps(ApprovalPendingError(PENDING, "a-1", "token")))
        assert ("a-1", "token", PENDING) == (error.approval_id, error.resume_token, error.decision)

    @pytest.mark.parametrize("token", ["", "x", "!!!", "e30", "eyJ2ZXJzaW9uIjogMn0", 3, None])
    def test_what_is_no_token_is_refused(self, client: Client, token: Any) -> None:
        """Untrusted text becomes an error that does not repeat it."""
        with pytest.raises(ConfigError, match="resume_token"):
            client(AskingPlane()).resume_run(token)
