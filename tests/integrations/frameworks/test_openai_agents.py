"""Agents of the OpenAI Agents SDK that are run governed."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from handlebar.core.schema.events import TokenCounts
from handlebar.core.schema.governance import Decision
from handlebar.errors import ConfigError, UnreachableError
from handlebar.integrations.governing.settings import STOPPED as LAST_WORDS
from tests.integrations.frameworks.asking import A_NO, BLOCKED, AskingPlane
from tests.integrations.frameworks.office import ASK, REFUSED, Office, in_turn, overtaken
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, ScriptedPlane

pytest.importorskip("agents", reason="openai-agents is not installed")

from agents import (
    Agent,
    RunContextWrapper,
    RunHooks,
    Runner,
    RunState,
    ToolInputGuardrailTripwireTriggered,
    Usage,
    function_tool,
)
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call

from handlebar.integrations.openai_agents import HandlebarRunner

_numbers = itertools.count()

NAMES = ("search", "fail", "delete", "wipe", "pay")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is sent anywhere, and what `run_sync` would leave open is closed."""
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def a_model(*steps: str, what: str = "it") -> ScriptedModel:
    """Return a model that wants the tools of one step after another, and then says that it is done."""
    script: list[Any] = []
    for step in steps:
        calls = [function_call(name, {"what": what}, call_id=f"c-{next(_numbers)}") for name in step.split()]
        script.append(ModelStep(output=calls, usage=Usage(requests=1, input_tokens=10, output_tokens=5)))
    return ScriptedModel([*script, ModelStep(output=[assistant_message("done")], usage=Usage(requests=1))])


def agent_of(office: Office, model: ScriptedModel, *, is_async: bool = False, **more: Any) -> Any:
    """Return an agent with every tool."""
    body = office.async_body if is_async else office.body
    return Agent(
        name="clerk",
        instructions="Be kind.",
        model=model,
        tools=[function_tool(body(name)) for name in NAMES],
        **more,
    )


def by_run_sync(runner: Any, agent: Any, **more: Any) -> Any:
    """Run *agent* the blocking way; return its output."""
    return runner.run_sync(agent, "Go", **more).final_output


def by_run(runner: Any, agent: Any, **more: Any) -> Any:
    """Run *agent* on a loop."""
    return asyncio.run(runner.run(agent, "Go", **more)).final_output


def by_stream(runner: Any, agent: Any, **more: Any) -> Any:
    """Run *agent* as its answer is written."""

    async def streamed() -> Any:
        result = runner.run_streamed(agent, "Go", **more)
        async for _ in result.stream_events():
            pass
        return result.final_output

    return asyncio.run(streamed())


ROADS = [by_run_sync, by_run, by_stream]
Road = Callable[..., Any]


