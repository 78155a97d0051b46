"""Pydantic AI agents that are governed by the capability."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from handlebar.core.schema.events import TokenCounts
from handlebar.core.schema.governance import Decision
from handlebar.errors import RunTerminatedError, UnreachableError
from handlebar.integrations.governing.settings import STOPPED as LAST_WORDS
from tests.integrations.frameworks.asking import A_NO, AskingPlane
from tests.integrations.frameworks.office import ASK, REFUSED, Office, as_json, in_turn, overtaken
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, ScriptedPlane

pytest.importorskip("pydantic_ai", reason="pydantic-ai-slim is not installed")

from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, Tool
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.usage import RequestUsage

from handlebar.integrations.pydantic_ai import HandlebarCapability


class Script:
    """A model that wants the tools of one step after another called, and then says that it is done."""

    def __init__(self, *steps: str, what: str = "it") -> None:
        self._steps = [step.split() for step in steps]
        self._what = what
        self.seen: list[list[ModelMessage]] = []

    def _next(self, messages: list[ModelMessage]) -> list[str]:
        self.seen.append(list(messages))
        answers = sum(isinstance(message, ModelResponse) for message in messages)
        return self._steps[answers] if answers < len(self._steps) else []

    def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        """Answer in one piece."""
        names = self._next(messages)
        calls = [ToolCallPart(name, as_json(what=self._what), f"c-{place}") for place, name in enumerate(names)]
        usage = RequestUsage(input_tokens=10, output_tokens=5)
        return ModelResponse(parts=calls or [TextPart("done")], usage=usage)

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        """Answer piece by piece."""
        names = self._next(messages)
        for place, name in enumerate(names):
            yield {place: DeltaToolCall(name, as_json(what=self._what), tool_call_id=f"c-{place}")}
        if not names:
            yield "do"
            yield "ne"

    @property
    def model(self) -> FunctionModel:
        """The model."""
        return FunctionModel(self.answer, stream_function=self.stream)


def agent_of(office: Office, script: Script, capability: Any = None, *, is_async: bool = False, **more: Any) -> Any:
    """Return an agent with every tool."""
    body = office.async_body if is_async else office.body
    tools = [Tool(body(name)) for name in ("search", "fail", "delete", "wipe", "pay")]
    mine = capability or HandlebarCapability(office.client)
    return Agent(script.model, tools=tools, capabilities=[mine], instructions="Be kind.", **more)


def by_run_sync(agent: Any, **more: Any) -> Any:
    """Run *agent* the blocking way; return its output."""
    return agent.run_sync("Go", **more).output


def by_run(agent: Any, **more: Any) -> Any:
    """Run *agent* on a loop."""
    return asyncio.run(agent.run("Go", **more)).output


def by_run_stream(agent: Any, **more: Any) -> Any:
    """Run *agent* as its answer is written."""

    async def streamed() -> Any:
        async with agent.run_stream("Go", **more) as result:
            return await result.get_output()

    return asyncio.run(streamed())


@pytest.fixture(autouse=True)
def _loop() -> Iterator[None]:
    """What `run_sync` would otherwise open, and leave open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


ROADS = [by_run_sync, by_run, by_run_stream]
Road = Callable[..., Any]


