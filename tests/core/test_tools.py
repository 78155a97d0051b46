"""Guarded tools: functions that ask before they run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import handlebar
from handlebar.core import Run, RunConfig, RunControl, Tool
from handlebar.core.client import HandlebarClient
from handlebar.core.plane import EvaluateRequest
from handlebar.core.schema.governance import Decision
from handlebar.errors import ConfigError, NoCurrentRunError, RunTerminatedError, ToolBlockedError
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, STOP, ScriptedPlane


@pytest.fixture(name="plane")
def _plane() -> ScriptedPlane:
    return ScriptedPlane()


@pytest.fixture(name="client")
def _client(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> Iterator[HandlebarClient]:
    client = client_on(plane, monkeypatch)
    yield client
    client.shutdown_sync()


@pytest.fixture(name="run")
def _run(client: HandlebarClient) -> Iterator[Run]:
    """A run that is current."""
    with client.run("run-1") as run:
        yield run


@handlebar.tool(tags=["payments", "write"])
def issue_refund(order_id: str, amount: float = 10.0) -> str:
    """Give money back."""
    return f"{order_id}:{amount}"


class TestCalling:
    """What a guarded call does."""

    def test_an_allowed_call_gives_the_tools_own_result(self, run: Run, plane: ScriptedPlane) -> None:
        """The caller sees no difference; the call was decided before and recorded after."""
        assert "A-1:10.0" == issue_refund("A-1")
        before, after = plane.named("evaluate")
        assert ("tool.before", "tool.after") == (before.phase, after.phase)
        assert {"order_id": "A-1", "amount": 10.0} == before.args.value() == after.args.value()
        assert ("issue_refund", ("payments", "write")) == (before.tool_name, before.tool_tags)
        assert "A-1:10.0" == after.result.value()
        assert after.metrics["duration_ms"] >= 0

    def test_a_blocked_call_never_runs(self, run: Run, plane: ScriptedPlane) -> None:
        """ToolBlockedError carries the decision; the body is not entered; nothing counts as a step."""
        plane.answer = BLOCK
        ran = []

        @handlebar.tool
        def delete() -> None:
            ran.append(1)

        with pytest.raises(ToolBlockedError, match="Too much") as caught:
            delete()
        assert caught.value.decision == BLOCK
        assert [] == ran
        assert [] == run.get_history()

    def test_a_terminating_block_stops_the_run(self, run: Run, plane: ScriptedPlane) -> None:
        """RunTerminatedError is raised, also where blocks are returned, and for every later call."""
        plane.answer = STOP

        @handlebar.tool(on_block="return")
        def delete() -> None: ...

        for _ in range(2):
            with pytest.raises(RunTerminatedError) as caught:
                delete()
            assert caught.value.decision == STOP
        assert 1 == len(plane.named("evaluate"))

    def test_a_result_can_be_withheld(self, run: Run, plane: ScriptedPlane) -> None:
        """A BLOCK after the call keeps the result from the caller."""

        def answer(request: EvaluateRequest) -> Decision:
            return ALLOW if request.phase == "tool.before" else BLOCK

        plane.answer = answer
        with pytest.raises(ToolBlockedError):
            issue_refund("A-1")
        assert 1 == len(run.get_history())

    def test_the_tools_exception_goes_on_unchanged(self, run: Run, plane: ScriptedPlane) -> None:
        """The very same exception object reaches the caller, and is recorded as an error."""
        error = LookupError("no such order")

        @handlebar.tool
        def look_up() -> None:
            raise error

        with pytest.raises(LookupError) as caught:
            look_up()
        assert error is caught.value
        assert [error] == [step.error for step in run.get_history()]

    def test_a_refusal_can_be_returned(self, run: Run, plane: ScriptedPlane) -> None:
        """With on_block="return" the caller gets a sentence for the model, or the shape of its choice."""
        plane.answer = BLOCK

        @handlebar.tool(on_block="return")
        def plain() -> str:
            return "ran"

        @handlebar.tool(on_block="return", refusal=lambda decision: {"refused": decision.message})
        def shaped() -> Any:
            return "ran"

        assert "Blocked by policy: Too much Ask for less." == plain()
        assert {"refused": "Too much"} == shaped()

    def test_a_block_inside_the_tool_is_not_taken_for_its_own(self, run: Run, plane: ScriptedPlane) -> None:
        """A guarded tool that calls another lets the inner refusal through, although it returns its own."""
        plane.answer = lambda request: BLOCK if request.tool_name == "inner" else ALLOW

        @handlebar.tool
        def inner() -> None: ...

        @handlebar.tool(on_block="return")
        def outer() -> None:
            inner()

        with pytest.raises(ToolBlockedError):
            outer()

    def test_a_wrong_call_asks_nobody(self, run: Run, plane: ScriptedPlane) -> None:
        """A missing argument is a TypeError, as without the guard, and no decision is spent on it."""
        with pytest.raises(TypeError, match="order_id"):
            issue_refund()  # type: ignore[call-arg]  # the mistake is the point
        assert [] == plane.named("evaluate")

    def test_methods_are_guarded(self, run: Run, plane: ScriptedPlane) -> None:
        """The receiver is passed on and is no argument."""

        class Desk:
            name = "north"

            @handlebar.tool
            def close(self, reason: str) -> str:
                return f"{self.name}: {reason}"

        assert "north: late" == Desk().close("late")
        assert {"reason": "late"} == plane.named("evaluate")[0].args.value()


class TestAsync:
    """Guarded coroutine functions."""

    def test_a_coroutine_function_is_awaited_under_its_guard(self, run: Run, plane: ScriptedPlane) -> None:
        """Decision, call and record all belong to the awaited call."""

        @handlebar.tool
        async def look_up(order: str) -> str:
            await asyncio.sleep(0)
            return order.lower()

        assert "a" == asyncio.run(look_up("A"))
        before, after = plane.named("evaluate")
        assert {"order": "A"} == before.args.value()
        assert "a" == after.result.value()

    def test_a_blocked_coroutine_function_never_runs(self, run: Run, plane: ScriptedPlane) -> None:
        """The block is raised where the call is awaited."""
        plane.answer = BLOCK
        ran = []

        @handlebar.tool
        async def look_up() -> None:
            ran.append(1)

        with pytest.raises(ToolBlockedError):
            asyncio.run(look_up())
        assert [] == ran

    def test_the_loop_is_free_while_a_decision_is_waited_for(self, run: Run, plane: ScriptedPlane) -> None:
        """A slow control plane does not hold up other tasks of the loop."""
        asked, released = threading.Event(), threading.Event()

        def answer(request: EvaluateRequest) -> Decision:
            asked.set()
            assert released.wait(10)
            return ALLOW

        plane.answer = answer

        @handlebar.tool
        async def look_up() -> None: ...

        async def main() -> None:
            call = asyncio.create_task(look_up())
            while not asked.is_set():
                await asyncio.sleep(0.001)
            released.set()
            await call

        asyncio.run(asyncio.wait_for(main(), 20))

    def test_a_cancelled_call_is_recorded_as_an_error(self, run: Run, plane: ScriptedPlane) -> None:
        """Cancellation goes on unchanged, and the step is in the history."""

        @handlebar.tool
        async def hang() -> None:
            await asyncio.sleep(3600)

        async def main() -> None:
            call = asyncio.create_task(hang())
            while not plane.named("evaluate"):
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            call.cancel()
            await call

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main())
        (step,) = run.get_history()
        assert isinstance(step.error, asyncio.CancelledError)


class TestNoRun:
    """Calls outside a run."""

    def test_a_call_outside_a_run_is_refused(self) -> None:
        """The error says what to do; the body is not entered."""
        with pytest.raises(NoCurrentRunError, match=r"issue_refund.*handlebar\.bind"):
            issue_refund("A-1")

    def test_a_call_outside_a_run_can_be_let_through_on_purpose(self) -> None:
        """require_run=False is the only way round, and has to be written down."""

        @handlebar.tool(require_run=False)
        def look_up() -> int:
            return 7

        @handlebar.tool(require_run=False)
        async def look_up_async() -> int:
            return 8

        assert 7 == look_up()
        assert 8 == asyncio.run(look_up_async())


class TestRefusedAtDecoration:
    """What cannot be guarded says so when it is decorated."""

    def test_generators_are_refused(self) -> None:
        """A generator's body would run after the decision was recorded."""

        def numbers() -> Iterator[int]:
            yield 1

        async def async_numbers() -> Any:
            yield 1

        class Callable_:
            def __call__(self) -> Iterator[int]:
                yield 1

        for fn in (numbers, async_numbers, Callable_()):
            with pytest.raises(ConfigError, match="collect what the generator yields"):
                handlebar.tool(fn)

    @pytest.mark.parametrize("thing", [7, "name", dict, staticmethod(len)])
    def test_what_is_no_function_is_refused(self, thing: Any) -> None:
        """Classes, values and static methods are told what is allowed."""
        with pytest.raises(ConfigError, match="function"):
            handlebar.tool(thing)

    @pytest.mark.parametrize(
        "options", [{"on_block": "ignore"}, {"tags": "payments"}, {"name": " "}, {"require_run": "no"}]
    )
    def test_options_are_checked(self, options: dict[str, Any]) -> None:
        """A slip in an option does not leave the tool half guarded."""
        with pytest.raises(ConfigError, match=next(iter(options))):
            handlebar.tool(**options)(lambda: None)


