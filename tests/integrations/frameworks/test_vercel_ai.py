"""Agents of Vercel's `ai` that are governed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from handlebar.core.schema.events import TokenCounts
from handlebar.core.schema.governance import Decision
from handlebar.errors import UnreachableError
from tests.integrations.frameworks.asking import A_NO, AskingPlane
from tests.integrations.frameworks.office import ASK, REFUSED, Office, in_turn, overtaken
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, ScriptedPlane

pytest.importorskip("ai.agents", reason="ai is not installed")

import ai
from ai.testing import FakeModel, tool_call
from ai.types.usage import Usage

from handlebar.integrations.vercel_ai import HandlebarAgent

NAMES = ("search", "fail", "delete", "wipe", "pay")
USED = Usage(input_tokens=10, output_tokens=5)


def agent_of(office: Office, **options: Any) -> HandlebarAgent:
    """Return an agent with every tool."""
    return HandlebarAgent(office.client, tools=[ai.tool(office.async_body(name)) for name in NAMES], **options)


def a_model(*steps: str, what: str = "it") -> Any:
    """Return a model that wants the tools of one step after another, and then says that it is done."""
    script = [ai.user_message("Go")]
    for step in steps:
        script.append(ai.assistant_message(*(tool_call(name, what=what) for name in step.split())))
    return FakeModel([*script, ai.assistant_message("done")])


async def ran(agent: Any, model: Any) -> Any:
    """Run *agent*, and return its messages."""
    async with agent.run(model, [ai.user_message("Go")]) as stream:
        async for _ in stream:
            pass
        return stream.messages


def results(messages: Any) -> list[tuple[bool, Any]]:
    """Return what the model got from the tools, and whether it was an error."""
    return [(part.result_kind == "error", part.result) for message in messages for part in message.tool_results]


def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office) -> None:
    """Also side by side; the model gets the refusals, and goes on."""
    messages = asyncio.run(ran(agent_of(office), a_model("search delete search delete")))
    assert ("done", [("search", "it")] * 2) == (messages[-1].text, office.done)
    assert sorted([(False, "search: it"), (True, REFUSED)] * 2) == sorted(results(messages))
    assert ["success"] == office.ends()


def test_a_terminate_ends_the_loop(office: Office) -> None:
    """The model is not asked again."""
    messages = asyncio.run(ran(agent_of(office), a_model("wipe", "search")))
    assert ([], ["wipe"], "") == (office.done, office.asked(), messages[-1].text)
    assert ["interrupted"] == office.ends()


def test_calls_that_a_terminate_overtakes(office: Office) -> None:
    """Side by side with it, while they are being decided, are blocked as well; the run is the caller's, and stopped."""
    with office.client.run("mine") as run:
        office.plane.answer = overtaken(run)
        asyncio.run(ran(agent_of(office), a_model("wipe search", "search")))
    assert [] == office.done


def test_only_new_messages_are_recorded(office: Office) -> None:
    """Question, results, last word: each once."""
    asyncio.run(ran(agent_of(office), a_model("search", "search")))
    said = office.said()
    assert (1, 1, 2) == (said.count("Go"), said.count("done"), len([text for text in said if "search: it" in text]))


