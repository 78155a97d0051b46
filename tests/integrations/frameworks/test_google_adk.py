"""Agents of Google ADK that are governed by the plugin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

import handlebar.core
from handlebar.core.schema.events import TokenCounts
from handlebar.core.schema.governance import Decision
from handlebar.errors import UnreachableError
from handlebar.integrations.governing.settings import STOPPED as LAST_WORDS
from tests.integrations.frameworks.asking import A_NO, AskingPlane
from tests.integrations.frameworks.office import ASK, REFUSED, Office, in_turn, overtaken
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, ScriptedPlane

pytest.importorskip("google.adk", reason="google-adk is not installed")

from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import InMemoryRunner
from google.adk.tools import AgentTool, FunctionTool
from google.genai import types

from handlebar.integrations.google_adk import HandlebarPlugin

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

NAMES = ("search", "fail", "delete", "wipe", "pay")
USED = types.GenerateContentResponseUsageMetadata(prompt_token_count=10, candidates_token_count=5)


class Script(BaseLlm):
    """A model that wants the tools of one step after another, and then says that it is done."""

    model: str = "scripted-1"
    steps: list[str] = []
    args: dict[str, Any] = {"what": "it"}
    seen: list[Any] = []

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[Any, None]:
        self.seen.append([part for content in llm_request.contents for part in content.parts])
        names = self.steps.pop(0).split() if self.steps else []
        calls = [types.Part(function_call=types.FunctionCall(name=name, args=self.args)) for name in names]
        if stream:
            yield LlmResponse(content=types.Content(role="model", parts=[types.Part(text="do")]), partial=True)
        whole = types.Content(role="model", parts=calls or [types.Part(text="done")])
        yield LlmResponse(content=whole, usage_metadata=USED, model_version="scripted-1")


def a_model(*steps: str, **args: str) -> Script:
    """Return such a model."""
    return Script(steps=list(steps), args=args or {"what": "it"}, seen=[])


def agent_of(office: Office, model: Script, *, is_async: bool = False, **more: Any) -> Any:
    """Return an agent with every tool."""
    body = office.async_body if is_async else office.body
    tools = [FunctionTool(body(name)) for name in NAMES]
    return LlmAgent(name="clerk", model=model, instruction="Be kind.", tools=[*tools, *more.pop("more", ())], **more)


def runner_of(office: Office, agent: Any, plugin: Any = None) -> InMemoryRunner:
    """Return a runner with the plugin."""
    return InMemoryRunner(agent, app_name="office", plugins=[plugin or HandlebarPlugin(office.client)])


async def _events(runner: InMemoryRunner, **more: Any) -> list[Any]:
    session = await runner.session_service.create_session(app_name="office", user_id=more.pop("user", "user-1"))
    message = types.Content(role="user", parts=[types.Part(text="Go")])
    stream = runner.run_async(user_id=session.user_id, session_id=session.id, new_message=message, **more)
    return [event async for event in stream]


def texts(events: list[Any]) -> list[str]:
    """Return what the agent said."""
    return [part.text for event in events for part in event.content.parts if part.text and not event.partial]


def by_run_async(runner: InMemoryRunner) -> list[str]:
    """Run the agent on a loop."""
    return texts(asyncio.run(_events(runner)))


def by_run(runner: InMemoryRunner) -> list[str]:
    """Run the agent the blocking way, for which ADK has a thread of its own."""
    session = asyncio.run(runner.session_service.create_session(app_name="office", user_id="user-1"))
    message = types.Content(role="user", parts=[types.Part(text="Go")])
    return texts(list(runner.run(user_id="user-1", session_id=session.id, new_message=message)))


def by_stream(runner: InMemoryRunner) -> list[str]:
    """Run the agent as its answer is written."""
    from google.adk.agents.run_config import RunConfig, StreamingMode

    return texts(asyncio.run(_events(runner, run_config=RunConfig(streaming_mode=StreamingMode.SSE))))


ROADS = [by_run_async, by_run, by_stream]
Road = Callable[[InMemoryRunner], list[str]]


def answers(model: Script) -> list[Any]:
    """Return what the model got as the functions' responses."""
    return [part.function_response.response for part in model.seen[-1] if part.function_response]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office, road: Road, is_async: bool) -> None:
    """Also side by side; the model gets the refusals, and goes on."""
    model = a_model("search delete search delete")
    assert ["done"] == road(runner_of(office, agent_of(office, model, is_async=is_async)))
    assert [("search", "it")] * 2 == office.done
    assert [{"result": "search: it"}, {"error": REFUSED}] * 2 == answers(model)
    assert ["success"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_a_terminate_ends_the_loop(office: Office, road: Road) -> None:
    """The model is not asked again, and the run ends as interrupted."""
    model = a_model("wipe", "search")
    assert [LAST_WORDS] == road(runner_of(office, agent_of(office, model)))
    assert ([], 1) == (office.done, len(model.seen))
    assert ["interrupted"] == office.ends()
    assert LAST_WORDS not in office.said()


@pytest.mark.parametrize("road", ROADS)
def test_calls_that_a_terminate_overtakes(office: Office, road: Road) -> None:
    """Side by side with it, while they are being decided, are blocked as well; the run is the caller's, and stopped."""
    with office.client.run("mine") as run:
        office.plane.answer = overtaken(run)
        assert [LAST_WORDS] == road(runner_of(office, agent_of(office, a_model("wipe search", "search"))))
    assert [] == office.done


@pytest.mark.parametrize("road", ROADS)
def test_only_new_messages_are_recorded(office: Office, road: Road) -> None:
    """Instructions, question, the tools' results, the last word: each once."""
    road(runner_of(office, agent_of(office, a_model("search", "search"))))
    said = office.said()
    assert (1, 1, 1) == (len([text for text in said if "Be kind." in text]), said.count("Go"), said.count("done"))
    assert 2 == len([text for text in said if "search: it" in text])


@pytest.mark.parametrize("road", ROADS)
def test_tokens_are_counted(office: Office, road: Road) -> None:
    """Those of each answer, once."""
    road(runner_of(office, agent_of(office, a_model("search"))))
    told = [(event.data.model.name, event.data.tokens) for event in office.events("llm.result")]
    assert [("scripted-1", TokenCounts(10, 5))] * 2 == told


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_a_tool(office: Office, road: Road) -> None:
    """Is recorded, reaches the caller, and ends the run."""
    with pytest.raises(Exception, match="no it"):
        road(runner_of(office, agent_of(office, a_model("fail"))))
    assert ["error"] == office.ends()
    assert ["no it"] == [event.data.error.message for event in office.events("tool.result")]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_the_model(office: Office, road: Road) -> None:
    """As above."""

    class Broken(Script):
        async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[Any, None]:
            raise ConnectionError("no model")
            yield

    with pytest.raises(Exception, match="no model"):
        road(runner_of(office, agent_of(office, Broken())))
    assert ["error"] == office.ends()


def test_the_callers_run(office: Office) -> None:
    """An agent that runs within it belongs to it, and leaves its end to the caller."""
    with office.client.run("mine"):
        by_run_async(runner_of(office, agent_of(office, a_model("search"))))
        assert [] == office.ends()
    assert {"mine"} == {request.run_id for request in office.plane.named("evaluate")}


def test_actor_session_and_tags(office: Office) -> None:
    """Come from ADK's user and session, and from the tool."""
    plugin = HandlebarPlugin(office.client, tool_tags={"search": ["read"]})
    agent = agent_of(office, a_model("search"))
    agent.tools[0].custom_metadata = {"handlebar_tags": ["crm"]}
    by_run_async(runner_of(office, agent, plugin))
    request = office.plane.named("evaluate")[0]
    assert ("user-1", ("read", "crm")) == (request.actor.external_id, request.tool_tags)
    assert office.plane.named("start")[0].session_id


def test_agents_as_tools(office: Office) -> None:
    """Belong to the run of the agent that uses them, and are governed in it."""
    inner = LlmAgent(name="helper", model=a_model("delete"), tools=[FunctionTool(office.body("delete"))])
    office.plane.answer = lambda request: BLOCK if request.tool_name == "delete" else ALLOW
    agent = agent_of(office, a_model("helper", request="do"), more=[AgentTool(inner)])
    assert ["done"] == by_run_async(runner_of(office, agent))
    assert (["helper", "delete"], []) == (office.asked(), office.done)
    assert 1 == len({request.run_id for request in office.plane.named("evaluate")})
    assert ["success"] == office.ends()


def test_the_run_is_current_in_a_tool_and_nowhere_else(office: Office) -> None:
    """It does not leak into the code that runs the agent."""
    seen = []

    def search(what: str) -> str:
        """Search."""
        seen.append(handlebar.core.get_current_run())
        return what

    async def around() -> Any:
        agent = LlmAgent(name="clerk", model=a_model("search"), tools=[search])
        await _events(runner_of(office, agent))
        return handlebar.core.get_current_run()

    assert asyncio.run(around()) is None
    assert [office.plane.named("start")[0].run_id] == [run.run_id for run in seen]


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
def test_waiting_for_a_person(office: Office, status: Any, then: Decision) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    plugin = HandlebarPlugin(office.client, wait_for_approval=30)
    assert ["done"] == by_run_async(runner_of(office, agent_of(office, a_model("pay")), plugin))
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


class Talk:
    """A session whose runs are interrupted by questions to people."""

    def __init__(self, office: Office, agent: Any, road: Road, plugin: Any = None) -> None:
        mine = plugin or HandlebarPlugin(office.client, on_approval="interrupt")
        self.runner = runner_of(office, agent, mine)
        self._road = road
        self._session = asyncio.run(self.runner.session_service.create_session(app_name="office", user_id="user-1"))
        self.requests: list[Any] = []

    def says(self, *parts: Any) -> list[str]:
        """Let the user say something; return what the agent says, and keep what it requests."""
        options: Any = {"user_id": "user-1", "session_id": self._session.id}
        if self._road is by_stream:
            from google.adk.agents.run_config import RunConfig, StreamingMode

            options["run_config"] = RunConfig(streaming_mode=StreamingMode.SSE)
        message = types.Content(role="user", parts=list(parts))

        async def heard() -> list[Any]:
            return [event async for event in self.runner.run_async(new_message=message, **options)]

        blocking = self._road is by_run
        events = list(self.runner.run(new_message=message, **options)) if blocking else asyncio.run(heard())
        self.requests = [
            call
            for event in events
            for call in event.get_function_calls()
            if call.id in (event.long_running_tool_ids or ())
        ]
        return texts(events)

    def begins(self) -> list[str]:
        """Let the user begin."""
        return self.says(types.Part(text="Go"))

    def answers(self, *, confirmed: bool = True) -> list[str]:
        """Let the user answer every request."""
        given = {"confirmed": confirmed}
        answers = [types.FunctionResponse(id=each.id, name=each.name, response=given) for each in self.requests]
        return self.says(*(types.Part(function_response=each) for each in answers))


def requested(talk: Talk) -> list[str]:
    """Return the tools whose calls the user is to confirm."""
    return [call.args["originalFunctionCall"]["name"] for call in talk.requests]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("said", ["approved", "denied"])
def test_an_interrupt_for_a_person(asking: Office, person: AskingPlane, road: Road, said: str) -> None:
    """Nobody holds the run meanwhile; what is confirmed too early is requested again, and asks nobody twice."""
    model = a_model("pay")
    talk = Talk(asking, agent_of(asking, model), road)
    assert [] == talk.begins()
    for _ in range(2):
        assert (["pay"], [{"what": "it"}]) == (requested(talk), person.questions())
        assert ([], [], 1) == (asking.done, asking.ends(), len(model.seen))
        assert [] == talk.answers()
    person.answer_all(said)
    assert ["done"] == talk.answers()
    assert ([("pay", "it")] if said == "approved" else []) == asking.done
    assert [{"result": "pay: it"} if said == "approved" else {"error": A_NO}] == answers(model)[-1:]
    assert (1, ["success"]) == (len({each.run_id for each in person.named("start")}), asking.ends())
    assert ["pay", "pay"] == asking.asked()


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("step", ["pay search delete", "search delete pay"])
@pytest.mark.parametrize("said", ["approved", "denied"])
def test_an_interrupt_beside_other_calls(asking: Office, person: AskingPlane, road: Road, step: str, said: str) -> None:
    """Each call is decided for itself, and made once at most."""
    model = a_model(step)
    talk = Talk(asking, agent_of(asking, model), road)
    talk.begins()
    assert ("pay", "it") not in asking.done
    person.answer_all(said)
    assert ["done"] == talk.answers()
    made = ["pay", "search"] if said == "approved" else ["search"]
    assert made == sorted(name for name, _ in asking.done)


@pytest.mark.parametrize("road", ROADS)
def test_the_frameworks_no(asking: Office, person: AskingPlane, road: Road) -> None:
    """Rejects the call; the person is not asked again, and the run stops."""
    model = a_model("pay")
    talk = Talk(asking, agent_of(asking, model), road)
    talk.begins()
    assert [LAST_WORDS] == talk.answers(confirmed=False)
    assert ([], ["interrupted"], 1) == (asking.done, asking.ends(), len(person.questions()))


def test_an_interrupt_that_is_resumed_elsewhere(asking: Office, person: AskingPlane) -> None:
    """Goes on in the same run, where a no still stands."""
    model = a_model("pay")
    agent = agent_of(asking, model)
    talk = Talk(asking, agent, by_run_async)
    talk.begins()
    person.answer_all("denied")
    service = talk.runner.session_service
    talk.runner = runner_of(asking, agent, HandlebarPlugin(asking.client, on_approval="interrupt"))
    talk.runner.session_service = service
    assert ["done"] == talk.answers()
    assert ([], []) == (asking.done, person.questions())
    assert 1 == len({each.run_id for each in person.named("evaluate")})


def test_an_interrupt_within_a_run_of_the_callers(asking: Office, person: AskingPlane) -> None:
    """Leaves that run to its owner."""
    talk = Talk(asking, agent_of(asking, a_model("pay")), by_run_async)
    with asking.client.run("mine"):
        talk.begins()
        person.answer_all("approved")
        assert ["done"] == talk.answers()
        assert [] == asking.ends()
    assert ({"mine"}, [("pay", "it")]) == ({each.run_id for each in person.named("evaluate")}, asking.done)


def test_a_tool_with_a_confirmation_of_its_own(asking: Office) -> None:
    """Is decided first, and confirmed by ADK's rules then."""
    agent = agent_of(asking, a_model("search"))
    agent.tools[0] = FunctionTool(asking.body("search"), require_confirmation=True)
    talk = Talk(asking, agent, by_run_async)
    assert ([], []) == (talk.begins(), asking.done)
    assert ["search"] == requested(talk)
    assert ["done"] == talk.answers()
    assert [("search", "it")] == asking.done


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("road", ROADS)
def test_a_control_plane_that_is_down(monkeypatch: pytest.MonkeyPatch, fail_closed: bool, road: Road) -> None:
    """The call is answered as the client's fail mode says."""
    plane = ScriptedPlane(UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))
    road(runner_of(office, agent_of(office, a_model("search"))))
    assert ([] if fail_closed else [("search", "it")]) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_bug_of_ours(monkeypatch: pytest.MonkeyPatch, fail_closed: bool) -> None:
    """Is as if the control plane were down; the agent goes on, or ends, without an exception."""
    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))

    def broken(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    monkeypatch.setattr("handlebar.core.run.Run.before_tool_sync", broken)
    assert [LAST_WORDS if fail_closed else "done"] == by_run_async(
        runner_of(office, agent_of(office, a_model("search")))
    )
    assert ([] if fail_closed else [("search", "it")]) == office.done


def test_sixteen_at_once(office: Office) -> None:
    """Runs under one plugin share nothing: each has a run of its own, and its own actor."""
    plugin = HandlebarPlugin(office.client)

    async def all_at_once() -> None:
        runners = [runner_of(office, agent_of(office, a_model("search", what=f"user-{n}")), plugin) for n in range(16)]
        await asyncio.gather(*(_events(runner, user=f"user-{n}") for n, runner in enumerate(runners)))

    asyncio.run(all_at_once())
    asked = [each for each in office.plane.named("evaluate") if each.phase == "tool.before"]
    assert 16 == len({each.run_id for each in asked})
    assert all(each.actor.external_id == each.args.value()["what"] for each in asked)
    assert ["success"] * 16 == office.ends()