def outputs(model: ScriptedModel) -> list[str]:
    """Return what the model got as the tools' outputs."""
    given: Any = model.calls[-1].input
    return [item["output"] for item in given if item.get("type") == "function_call_output"]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office, road: Road, is_async: bool) -> None:
    """Also side by side; the model gets the refusals, and goes on."""
    model = a_model("search delete search delete")
    assert "done" == road(HandlebarRunner(office.client), agent_of(office, model, is_async=is_async))
    assert [("search", "it")] * 2 == office.done
    assert ["search: it", REFUSED, "search: it", REFUSED] == outputs(model)
    assert ["success"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_a_terminate_ends_the_loop(office: Office, road: Road) -> None:
    """The model is not asked again, and the run ends as interrupted."""
    model = a_model("wipe", "search")
    assert LAST_WORDS == road(HandlebarRunner(office.client), agent_of(office, model))
    assert ([], 1) == (office.done, len(model.calls))
    assert ["interrupted"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_calls_that_a_terminate_overtakes(office: Office, road: Road) -> None:
    """Side by side with it, while they are being decided, are blocked as well; the run is the caller's, and stopped."""
    with office.client.run("mine") as run:
        office.plane.answer = overtaken(run)
        assert LAST_WORDS == road(HandlebarRunner(office.client), agent_of(office, a_model("wipe search", "search")))
    assert [] == office.done


@pytest.mark.parametrize("road", ROADS)
def test_a_terminate_of_an_agent_whose_output_is_no_text(office: Office, road: Road) -> None:
    """Raises what the SDK has for it."""
    agent = agent_of(office, a_model("wipe"), output_type=list[int])
    with pytest.raises(ToolInputGuardrailTripwireTriggered):
        road(HandlebarRunner(office.client), agent)
    assert ["interrupted"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_only_new_messages_are_recorded(office: Office, road: Road) -> None:
    """Instructions, question, the tools' results, the last word: each once."""
    road(HandlebarRunner(office.client), agent_of(office, a_model("search", "search")))
    said = office.said()
    assert (1, 1, 1) == (said.count("Be kind."), said.count("Go"), said.count("done"))
    assert 2 == len([text for text in said if "search: it" in text])


@pytest.mark.parametrize("road", ROADS)
def test_tokens_are_counted(office: Office, road: Road) -> None:
    """Those of each answer."""
    road(HandlebarRunner(office.client), agent_of(office, a_model("search")))
    assert TokenCounts(10, 5) == office.events("llm.result")[0].data.tokens


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_a_tool(office: Office, road: Road) -> None:
    """Is recorded; the SDK tells the model, which goes on."""
    assert "done" == road(HandlebarRunner(office.client), agent_of(office, a_model("fail")))
    assert ["no it"] == [event.data.error.message for event in office.events("tool.result")]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_the_model(office: Office, road: Road) -> None:
    """Reaches the caller unchanged, and ends the run."""
    model = ScriptedModel([ModelStep(error=ConnectionError("no model"))])
    with pytest.raises(ConnectionError, match="no model"):
        road(HandlebarRunner(office.client), agent_of(office, model))
    assert ["error"] == office.ends()


def test_a_stream_that_is_left(office: Office) -> None:
    """Ends the run."""

    async def left() -> None:
        result = HandlebarRunner(office.client).run_streamed(agent_of(office, a_model("search")), "Go")
        events = result.stream_events()
        await events.__anext__()
        await events.aclose()
        result.cancel()

    asyncio.run(left())
    assert ["interrupted"] == office.ends()


def test_the_callers_run(office: Office) -> None:
    """An agent that runs within it belongs to it, and leaves its end to the caller."""
    with office.client.run("mine"):
        by_run_sync(HandlebarRunner(office.client), agent_of(office, a_model("search")))
        assert [] == office.ends()
    assert {"mine"} == {request.run_id for request in office.plane.named("evaluate")}


def test_actor_session_and_tags(office: Office) -> None:
    """Come from the context, the conversation, and the table."""
    runner = HandlebarRunner(office.client, actor=lambda context: context["user"], tool_tags={"search": ["read"]})
    by_run_sync(runner, agent_of(office, a_model("search")), context={"user": "user-7"}, conversation_id="talk-1")
    request = office.plane.named("evaluate")[0]
    assert ("user-7", ("read",), {"what": "it"}) == (
        request.actor.external_id,
        request.tool_tags,
        request.args.value(),
    )
    assert "talk-1" == office.plane.named("start")[0].session_id


@pytest.mark.parametrize("road", ROADS)
def test_agents_that_are_handed_over_to(office: Office, road: Road) -> None:
    """Their tools are governed too, and those of whom they hand over to, in circles."""
    second = Agent(name="second", model=a_model("delete"), tools=[function_tool(office.body("delete"))])
    first = agent_of(office, a_model("transfer_to_second"), handoffs=[second])
    second.handoffs = [first]
    assert "done" == road(HandlebarRunner(office.client), first)
    assert [] == office.done
    assert ["delete"] == office.asked()


def test_agents_as_tools(office: Office) -> None:
    """Both the outer call and the inner agent's calls are governed."""
    runner = HandlebarRunner(office.client)
    inner = runner.governed(agent_of(office, a_model("delete")))
    office.plane.answer = lambda request: BLOCK if request.tool_name == "delete" else ALLOW
    tool = inner.as_tool("helper", "Helps.")
    model = ScriptedModel(
        [
            ModelStep(output=[function_call("helper", {"input": "do"}, call_id="h-1")]),
            ModelStep(output=[assistant_message("done")]),
        ]
    )
    assert "done" == by_run_sync(runner, Agent(name="outer", model=model, tools=[tool]))
    assert ["helper", "delete"] == office.asked()
    assert [] == office.done


def test_the_users_own_hooks_are_called(office: Office) -> None:
    """Each of them, beside ours."""
    heard: list[str] = []

    class Own(RunHooks[Any]):
        async def on_llm_start(self, *args: Any) -> None:
            heard.append("llm")

        async def on_tool_start(self, *args: Any) -> None:
            heard.append("tool")

    by_run_sync(HandlebarRunner(office.client), agent_of(office, a_model("search")), hooks=Own())
    assert ["llm", "tool", "llm"] == heard


@pytest.mark.parametrize("behaviour", ["stop_on_first_tool", {"stop_at_tool_names": ["search"]}])
def test_the_users_own_tool_use_behaviour(office: Office, behaviour: Any) -> None:
    """Is as it was, where policy does not stop the run."""
    agent = agent_of(office, a_model("search"), tool_use_behavior=behaviour)
    assert "search: it" == by_run_sync(HandlebarRunner(office.client), agent)


def test_the_original_agent_is_left_as_it_was(office: Office) -> None:
    """The copy is governed, not the agent itself."""
    agent = agent_of(office, a_model("search"))
    HandlebarRunner(office.client).governed(agent)
    assert all(not tool.tool_input_guardrails for tool in agent.tools)


def test_a_governed_copy_in_the_sdks_own_runner(office: Office) -> None:
    """Asks in the caller's run."""
    agent = HandlebarRunner(office.client).governed(agent_of(office, a_model("delete wipe", "search")))
    with office.client.run("mine"):
        assert LAST_WORDS == Runner.run_sync(agent, "Go").final_output
    assert [] == office.done


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
def test_waiting_for_a_person(office: Office, status: Any, then: Decision) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    runner = HandlebarRunner(office.client, wait_for_approval=30)
    assert "done" == by_run(runner, agent_of(office, a_model("pay")))
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


def resumable(road: Road) -> Callable[..., Any]:
    """Return a road that gives the whole result, of an agent, or of the state of an earlier result."""

    async def streamed(runner: Any, agent: Any, given: Any) -> Any:
        result = runner.run_streamed(agent, given)
        async for _ in result.stream_events():
            pass
        return result

    def walk(runner: Any, agent: Any, given: Any = "Go") -> Any:
        if road is by_run_sync:
            return runner.run_sync(agent, given)
        return asyncio.run(streamed(runner, agent, given) if road is by_stream else runner.run(agent, given))

    return walk


def interrupting(office: Office, **options: Any) -> HandlebarRunner:
    """Return a runner whose runs are interrupted by questions to people."""
    return HandlebarRunner(office.client, on_approval="interrupt", **options)


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("said", ["approved", "denied"])
def test_an_interrupt_for_a_person(asking: Office, person: AskingPlane, road: Road, said: str) -> None:
    """Nobody holds the run meanwhile; a state that goes on too early is interrupted again, and asks nobody twice."""
    runner, model, walk = interrupting(asking), a_model("pay"), resumable(road)
    agent = agent_of(asking, model)
    result = walk(runner, agent)
    for _ in range(2):
        assert ["pay"] == [item.tool_name for item in result.interruptions]
        assert ([], [], [{"what": "it"}]) == (asking.done, asking.ends(), person.questions())
        result = walk(runner, agent, result.to_state())
    person.answer_all(said)
    result = walk(runner, agent, result.to_state())
    assert ("done", []) == (result.final_output, result.interruptions)
    assert ([("pay", "it")] if said == "approved" else []) == asking.done
    assert ["pay: it" if said == "approved" else A_NO] == outputs(model)
    assert (1, ["success"]) == (len({each.run_id for each in person.named("start")}), asking.ends())
    assert ["pay", "pay"] == asking.asked()


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("step", ["pay search delete", "search delete pay"])
@pytest.mark.parametrize("said", ["approved", "denied"])
def test_an_interrupt_beside_other_calls(asking: Office, person: AskingPlane, road: Road, step: str, said: str) -> None:
    """Each call is decided for itself, and made once at most."""
    runner, model, walk = interrupting(asking), a_model(step), resumable(road)
    agent = agent_of(asking, model)
    result = walk(runner, agent)
    assert ("pay", "it") not in asking.done
    person.answer_all(said)
    result = walk(runner, agent, result.to_state())
    assert "done" == result.final_output
    made = ["pay", "search"] if said == "approved" else ["search"]
    assert made == sorted(name for name, _ in asking.done)
    assert sorted([BLOCKED, *(f"{name}: it" for name in made), *([A_NO] if said == "denied" else [])]) == sorted(
        outputs(model)
    )


@pytest.mark.parametrize("road", ROADS)
def test_the_frameworks_yes_is_no_yes_of_the_control_plane(asking: Office, person: AskingPlane, road: Road) -> None:
    """Who approves in the SDK alone approves nothing; who rejects there, does."""
    runner, walk = interrupting(asking), resumable(road)
    for decide in ("approve", "reject"):
        agent = agent_of(asking, a_model("pay"))
        state = walk(runner, agent).to_state()
        getattr(state, decide)(state.get_interruptions()[0])
        walk(runner, agent, state)
    assert ([], [{"what": "it"}]) == (asking.done, person.questions())


def test_a_state_that_was_written_down(asking: Office, person: AskingPlane) -> None:
    """Goes on in another process, in the same run, where a no still stands."""
    agent = agent_of(asking, a_model("pay"))
    first = interrupting(asking)
    result = by_run_sync_whole(first, agent)
    written, token = result.to_state().to_string(), first.resume_token(result)
    person.answer_all("denied")

    async def elsewhere() -> Any:
        runner = interrupting(asking)
        state = await RunState.from_string(runner.governed(agent), written)
        with asking.client.resume_run(token):
            return await runner.run(agent, state)

    assert "done" == asyncio.run(elsewhere()).final_output
    assert ([], []) == (asking.done, person.questions())
    assert 1 == len({each.run_id for each in person.named("evaluate")})


def by_run_sync_whole(runner: Any, agent: Any) -> Any:
    """Run *agent* the blocking way; return the whole result."""
    return runner.run_sync(agent, "Go")


@pytest.mark.parametrize("road", ROADS)
def test_a_state_of_agents_that_are_not_governed(asking: Office, road: Road) -> None:
    """Is refused: what goes on are its agents, whatever the runner is given; and no run is left open."""
    agent = agent_of(asking, a_model("search"))
    agent.tools[0] = dataclasses.replace(agent.tools[0], needs_approval=True)
    state = Runner.run_sync(agent, "Go").to_state()
    state.approve(state.get_interruptions()[0])
    with pytest.raises(ConfigError, match="not governed"):
        resumable(road)(interrupting(asking), agent, state)
    assert ([], []) == (asking.done, asking.plane.named("start"))


def test_a_state_of_an_agent_without_tools(asking: Office) -> None:
    """Is refused too, for whomever it would hand over to would not be governed."""
    state = RunState(RunContextWrapper(None), "Go", Agent(name="front", handoffs=[agent_of(asking, a_model())]))
    with pytest.raises(ConfigError, match="not governed"):
        interrupting(asking).run_sync(Agent(name="front"), state)


def test_a_tool_with_an_approval_of_its_own(asking: Office, person: AskingPlane) -> None:
    """Is approved in the SDK first, and decided then, in the same run."""
    runner, agent = interrupting(asking), agent_of(asking, a_model("search"))
    agent.tools[0] = dataclasses.replace(agent.tools[0], needs_approval=lambda *args: True)
    result = by_run_sync_whole(runner, agent)
    assert ([], [], []) == (person.questions(), asking.asked(), asking.ends())
    still = runner.run_sync(agent, result.to_state())
    assert 1 == len(still.interruptions)
    state = still.to_state()
    state.approve(state.get_interruptions()[0])
    assert "done" == runner.run_sync(agent, state).final_output
    assert ([("search", "it")], ["search"]) == (asking.done, asking.asked())


def test_an_interrupt_within_a_run_of_the_callers(asking: Office, person: AskingPlane) -> None:
    """Leaves that run to its owner; it has no token of ours."""
    runner, agent = interrupting(asking), agent_of(asking, a_model("pay"))
    with asking.client.run("mine"):
        result = by_run_sync_whole(runner, agent)
        person.answer_all("approved")
        assert "done" == runner.run_sync(agent, result.to_state()).final_output
    assert {"mine"} == {each.run_id for each in person.named("evaluate")}
    with pytest.raises(ConfigError, match="interrupted result"):
        runner.resume_token(result)


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("road", ROADS)
def test_nobody_to_ask_is_no_interrupt(monkeypatch: pytest.MonkeyPatch, fail_closed: bool, road: Road) -> None:
    """The call is answered as the client's fail mode says, where calls interrupt too."""
    plane = ScriptedPlane(UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))
    road(interrupting(office), agent_of(office, a_model("search")))
    assert ([] if fail_closed else [("search", "it")]) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("road", ROADS)
def test_a_control_plane_that_is_down(monkeypatch: pytest.MonkeyPatch, fail_closed: bool, road: Road) -> None:
    """The call is answered as the client's fail mode says."""
    plane = ScriptedPlane(UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))
    road(HandlebarRunner(office.client), agent_of(office, a_model("search")))
    assert ([] if fail_closed else [("search", "it")]) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_bug_of_ours(monkeypatch: pytest.MonkeyPatch, fail_closed: bool) -> None:
    """Is as if the control plane were down; the agent goes on, or ends, without an exception."""
    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))

    def broken(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    monkeypatch.setattr("handlebar.core.run.Run.before_tool_sync", broken)
    runner = HandlebarRunner(office.client)
    assert (LAST_WORDS if fail_closed else "done") == by_run_sync(runner, agent_of(office, a_model("search")))
    assert ([] if fail_closed else [("search", "it")]) == office.done


def test_calls_that_come_after_a_terminate_are_blocked(office: Office) -> None:
    """The next run of the same run of ours included."""
    runner = HandlebarRunner(office.client)
    with office.client.run("mine"):
        by_run_sync(runner, agent_of(office, a_model("wipe")))
        model = a_model("search", "search")
        by_run_sync(runner, agent_of(office, model))
    assert [] == office.done
    assert ["wipe"] == office.asked()


def test_sixteen_at_once(office: Office) -> None:
    """Runs of one runner share nothing: each has a run of its own, and its own actor."""
    runner = HandlebarRunner(office.client, actor=lambda context: context)

    def one(number: int) -> None:
        agent = agent_of(office, a_model("search", what=f"user-{number}"))
        asyncio.run(runner.run(agent, "Go", context=f"user-{number}"))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(16)))
    asked = [each for each in office.plane.named("evaluate") if each.phase == "tool.before"]
    assert 16 == len({each.run_id for each in asked})
    assert all(each.actor.external_id == each.args.value()["what"] for each in asked)
    assert ["success"] * 16 == office.ends()