def test_tokens_are_counted(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of each answer; the fake model tells none, until it is made to."""
    replay = ai.events._replay_message_events

    async def telling(message: Any) -> Any:
        async for event in replay(message):
            yield event.model_copy(update={"usage": USED})

    monkeypatch.setattr(ai.events, "_replay_message_events", telling)
    asyncio.run(ran(agent_of(office), a_model("search")))
    assert [TokenCounts(10, 5)] * 2 == [event.data.tokens for event in office.events("llm.result")]


def test_an_error_in_a_tool(office: Office) -> None:
    """Is recorded; the framework tells the model, which goes on."""
    messages = asyncio.run(ran(agent_of(office), a_model("fail")))
    assert ("done", ["no it"]) == (
        messages[-1].text,
        [event.data.error.message for event in office.events("tool.result")],
    )


def test_an_error_in_the_model(office: Office) -> None:
    """Reaches the caller as the framework's own error, and ends the run."""
    with pytest.raises(ExceptionGroup):  # noqa: F821  # the framework needs Python 3.12
        asyncio.run(ran(agent_of(office), FakeModel([ai.user_message("Other"), ai.assistant_message("done")])))
    assert ["error"] == office.ends()


def test_the_callers_run_actor_and_tags(office: Office) -> None:
    """A run within it belongs to it; otherwise the actor is told by the messages, and tags by the table."""
    with office.client.run("mine"):
        asyncio.run(ran(agent_of(office), a_model("search")))
        assert [] == office.ends()
    agent = agent_of(office, actor=lambda messages: messages[0].text, tool_tags={"search": ["read"]})
    asyncio.run(ran(agent, a_model("search")))
    first, *_, last = office.plane.named("evaluate")
    assert ("mine", "Go", ("read",)) == (first.run_id, last.actor.external_id, last.tool_tags)


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
def test_waiting_for_a_person(office: Office, status: Any, then: Decision) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    asyncio.run(ran(agent_of(office, wait_for_approval=30), a_model("pay")))
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


@pytest.fixture(name="replaying")
def _replaying(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake model knows a message again that the framework has marked for going on; real ones do not see marks."""
    plain = ai.testing.fingerprint

    def unmarked(message: Any) -> str:
        change = {"cached_result": None}
        parts = [part.model_copy(update=change) if part.kind == "tool_call" else part for part in message.parts]
        return plain(message.model_copy(update={"replay": False, "parts": parts}))

    monkeypatch.setattr(ai.testing, "fingerprint", unmarked)


async def went_on(agent: Any, model: Any, messages: Any) -> Any:
    """Run *agent* with the messages of a run that was interrupted."""
    async with agent.run(model, messages) as stream:
        async for _ in stream:
            pass
        return stream.messages


def deferred(messages: Any) -> list[str]:
    """Return the tools whose calls are open."""
    return [part.tool_name for part in messages[-1].tool_results if part.is_hook_deferred]


@pytest.mark.usefixtures("replaying")
@pytest.mark.parametrize("said", ["approved", "denied"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_interrupt_for_a_person(asking: Office, person: AskingPlane, said: str, elsewhere: bool) -> None:
    """Nobody holds the run meanwhile; what goes on too early is interrupted again, and asks nobody twice."""
    agent, model = agent_of(asking, on_approval="interrupt"), a_model("pay")
    messages = asyncio.run(ran(agent, model))
    for _ in range(2):
        assert (["pay"], [{"what": "it"}]) == (deferred(messages), person.questions())
        assert ([], []) == (asking.done, asking.ends())
        messages = asyncio.run(went_on(agent, model, messages))
    person.answer_all(said)
    if elsewhere:
        agent = agent_of(asking, on_approval="interrupt")
        messages = [ai.messages.Message.model_validate_json(each.model_dump_json()) for each in messages]
    messages = asyncio.run(went_on(agent, model, messages))
    assert ("done", []) == (messages[-1].text, deferred(messages))
    assert ([("pay", "it")] if said == "approved" else []) == asking.done
    assert [(False, "pay: it") if said == "approved" else (True, A_NO)] == results(messages)
    assert (1, ["success"]) == (len({each.run_id for each in person.named("evaluate")}), asking.ends())
    assert ["pay", "pay"] == asking.asked()


@pytest.mark.usefixtures("replaying")
@pytest.mark.parametrize("step", ["pay search delete", "search delete pay"])
@pytest.mark.parametrize("said", ["approved", "denied"])
def test_an_interrupt_beside_other_calls(asking: Office, person: AskingPlane, step: str, said: str) -> None:
    """Each call is decided for itself, and made once at most."""
    agent, model = agent_of(asking, on_approval="interrupt"), a_model(step)
    messages = asyncio.run(ran(agent, model))
    assert ("pay", "it") not in asking.done
    person.answer_all(said)
    messages = asyncio.run(went_on(agent, model, messages))
    assert "done" == messages[-1].text
    made = ["pay", "search"] if said == "approved" else ["search"]
    assert made == sorted(name for name, _ in asking.done)
    assert 3 == len(results(messages))


def test_a_tool_with_an_approval_of_its_own(asking: Office) -> None:
    """Is decided first, and waits for the framework's hook then."""
    tool = ai.tool(require_approval=True)(asking.async_body("search"))
    agent = HandlebarAgent(asking.client, tools=[tool], on_approval="interrupt")

    async def granted() -> Any:
        async with agent.run(a_model("search"), [ai.user_message("Go")]) as stream:
            async for event in stream:
                if isinstance(event, ai.events.HookEvent) and event.hook.status == "pending":
                    assert ([], ["search"]) == (asking.done, asking.asked())
                    ai.resolve_hook(event.hook, {"granted": True})
            return stream.messages

    assert "done" == asyncio.run(granted())[-1].text
    assert [("search", "it")] == asking.done


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("broken", [True, False])
def test_a_control_plane_that_is_down_and_a_bug_of_ours(
    monkeypatch: pytest.MonkeyPatch, fail_closed: bool, broken: bool
) -> None:
    """The call is answered as the client's fail mode says; nothing raises."""
    plane = ScriptedPlane(ALLOW if broken else UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))

    def bug(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    if broken:
        monkeypatch.setattr("handlebar.core.run.Run.before_tool_sync", bug)
    asyncio.run(ran(agent_of(office), a_model("search")))
    assert ([] if fail_closed else [("search", "it")]) == office.done


def test_sixteen_at_once(office: Office) -> None:
    """Runs of one agent share nothing."""
    agent = agent_of(office)

    async def many() -> None:
        await asyncio.gather(*(ran(agent, a_model("search", what=str(number))) for number in range(16)))

    asyncio.run(many())
    asked = [each for each in office.plane.named("evaluate") if each.phase == "tool.before"]
    assert (16, 16) == (len({each.run_id for each in asked}), len({each.args.value()["what"] for each in asked}))
    assert ["success"] * 16 == office.ends()
