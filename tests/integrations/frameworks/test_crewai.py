"""CrewAI crews that are kicked off in a governed block."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from handlebar.core.schema.events import TokenCounts
from handlebar.core.schema.governance import Decision
from handlebar.errors import RunTerminatedError, UnreachableError
from tests.integrations.frameworks.office import ASK, REFUSED, Office, as_json, in_turn, overtaken
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, ScriptedPlane

with pytest.MonkeyPatch.context() as quiet:
    for name in ("CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING", "OTEL_SDK_DISABLED"):
        quiet.setenv(name, "true")
    pytest.importorskip("crewai", reason="crewai is not installed")

from crewai import Agent, Crew, Task
from crewai.events.types.llm_events import LLMCallType
from crewai.llms.base_llm import BaseLLM
from crewai.tools import BaseTool

from handlebar.integrations.crewai import HandlebarHooks

pytestmark = pytest.mark.filterwarnings("ignore")  # CrewAI's own, of which it has many

NAMES = ("search", "fail", "delete", "wipe", "pay")
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is sent anywhere, nor kept."""
    monkeypatch.setenv("CREWAI_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("CREWAI_TRACING_ENABLED", "false")
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))


class Script(BaseLLM):
    """A model that wants the tools of one step after another called, and then says that it is done."""

    steps: list[str] = []
    what: str = "it"
    seen: list[Any] = []

    def call(self, messages: Any, *args: Any, **options: Any) -> Any:
        """Answer."""
        if "broken" in self.steps:
            raise ConnectionError("no model")
        self.seen.append([dict(message) for message in messages])
        number = len(self.seen) - 1
        calls: Any = [
            {"id": f"c-{next(_numbers)}", "function": {"name": tool, "arguments": as_json(what=self.what)}}
            for tool in (self.steps[number].split() if number < len(self.steps) else [])
        ]
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        self._emit_call_completed_event(calls or "done", LLMCallType.LLM_CALL, usage=usage)
        return calls or "done"

    async def acall(self, messages: Any, *args: Any, **options: Any) -> Any:
        """As above."""
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        """Yes."""
        return True


def a_model(*steps: str, what: str = "it") -> Script:
    """Return a model."""
    return Script(model="a-model", steps=list(steps), what=what, seen=[])


def tool_of(office: Office, named: str) -> BaseTool:
    """Return the tool of that name."""

    class Tool(BaseTool):
        name: str = named
        description: str = f"Does {named} to something."
        tags: list[str] = ["crm"]

        def _run(self, what: str) -> str:
            return office.work(named, what)

    return Tool()


def crew_of(office: Office, model: Script) -> Crew:
    """Return a crew of one, with every tool."""
    clerk = Agent(
        role="clerk", goal="Help", backstory="Kind.", llm=model, tools=[tool_of(office, name) for name in NAMES]
    )
    return Crew(agents=[clerk], tasks=[Task(description="Go", expected_output="A word", agent=clerk)])


def by_kickoff(crew: Crew, hooks: HandlebarHooks, **about: Any) -> str:
    """Kick off the blocking way; return the output."""
    with hooks.governing(**about):
        return crew.kickoff().raw


def by_kickoff_async(crew: Crew, hooks: HandlebarHooks, **about: Any) -> str:
    """Kick off in a thread of CrewAI's."""

    async def ran() -> str:
        async with hooks.governing_async(**about):
            return (await crew.kickoff_async()).raw

    return asyncio.run(ran())


def by_akickoff(crew: Crew, hooks: HandlebarHooks, **about: Any) -> str:
    """Kick off on a loop."""

    async def ran() -> str:
        async with hooks.governing_async(**about):
            return (await crew.akickoff()).raw

    return asyncio.run(ran())


def by_stream(crew: Crew, hooks: HandlebarHooks, **about: Any) -> str:
    """Kick off, and consume the stream."""
    crew.stream = True
    with hooks.governing(**about):
        stream: Any = crew.kickoff()
        list(stream)
        return stream.result.raw


ROADS = [by_kickoff, by_kickoff_async, by_akickoff, by_stream]
Road = Callable[..., Any]


def results(model: Script) -> list[str]:
    """Return what the model got from the tools."""
    return [message["content"] for message in model.seen[-1] if message["role"] == "tool"]


