"""One governed invocation of an agent: its hooks and its end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from handlebar.core import (
    FAILCLOSED_DECISION,
    FAILOPEN_DECISION,
    LLMMessage,
    LLMResponse,
    ModelInfo,
    Run,
    RunConfig,
    TokenUsage,
    Tool,
    Verdict,
)
from handlebar.core.plane import EvaluateRequest, Lockdown
from handlebar.errors import ConfigError, UnreachableError
from tests.support.clients import client_on
from tests.support.forks import in_child
from tests.support.planes import ALLOW, BLOCK, STOP, ScriptedPlane

Start = Callable[..., Run]


@pytest.fixture(name="plane")
def _plane() -> ScriptedPlane:
    return ScriptedPlane()


@pytest.fixture(name="start")
def _start(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Start a run, of a client with the given config fields."""
    clients = []

    def start(run: RunConfig | None = None, **config: Any) -> Run:
        client = client_on(plane, monkeypatch, **config)
        clients.append(client)
        return client.start_run_sync(run or RunConfig("run-1"))

    yield start
    for client in clients:
        client.shutdown_sync()


class TestToolHooks:
    """before_tool and after_tool."""

    def test_the_decision_is_the_control_planes(self, plane: ScriptedPlane, start: Start) -> None:
        """A BLOCK comes through as it was given, with its reason."""
        plane.answer = BLOCK
        run = start()
        assert run.before_tool_sync("issue_refund", {"amount": 900}) == BLOCK
        assert run.decisions == [BLOCK]
        assert not run.should_terminate

    def test_the_question_holds_the_call(self, plane: ScriptedPlane, start: Start) -> None:
        """Tool, arguments, actor, run tags and sizes reach the control plane."""
        run = start(RunConfig("run-1", actor="u-1", tags={"team": "a"}))
        run.before_tool_sync("issue_refund", {"amount": 900}, ["payments"])
        (asked,) = plane.named("evaluate")
        assert ("tool.before", "run-1", "agent-1") == (asked.phase, asked.run_id, asked.agent_id)
        assert ("issue_refund", ("payments",)) == (asked.tool_name, asked.tool_tags)
        assert {"amount": 900} == asked.args.value()
        assert "u-1" == asked.actor.external_id
        assert {"team": "a"} == asked.tags
        assert {"bytes_in": len('{"amount":900}')} == asked.metrics

    def test_registered_tags_stand_in_for_tags_not_given(self, plane: ScriptedPlane, start: Start) -> None:
        """Tags are those of the call, else those registered for the name, else none."""
        run = start(tools=[Tool("search", tags=["read"])])
        run.before_tool_sync("search", {})
        run.before_tool_sync("search", {}, ["other"])
        run.before_tool_sync("unknown", {})
        assert [("read",), ("other",), ()] == [asked.tool_tags for asked in plane.named("evaluate")]

    def test_after_tool_reports_result_and_duration(self, plane: ScriptedPlane, start: Start) -> None:
        """The second question holds what the tool gave and how long it took."""
        run = start()
        run.after_tool_sync("search", {"q": "x"}, [1, 2, 3], duration_ms=12.5)
        (asked,) = plane.named("evaluate")
        assert [1, 2, 3] == asked.result.value()
        assert 12.5 == asked.metrics["duration_ms"]
        assert 3 == asked.metrics["records_out"]

    def test_after_tool_keeps_history_also_of_errors(self, start: Start) -> None:
        """A failed call is a step too."""
        run = start()
        error = ValueError("no such order")
        run.after_tool_sync("search", {"q": "x"}, None, error=error)
        (step,) = run.get_history()
        assert ("search", error) == (step.tool_name, step.error)
        assert 1 == run.current_step_index

    @pytest.mark.parametrize(
        ("error", "recorded"),
        [
            (ValueError("no such order"), ("ValueError", "no such order")),
            ('no "such" order', (None, 'no "such" order')),
            ({"code": 7}, (None, '{"code":7}')),
        ],
    )
    def test_an_error_is_recorded_in_its_own_words(
        self, plane: ScriptedPlane, start: Start, error: Any, recorded: tuple[str | None, str]
    ) -> None:
        """An exception gives its name and its text; text is recorded as it is, anything else as JSON."""
        run = start()
        run.after_tool_sync("search", {}, None, error=error)
        run.end_sync()
        (told,) = [event.data for event in plane.events if event.kind == "tool.result"]
        assert recorded == (told.error.name, told.error.message)

    @pytest.mark.parametrize("name", ["", None, 7])
    def test_a_tool_without_a_name_is_refused_at_the_door(self, start: Start, name: Any) -> None:
        """A call that no rule could match does not get through unnamed."""
        with pytest.raises(ConfigError, match="tool_name"):
            start().before_tool_sync(name, {})

    @pytest.mark.parametrize("tags", ["payments", [1]])
    def test_tags_of_the_wrong_type_are_refused_at_the_door(self, start: Start, tags: Any) -> None:
        """A bare str would be taken apart into letters that no rule matches."""
        with pytest.raises(ConfigError, match="tool_tags"):
            start().before_tool_sync("search", {}, tags)

    def test_arguments_changed_afterwards_do_not_change_the_record(self, plane: ScriptedPlane, start: Start) -> None:
        """What is recorded is what was true at the hook."""
        run = start()
        args = {"amount": 1}
        run.before_tool_sync("issue_refund", args)
        args["amount"] = 1000
        run.end_sync()
        (event,) = [event for event in plane.events if event.kind == "tool.decision"]
        assert '{"amount":1}' == event.data.args.text

    def test_an_argument_that_json_cannot_express_is_asked_about_all_the_same(
        self, plane: ScriptedPlane, start: Start
    ) -> None:
        """An odd argument never turns into an ALLOW by itself: the fault that this SDK exists for."""
        plane.answer = BLOCK
        run = start(fail_closed=False)
        for odd in (object(), {1, 2}, b"\xff", float("nan"), lambda: None, {"a": threading.Lock()}):
            assert Verdict.BLOCK is run.before_tool_sync("issue_refund", {"x": odd}).verdict
        assert 6 == len(plane.named("evaluate"))