def refusals(script: Script) -> list[str]:
    """Return what the model got in the place of results."""
    parts = [part for message in script.seen[-1] for part in message.parts]
    return [str(part.content) for part in parts if isinstance(part, ToolReturnPart) and part.outcome == "failed"]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office, road: Road, is_async: bool) -> None:
    """Also side by side; the model gets the refusals, and goes on."""
    script = Script("search delete search delete")
    assert "done" == road(agent_of(office, script, is_async=is_async))
    assert [("search", "it")] * 2 == office.done
    assert [REFUSED, REFUSED] == refusals(script)
    assert ["success"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_a_terminate_ends_the_loop(office: Office, road: Road) -> None:
    """The model is not asked again, and the run ends as interrupted."""
    script = Script("wipe", "search")
    assert LAST_WORDS == road(agent_of(office, script))
    assert ([], 1) == (office.done, len(script.seen))
    assert ["interrupted"] == office.ends()


def test_a_terminate_of_an_agent_whose_output_is_no_text(office: Office) -> None:
    """Raises, for there is no such last word."""
    agent = agent_of(office, Script("wipe"), output_type=int)
    with pytest.raises(RunTerminatedError, match="Enough"):
        agent.run_sync("Go")
    assert ["interrupted"] == office.ends()


def test_calls_that_come_after_a_terminate_are_blocked(office: Office) -> None:
    """In the same batch too, where they come one after another; nobody is asked any more."""
    script = Script("wipe search")
    with Agent.parallel_tool_call_execution_mode("sequential"):
        by_run_sync(agent_of(office, script))
    assert [] == office.done
    assert ["wipe"] == office.asked()


@pytest.mark.parametrize("road", ROADS)
def test_calls_that_a_terminate_overtakes(office: Office, road: Road) -> None:
    """Side by side with it, while they are being decided, are blocked as well; the run is the caller's, and stopped."""
    with office.client.run("mine") as run:
        office.plane.answer = overtaken(run)
        assert LAST_WORDS == road(agent_of(office, Script("wipe search", "search")))
    assert [] == office.done


@pytest.mark.parametrize("road", ROADS)
def test_only_new_messages_are_recorded(office: Office, road: Road) -> None:
    """Instructions, question, the tools' results, the last word: each once."""
    road(agent_of(office, Script("search", "search")))
    assert ["Be kind.", "Go", "search: it", "search: it", "done"] == [
        text for text in office.said() if not text.startswith("[")
    ]


@pytest.mark.parametrize("road", [by_run_sync, by_run])
def test_tokens_are_counted(office: Office, road: Road) -> None:
    """Those of each answer."""
    road(agent_of(office, Script("search")))
    told = [event.data.tokens for event in office.events("llm.result")]
    assert [TokenCounts(10, 5)] * 2 == told


def test_tokens_of_a_stream_are_counted(office: Office) -> None:
    """Once for each answer, as the framework counts them at its end."""
    by_run_stream(agent_of(office, Script("search")))
    told = [event.data.tokens for event in office.events("llm.result")]
    assert [True, True] == [tokens.in_ > 0 and tokens.out > 0 for tokens in told]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_a_tool(office: Office, road: Road) -> None:
    """Is recorded, reaches the caller unchanged, and ends the run."""
    with pytest.raises(ValueError, match="no it"):
        road(agent_of(office, Script("fail")))
    assert ["error"] == office.ends()
    assert ["no it"] == [event.data.error.message for event in office.events("tool.result")]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_the_model(office: Office, road: Road) -> None:
    """As above."""

    def broken(messages: Any, info: Any) -> Any:
        raise ConnectionError("no model")

    async def broken_stream(messages: Any, info: Any) -> AsyncIterator[str]:
        raise ConnectionError("no model")
        yield ""

    with pytest.raises(ConnectionError, match="no model"):
        road(
            Agent(
                FunctionModel(broken, stream_function=broken_stream), capabilities=[HandlebarCapability(office.client)]
            )
        )
    assert ["error"] == office.ends()


def test_the_callers_run(office: Office) -> None:
    """An agent that runs within it belongs to it, and leaves its end to the caller."""
    with office.client.run("mine"):
        by_run_sync(agent_of(office, Script("search")))
        assert [] == office.ends()
    assert {"mine"} == {request.run_id for request in office.plane.named("evaluate")}


def test_actor_session_and_tags(office: Office) -> None:
    """Come from the dependencies, the conversation, and the tool."""
    mine = HandlebarCapability(office.client, actor=lambda ctx: ctx.deps, tool_tags={"search": ["read"]})
    tool = Tool(office.body("search"), metadata={"handlebar_tags": ["crm"]})
    agent = Agent(Script("search").model, tools=[tool], capabilities=[mine], deps_type=str)
    agent.run_sync("Go", deps="user-7", conversation_id="talk-1")
    request = office.plane.named("evaluate")[0]
    assert ("user-7", ("read", "crm")) == (request.actor.external_id, request.tool_tags)
    assert "talk-1" == office.plane.named("start")[0].session_id


def test_a_conversation_goes_on(office: Office) -> None:
    """The next run records only what is new in it."""
    agent = agent_of(office, Script("search"))
    first = agent.run_sync("First")
    agent.run_sync("Second", message_history=first.all_messages())
    assert (1, 1) == (office.said().count("First"), office.said().count("Second"))


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
def test_waiting_for_a_person(office: Office, status: Any, then: Decision) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    mine = HandlebarCapability(office.client, wait_for_approval=30)
    assert "done" == by_run(agent_of(office, Script("pay"), mine))
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


def whole(road: Road) -> Callable[..., Any]:
    """Return a road that gives the output and the messages."""

    async def streamed(agent: Any, *prompt: str, **more: Any) -> Any:
        async with agent.run_stream(*prompt, **more) as result:
            return await result.get_output(), result.all_messages()

    def walk(agent: Any, *prompt: str, **more: Any) -> Any:
        if road is by_run_stream:
            return asyncio.run(streamed(agent, *prompt, **more))
        result = agent.run_sync(*prompt, **more) if road is by_run_sync else asyncio.run(agent.run(*prompt, **more))
        return result.output, result.all_messages()

    return walk


def deferring(office: Office, script: Script) -> Any:
    """Return an agent whose runs are deferred by questions to people."""
    mine = HandlebarCapability(office.client, on_approval="interrupt")
    return agent_of(office, script, mine, output_type=[str, DeferredToolRequests])


def approving(requests: DeferredToolRequests, *, said: bool = True) -> DeferredToolResults:
    """Return what resumes the agent: the framework's own yes, or no, to all calls."""
    return DeferredToolResults(approvals={call.tool_call_id: said for call in requests.approvals})


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("said", ["approved", "denied"])
def test_deferring_for_a_person(asking: Office, person: AskingPlane, road: Road, said: str) -> None:
    """Nobody holds the run meanwhile; what goes on too early is deferred again, and asks nobody twice."""
    script, walk = Script("pay"), whole(road)
    agent = deferring(asking, script)
    output, messages = walk(agent, "Go")
    for _ in range(2):
        assert ["pay"] == [call.tool_name for call in output.approvals]
        assert ([], [], [{"what": "it"}]) == (asking.done, asking.ends(), person.questions())
        output, messages = walk(agent, message_history=messages, deferred_tool_results=approving(output))
    person.answer_all(said)
    output, messages = walk(agent, message_history=messages, deferred_tool_results=approving(output))
    assert "done" == output
    assert ([("pay", "it")] if said == "approved" else []) == asking.done
    assert ([] if said == "approved" else [A_NO]) == refusals(script)
    assert (1, ["success"]) == (len({each.run_id for each in person.named("start")}), asking.ends())
    assert ["pay", "pay"] == asking.asked()


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("step", ["pay search delete", "search delete pay"])
@pytest.mark.parametrize("said", ["approved", "denied"])
def test_deferring_beside_other_calls(asking: Office, person: AskingPlane, road: Road, step: str, said: str) -> None:
    """Each call is decided for itself, and made once at most."""
    script, walk = Script(step), whole(road)
    agent = deferring(asking, script)
    output, messages = walk(agent, "Go")
    assert ("pay", "it") not in asking.done
    person.answer_all(said)
    output, _ = walk(agent, message_history=messages, deferred_tool_results=approving(output))
    assert "done" == output
    made = ["pay", "search"] if said == "approved" else ["search"]
    assert made == sorted(name for name, _ in asking.done)


@pytest.mark.parametrize("road", ROADS)
def test_the_frameworks_no(asking: Office, person: AskingPlane, road: Road) -> None:
    """Rejects the call; the person is not asked again, and the run stops."""
    walk = whole(road)
    agent = deferring(asking, Script("pay"))
    output, messages = walk(agent, "Go")
    output, _ = walk(agent, message_history=messages, deferred_tool_results=approving(output, said=False))
    assert (LAST_WORDS, []) == (output, asking.done)
    assert (["interrupted"], 1) == (asking.ends(), len(person.questions()))


def test_a_deferred_call_that_goes_on_elsewhere(asking: Office, person: AskingPlane) -> None:
    """Belongs to the same run, where a no still stands; the messages carry its id."""
    first = deferring(asking, Script("pay")).run_sync("Go")
    person.answer_all("denied")
    written = ModelMessagesTypeAdapter.dump_json(first.all_messages())
    messages = ModelMessagesTypeAdapter.validate_json(written)
    second = deferring(asking, Script("pay"))
    answers = approving(first.output)
    assert "done" == second.run_sync(message_history=messages, deferred_tool_results=answers).output
    assert ([], []) == (asking.done, person.questions())
    assert 1 == len({each.run_id for each in person.named("evaluate")})


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("road", ROADS)
def test_a_control_plane_that_is_down(monkeypatch: pytest.MonkeyPatch, fail_closed: bool, road: Road) -> None:
    """The call is answered as the client's fail mode says."""
    plane = ScriptedPlane(UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))
    road(agent_of(office, Script("search")))
    assert ([] if fail_closed else [("search", "it")]) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_bug_of_ours(monkeypatch: pytest.MonkeyPatch, fail_closed: bool) -> None:
    """Is as if the control plane were down; the agent goes on, or ends, without an exception."""
    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))

    def broken(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    monkeypatch.setattr("handlebar.core.run.Run.before_tool_sync", broken)
    assert (LAST_WORDS if fail_closed else "done") == by_run_sync(agent_of(office, Script("search")))
    assert ([] if fail_closed else [("search", "it")]) == office.done


@pytest.mark.parametrize("road", [by_run_sync, by_run])
def test_redactors_change_what_the_model_gets(monkeypatch: pytest.MonkeyPatch, road: Road) -> None:
    """At every request, not only when the message is new."""
    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, redactors=[lambda text: text.replace("Go", "···")]))
    script = Script("search")
    road(agent_of(office, script))
    assert ["···", "···"] == [messages[0].parts[-1].content for messages in script.seen]


def test_sixteen_at_once(office: Office) -> None:
    """Runs of one agent share nothing: each has a run of its own, and its own actor."""
    mine = HandlebarCapability(office.client, actor=lambda ctx: ctx.deps)

    def one(number: int) -> None:
        script = Script("search", what=f"user-{number}")
        agent = Agent(script.model, tools=[Tool(office.body("search"))], capabilities=[mine], deps_type=str)
        asyncio.run(agent.run("Go", deps=f"user-{number}"))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(16)))
    asked = [each for each in office.plane.named("evaluate") if each.phase == "tool.before"]
    assert 16 == len({each.run_id for each in asked})
    assert all(each.actor.external_id == each.args.value()["what"] for each in asked)
    assert ["success"] * 16 == office.ends()