class TestDescribing:
    """What a guarded tool says of itself."""

    def test_name_tags_and_description_are_on_the_tool(self) -> None:
        """They are what init(tools=…) and framework adapters look for."""
        tool: Any = issue_refund
        assert (
            tool.name,
            tool.tags,
            tool.description,
        ) == ("issue_refund", ("payments", "write"), "Give money back.")
        assert "Give money back." == issue_refund.__doc__

    def test_guarded_tools_can_be_registered(self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> None:
        """init(tools=[the functions]) tells the control plane about them."""
        client = client_on(plane, monkeypatch, tools=[issue_refund])
        assert client.ready_sync()
        ((_, tools),) = plane.named("register")
        assert (Tool("issue_refund", "Give money back.", ["payments", "write"]),) == tools

    def test_wrap_tool_returns_the_same_object_with_tags(self) -> None:
        """Other people's tools can be described without being replaced."""

        def search() -> None:
            """Find things."""

        wrapped: Any = handlebar.core.wrap_tool(search, handlebar.core.ToolMeta(tags=["read"]))
        assert wrapped is search
        assert (("read",), "") == (wrapped.tags, wrapped.description)

    def test_wrap_tool_says_when_an_object_takes_no_tags(self) -> None:
        """A frozen object is named, not half described."""
        with pytest.raises(ConfigError, match="tags"):
            handlebar.core.wrap_tool(7, handlebar.core.ToolMeta(tags=["read"]))

    def test_define_tool_describes_a_tool_made_elsewhere(self) -> None:
        """Only a name is needed."""
        assert Tool("search") == handlebar.core.define_tool("search")


class TestCallTool:
    """run.call_tool: governed by this run, whichever is current."""

    def test_a_plain_function_is_governed(self, client: HandlebarClient, plane: ScriptedPlane) -> None:
        """No decorator and no current run are needed."""
        run = client.start_run_sync(RunConfig("r"))

        def add(a: int, b: int = 2) -> int:
            return a + b

        assert 3 == run.call_tool(add, 1)
        assert {"a": 1, "b": 2} == plane.named("evaluate")[0].args.value()

    def test_a_guarded_tool_keeps_its_guard_and_is_decided_once(
        self, client: HandlebarClient, plane: ScriptedPlane
    ) -> None:
        """Its tags count, and the call is not asked about twice."""
        run = client.start_run_sync(RunConfig("r"))
        assert "A-1:5" == run.call_tool(issue_refund, "A-1", amount=5)
        assert [asked.tool_tags for asked in plane.named("evaluate")] == [("payments", "write")] * 2

    def test_a_guarded_method_keeps_its_receiver(self, client: HandlebarClient, plane: ScriptedPlane) -> None:
        """A bound method can be handed to call_tool."""

        class Desk:
            @handlebar.tool
            def close(self, reason: str) -> str:
                return reason

        assert "late" == client.start_run_sync(RunConfig("r")).call_tool(Desk().close, "late")
        assert {"reason": "late"} == plane.named("evaluate")[0].args.value()

    def test_a_coroutine_function_gives_something_to_await(self, client: HandlebarClient, plane: ScriptedPlane) -> None:
        """The same method serves async code."""
        run = client.start_run_sync(RunConfig("r"))

        async def look_up() -> int:
            return 5

        async def main() -> Any:
            return await run.call_tool(look_up)

        assert 5 == asyncio.run(main())
        assert 2 == len(plane.named("evaluate"))

    def test_a_block_raises(self, client: HandlebarClient, plane: ScriptedPlane) -> None:
        """As with the decorator."""
        plane.answer = BLOCK
        with pytest.raises(ToolBlockedError) as caught:
            client.start_run_sync(RunConfig("r")).call_tool(lambda: None)
        assert RunControl.CONTINUE is caught.value.decision.control