class TestStopping:
    """TERMINATE, the end, and lockdown."""

    def test_terminate_is_latched(self, plane: ScriptedPlane, start: Start) -> None:
        """After a TERMINATE every hook answers the same, and nobody is asked any more."""
        plane.answer = STOP
        run = start()
        assert run.before_tool_sync("a", {}) == STOP
        plane.answer = ALLOW
        assert run.before_tool_sync("b", {}) == STOP
        assert run.after_tool_sync("b", {}, None) == STOP
        assert run.should_terminate
        assert 1 == len(plane.named("evaluate"))

    def test_a_terminate_stands_above_an_answer_under_way(self, plane: ScriptedPlane, start: Start) -> None:
        """A parallel call whose ALLOW comes after another's TERMINATE is blocked."""
        waiting, stopped = threading.Event(), threading.Event()

        def answer(request: EvaluateRequest) -> Any:
            if request.tool_name == "stop":
                return STOP
            waiting.set()
            assert stopped.wait(10)
            return ALLOW

        plane.answer = answer
        run = start()
        got: list[Any] = []
        slow = threading.Thread(target=lambda: got.append(run.before_tool_sync("slow", {})))
        slow.start()
        assert waiting.wait(10)
        run.before_tool_sync("stop", {})
        stopped.set()
        slow.join()
        assert got == [STOP]

    @pytest.mark.parametrize(("mode", "verdict"), [("enforce", "BLOCK"), ("shadow", "ALLOW"), ("off", "ALLOW")])
    def test_an_ended_run_is_no_way_round_the_policy(
        self, plane: ScriptedPlane, start: Start, mode: str, verdict: str
    ) -> None:
        """Tool hooks on an ended run block and terminate, but in shadow and off mode, and make no call."""
        run = start(enforce_mode=mode)
        run.end_sync()
        calls = len(plane.calls)
        for decision in (run.before_tool_sync("a", {}), run.after_tool_sync("a", {}, 1)):
            assert verdict == decision.verdict.value
            assert (verdict == "BLOCK") == decision.terminates
        assert calls == len(plane.calls)

    def test_hooks_on_an_ended_run_emit_nothing(self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is recorded after run.ended, and what would have been is counted."""
        client = client_on(plane, monkeypatch)
        run = client.start_run_sync(RunConfig("run-1"))
        run.end_sync()
        run.before_llm_sync([LLMMessage("user", "hi")])
        run.after_llm_sync(LLMResponse([{"type": "text", "text": "yo"}], ModelInfo("m")))
        run.before_tool_sync("a", {})
        assert {"ended": 3} == client.stats().events_dropped
        client.drain_sync()
        assert ["run.started", "run.ended"] == plane.kinds()

    def test_ending_twice_ends_once(self, plane: ScriptedPlane, start: Start) -> None:
        """The first status stays; one event, one call."""
        run = start()
        run.end_sync("error")
        run.end_sync("success")
        assert "error" == run.status
        assert [("run-1", "error")] == plane.named("end")
        assert 1 == plane.kinds().count("run.ended")

    def test_ending_from_many_threads_ends_once(self, plane: ScriptedPlane, start: Start) -> None:
        """Whoever comes first ends the run."""
        run = start()
        threads = [threading.Thread(target=run.end_sync) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 == len(plane.named("end"))

    def test_an_unknown_status_is_refused(self, start: Start) -> None:
        """A slip in the status does not end the run with it."""
        run = start()
        with pytest.raises(ConfigError, match="'success', 'error', 'interrupted', 'timeout'"):
            run.end_sync("done")  # type: ignore[arg-type]  # the mistake is the point
        assert not run.is_ended

    def test_lockdown_at_start_blocks_everything(self, plane: ScriptedPlane, start: Start) -> None:
        """The reason reaches the caller, and the control plane is not asked."""
        plane.lockdown = Lockdown(active=True, reason="stolen key")
        decision = start().before_tool_sync("a", {})
        assert ("BLOCK", "TERMINATE", "LOCKDOWN") == (decision.verdict, decision.control, decision.cause.kind)
        assert "stolen key" in decision.message
        assert [] == plane.named("evaluate")

    def test_lockdown_is_not_enforced_in_shadow_mode(self, plane: ScriptedPlane, start: Start) -> None:
        """Shadow mode hands out an ALLOW and keeps the real decision in the log."""
        plane.lockdown = Lockdown(active=True)
        run = start(enforce_mode="shadow")
        assert run.before_tool_sync("a", {}).allowed
        assert [decision.verdict for decision in run.decisions] == [Verdict.BLOCK]
        assert not run.should_terminate


class TestTimeToLive:
    """Runs that end by themselves."""

    def test_a_run_ends_when_its_time_is_over(self, plane: ScriptedPlane, start: Start) -> None:
        """Nobody needs to touch the run for it to end with status timeout."""
        run = start(RunConfig("run-1", run_ttl_ms=50))
        deadline = time.monotonic() + 10
        while not plane.named("end") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [("run-1", "timeout")] == plane.named("end")
        assert "timeout" == run.status

    def test_an_overdue_run_blocks_before_the_timer_gets_to_it(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The deadline holds at the hook itself, not only where a thread has noticed it."""
        run = start(RunConfig("run-1", run_ttl_ms=1e6))
        moved = time.monotonic() + 2000
        monkeypatch.setattr("handlebar._plumbing.clock.monotonic", lambda: moved)
        assert not run.before_tool_sync("a", {}).allowed
        assert "timeout" == run.status


class TestModes:
    """Shadow, off, fail-open, fail-closed."""

    def test_shadow_decides_and_records_but_allows(self, plane: ScriptedPlane, start: Start) -> None:
        """The control plane is asked, the event tells the real decision, the caller gets an ALLOW."""
        plane.answer = STOP
        run = start(enforce_mode="shadow")
        assert run.before_tool_sync("a", {}).allowed
        assert run.before_tool_sync("a", {}).allowed
        run.end_sync()
        assert 2 == len(plane.named("evaluate"))
        events = [event for event in plane.events if event.kind == "tool.decision"]
        assert [event.data.verdict for event in events] == [Verdict.BLOCK] * 2

    def test_off_asks_nobody_and_records_nothing(self, plane: ScriptedPlane, start: Start) -> None:
        """Mode off makes no call at all."""
        plane.answer = BLOCK
        run = start(enforce_mode="off")
        messages = [LLMMessage("user", "hi")]
        assert messages is run.before_llm_sync(messages)
        assert run.before_tool_sync("a", {}).allowed
        assert run.after_tool_sync("a", {}, 1).allowed
        run.end_sync()
        assert [] == plane.calls
        assert [] == plane.events

    @pytest.mark.parametrize(("fail_closed", "expected"), [(False, FAILOPEN_DECISION), (True, FAILCLOSED_DECISION)])
    @pytest.mark.parametrize("fault", [UnreachableError("gone", reason="network"), ZeroDivisionError()])
    def test_where_nobody_can_be_asked_the_fail_mode_decides(
        self, plane: ScriptedPlane, start: Start, fail_closed: bool, expected: Any, fault: Exception
    ) -> None:
        """A dead control plane, and a fault of our own, give the stock decision and no exception."""
        plane.answer = fault
        assert expected == start(fail_closed=fail_closed).before_tool_sync("a", {})

    @pytest.mark.parametrize(("fail_closed", "expected"), [(False, FAILOPEN_DECISION), (True, FAILCLOSED_DECISION)])
    def test_an_unregistered_agent_follows_the_fail_mode(
        self, plane: ScriptedPlane, start: Start, fail_closed: bool, expected: Any
    ) -> None:
        """A run starts although the agent could not be registered."""
        plane.registering = UnreachableError("gone", reason="network")
        assert expected == start(fail_closed=fail_closed).before_tool_sync("a", {})

    def test_a_late_registration_brings_the_control_plane_in(self, plane: ScriptedPlane, start: Start) -> None:
        """Once the agent is registered in the background, a run that began without it is governed and recorded."""
        plane.registering = UnreachableError("gone", reason="network")
        plane.answer = BLOCK
        run = start()
        assert run.before_tool_sync("a", {}) == FAILOPEN_DECISION
        plane.registering = None
        deadline = time.monotonic() + 20
        while run.before_tool_sync("a", {}) != BLOCK and time.monotonic() < deadline:
            time.sleep(0.02)
        run.end_sync()
        assert 1 == len(plane.named("start"))
        assert "run.started" == plane.kinds()[0]
        assert run.decisions[-1] == BLOCK

    def test_celerys_soft_time_limit_passes_through(self, plane: ScriptedPlane, start: Start) -> None:
        """An exception that a signal handler throws into our call reaches the task that it is meant for."""
        limit = type("SoftTimeLimitExceeded", (Exception,), {})
        plane.answer = limit()
        with pytest.raises(limit):
            start().before_tool_sync("a", {})


class TestModelHooks:
    """before_llm and after_llm."""

    @pytest.mark.parametrize("bad", ["hello", {"role": "user", "content": "hello"}, None, 3])
    def test_what_is_no_list_of_messages_is_refused(self, start: Start, bad: Any) -> None:
        """The error says what is allowed, and does not repeat what was said."""
        with pytest.raises(ConfigError, match="a list of LLMMessage objects") as refused:
            start().before_llm_sync(bad)
        assert "hello" not in str(refused.value)

    def test_what_is_no_response_is_refused(self, start: Start) -> None:
        """A model client's own object has to be translated first."""
        with pytest.raises(ConfigError, match="an LLMResponse"):
            start().after_llm_sync("hello")  # type: ignore[arg-type]  # what is tested

    def test_each_message_is_recorded(self, plane: ScriptedPlane, start: Start) -> None:
        """One event a message, its kind by its role, structured content as JSON."""
        run = start()
        run.before_llm_sync([LLMMessage("system", "be kind"), LLMMessage("user", [{"type": "text", "text": "hé"}])])
        run.end_sync()
        told = [event.data for event in plane.events if event.kind == "message.raw.created"]
        assert [("system", "observation"), ("user", "input")] == [(data.role, data.kind) for data in told]
        assert ["be kind", '[{"type":"text","text":"hé"}]'] == [data.content for data in told]

    def test_usage_is_recorded_and_sent_once(self, plane: ScriptedPlane, start: Start) -> None:
        """Tokens go along with the next question, and with that one only."""
        run = start()
        answer = LLMResponse([{"type": "text", "text": "ok"}], ModelInfo("m"), usage=TokenUsage(10, 3))
        run.after_llm_sync(answer)
        run.after_llm_sync(answer)
        run.before_tool_sync("a", {})
        run.before_tool_sync("a", {})
        first, second = plane.named("evaluate")
        assert (20, 6) == (first.metrics["llm_tokens_in"], first.metrics["llm_tokens_out"])
        assert "llm_tokens_in" not in second.metrics
        run.end_sync()
        assert 2 == plane.kinds().count("llm.result")

    def test_output_text_is_derived(self, plane: ScriptedPlane, start: Start) -> None:
        """Text parts are joined; other parts are left out."""
        content = [{"type": "text", "text": "a"}, {"type": "tool_call", "args": {}}, {"type": "text", "text": "b"}]
        assert "ab" == start().after_llm_sync(LLMResponse(content, ModelInfo("m"))).output_text

    def test_no_usage_no_llm_result(self, plane: ScriptedPlane, start: Start) -> None:
        """Without token counts only the message is recorded."""
        run = start()
        run.after_llm_sync(LLMResponse([{"type": "text", "text": "a"}], ModelInfo("m")))
        run.end_sync()
        assert ["run.started", "message.raw.created", "run.ended"] == plane.kinds()


class TestThreadsAndForks:
    """Runs that several threads or processes touch."""

    def test_tokens_are_never_sent_twice(self, plane: ScriptedPlane, start: Start) -> None:
        """However many threads ask at once, the sum that arrives is the sum that was used."""
        run = start()
        answer = LLMResponse([], ModelInfo("m"), usage=TokenUsage(1, 0))

        def work() -> None:
            for _ in range(100):
                run.after_llm_sync(answer)
                run.before_tool_sync("a", {})

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 800 == sum(asked.metrics.get("llm_tokens_in", 0) for asked in plane.named("evaluate"))

    def test_a_child_of_a_fork_does_not_end_its_parents_run(self, plane: ScriptedPlane, start: Start) -> None:
        """Leaving in the child tells the control plane nothing; the parent's run goes on."""
        run = start()

        def child() -> str:
            governed = run.before_tool_sync("a", {}).allowed
            run.end_sync("error")
            return f"{governed} {run.status} {plane.named('end')} {os.getpid() != run._process}"

        assert "True error [] True" == in_child(child)
        assert "active" == run.status