@pytest.mark.parametrize("road", ROADS)
def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office, road: Road) -> None:
    """Also side by side; the model gets the refusals, and goes on."""
    model = a_model("search delete search delete")
    assert "done" == road(crew_of(office, model), HandlebarHooks(office.client))
    assert [("search", "it")] * 2 == office.done
    assert ["search: it", REFUSED] * 2 == results(model)
    assert ["success"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_a_terminate_ends_the_loop(office: Office, road: Road) -> None:
    """The model is not asked again."""
    model = a_model("wipe", "search")
    with pytest.raises(RunTerminatedError, match="Enough"):
        road(crew_of(office, model), HandlebarHooks(office.client))
    assert ([], 1, ["interrupted"]) == (office.done, len(model.seen), office.ends())


@pytest.mark.parametrize("road", ROADS)
def test_calls_that_a_terminate_overtakes(office: Office, road: Road) -> None:
    """Side by side with it, while they are being decided, are blocked as well; the run is the caller's, and stopped."""
    with office.client.run("mine") as run:
        office.plane.answer = overtaken(run)
        with pytest.raises(RunTerminatedError, match="Enough"):
            road(crew_of(office, a_model("wipe search", "search")), HandlebarHooks(office.client))
    assert [] == office.done


@pytest.mark.parametrize("road", ROADS)
def test_only_new_messages_are_recorded(office: Office, road: Road) -> None:
    """The tools' results and the last word: each once."""
    road(crew_of(office, a_model("search", "search")), HandlebarHooks(office.client))
    said = office.said()
    assert (1, 2) == (said.count("done"), said.count("search: it"))
    assert 1 == len([text for text in said if "Current Task: Go" in text])


@pytest.mark.parametrize("road", ROADS)
def test_tokens_are_counted(office: Office, road: Road) -> None:
    """Those of each answer."""
    road(crew_of(office, a_model("search")), HandlebarHooks(office.client))
    assert [TokenCounts(10, 5)] * 2 == [event.data.tokens for event in office.events("llm.result")]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_a_tool(office: Office, road: Road) -> None:
    """Is recorded; CrewAI tells the model, which goes on."""
    assert "done" == road(crew_of(office, a_model("fail")), HandlebarHooks(office.client))
    assert ["no it"] == [event.data.error.message.strip('"') for event in office.events("tool.result")]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_the_model(office: Office, road: Road) -> None:
    """Reaches the caller unchanged, and ends the run."""
    with pytest.raises(ConnectionError, match="no model"):
        road(crew_of(office, a_model("broken")), HandlebarHooks(office.client))
    assert ["error"] == office.ends()


def test_the_callers_run(office: Office) -> None:
    """A block within it belongs to it, and leaves its end to the caller."""
    with office.client.run("mine"):
        by_kickoff(crew_of(office, a_model("search")), HandlebarHooks(office.client))
        assert [] == office.ends()
    assert {"mine"} == {request.run_id for request in office.plane.named("evaluate")}


def test_actor_session_and_tags(office: Office) -> None:
    """Come from the block, from the table, and from the tool."""
    hooks = HandlebarHooks(office.client, tool_tags={"search": ["read"]})
    by_kickoff(crew_of(office, a_model("search")), hooks, actor="user-7", session_id="talk-1")
    request = office.plane.named("evaluate")[0]
    told = (request.actor.external_id, request.tool_tags, request.args.value())
    assert ("user-7", ("read", "crm"), {"what": "it"}) == told
    assert "talk-1" == office.plane.named("start")[0].session_id


def test_outside_of_the_block(office: Office) -> None:
    """Nobody is asked."""
    crew_of(office, a_model("delete")).kickoff()
    assert ([("delete", "it")], []) == (office.done, office.asked())


def test_redactors_change_what_the_model_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """At every request, and no message is recorded twice for that."""
    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, redactors=[lambda text: text.replace("it", "[it]")]))
    model = a_model("search", "search")
    by_kickoff(crew_of(office, model), HandlebarHooks(office.client))
    assert ["search: [it]"] * 2 == results(model)
    assert 2 == office.said().count("search: [it]")


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
def test_waiting_for_a_person(office: Office, status: Any, then: Decision) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    hooks = HandlebarHooks(office.client, wait_for_approval=30)
    assert "done" == by_kickoff(crew_of(office, a_model("pay")), hooks)
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("road", ROADS)
def test_a_control_plane_that_is_down_and_a_bug_of_ours(
    monkeypatch: pytest.MonkeyPatch, fail_closed: bool, broken: bool, road: Road
) -> None:
    """The call is answered as the client's fail mode says."""
    plane = ScriptedPlane(ALLOW if broken else UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))

    def bug(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    if broken:
        monkeypatch.setattr("handlebar.core.run.Run.before_tool_sync", bug)
    try:
        road(crew_of(office, a_model("search")), HandlebarHooks(office.client))
    except RunTerminatedError:
        assert fail_closed
    assert ([] if fail_closed else [("search", "it")]) == office.done


def test_a_bug_in_a_hook_itself(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks the call, where CrewAI would have made it."""

    def bug(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    monkeypatch.setattr("handlebar.integrations.governing.gate.Gate.before", bug)
    by_kickoff(crew_of(office, a_model("search")), HandlebarHooks(office.client))
    assert [] == office.done


def test_sixteen_at_once(office: Office) -> None:
    """Blocks share nothing: each has a run of its own, and its own actor."""
    hooks = HandlebarHooks(office.client)

    def one(number: int) -> None:
        by_kickoff(crew_of(office, a_model("search", what=f"user-{number}")), hooks, actor=f"user-{number}")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(16)))
    asked = [each for each in office.plane.named("evaluate") if each.phase == "tool.before"]
    assert 16 == len({each.run_id for each in asked})
    assert all(each.actor.external_id == each.args.value()["what"] for each in asked)
    assert ["success"] * 16 == office.ends()
