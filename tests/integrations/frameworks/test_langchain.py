"""LangChain agents that are governed by the middleware."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

import handlebar
from handlebar.core.schema.events import TokenCounts
from handlebar.core.schema.governance import Decision
from handlebar.errors import UnreachableError
from tests.integrations.frameworks.asking import A_NO, AskingPlane
from tests.integrations.frameworks.office import ASK, REFUSED, STOPPED, Office, in_turn
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, ScriptedPlane

pytest.importorskip("langchain", reason="langchain is not installed")

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState, StateGraph
from langgraph.types import Command

from handlebar.integrations import langchain as adapter
from handlebar.integrations.langchain import HandlebarMiddleware
from handlebar.integrations.langgraph import governed_tool_node


class Scripted(FakeMessagesListChatModel):
    """A model that answers from a script, and takes tools."""

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Any:
        return self


def calls(*names: str, what: str = "it") -> AIMessage:
    """Return an answer that wants tools called."""
    wanted = [{"name": name, "args": {"what": what}, "id": f"call-{name}-{place}"} for place, name in enumerate(names)]
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    return AIMessage("", tool_calls=wanted, usage_metadata=usage, response_metadata={"model_name": "scripted-1"})


def agent_of(office: Office, *answers: AIMessage, middleware: Any = None, is_async: bool = False, **more: Any) -> Any:
    """Return an agent with every tool, whose model gives *answers* and then says that it is done."""
    body = office.async_body if is_async else office.body
    tools = [tool(body(name)) for name in ("search", "fail", "delete", "wipe", "pay")]
    mine = middleware or HandlebarMiddleware(office.client)
    model = Scripted(responses=[*answers, AIMessage("done")])
    return create_agent(model, tools, middleware=[mine], system_prompt="Be kind.", **more)


def ask(text: str = "Go") -> dict[str, Any]:
    """Return an input."""
    return {"messages": [{"role": "user", "content": text}]}


def by_invoke(agent: Any, **more: Any) -> list[Any]:
    """Run *agent* the blocking way."""
    return agent.invoke(ask(), **more)["messages"]


def by_ainvoke(agent: Any, **more: Any) -> list[Any]:
    """Run *agent* on a loop."""
    return asyncio.run(agent.ainvoke(ask(), **more))["messages"]


def by_stream(agent: Any, **more: Any) -> list[Any]:
    """Run *agent* in steps."""
    return [step["messages"] for step in agent.stream(ask(), stream_mode="values", **more)][-1]


def by_message_stream(agent: Any, **more: Any) -> list[Any]:
    """Run *agent* word by word, which moves every hook to a pool's threads."""
    return [message for message, _ in agent.stream(ask(), stream_mode="messages", **more)]


ROADS = [by_invoke, by_ainvoke, by_stream, by_message_stream]
Road = Callable[..., list[Any]]


def refusals(messages: Sequence[Any]) -> list[str]:
    """Return what the model got in the place of results."""
    return [each.content for each in messages if isinstance(each, ToolMessage) and each.status == "error"]


@pytest.mark.parametrize("road", ROADS)
def test_an_allowed_call_runs(office: Office, road: Road) -> None:
    """Its body runs once, its result reaches the model, and the run ends."""
    messages = road(agent_of(office, calls("search")))
    assert [("search", "it")] == office.done
    assert "done" == messages[-1].content
    assert ["success"] == office.ends()
    assert ["success"] == [event.data.outcome for event in office.events("tool.result")]


@pytest.mark.parametrize("road", ROADS)
def test_a_blocked_call_does_not_run(office: Office, road: Road) -> None:
    """Its body never runs; the model gets the refusal, and goes on."""
    messages = road(agent_of(office, calls("delete"), calls("search")))
    assert [("search", "it")] == office.done
    assert [REFUSED] == refusals(messages)
    assert "done" == messages[-1].content


@pytest.mark.parametrize("road", [by_ainvoke])
def test_async_tools(office: Office, road: Road) -> None:
    """Tools that are coroutine functions are governed as well."""
    messages = road(agent_of(office, calls("delete", "search"), is_async=True))
    assert [("search", "it")] == office.done
    assert [REFUSED] == refusals(messages)


@pytest.mark.parametrize("road", ROADS)
def test_a_terminate_ends_the_loop(office: Office, road: Road) -> None:
    """The model is not asked again, and the run ends as interrupted."""
    messages = road(agent_of(office, calls("wipe"), calls("search")))
    assert [] == office.done
    assert [STOPPED] == refusals(messages)
    assert adapter.STOPPED == messages[-1].content
    assert ["interrupted"] == office.ends()


def test_calls_that_come_after_a_terminate_are_blocked(office: Office) -> None:
    """In the same batch too."""
    gone = threading.Event()

    class AfterTheStop(HandlebarMiddleware):
        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            if request.tool_call["name"] == "search":
                gone.wait(10)
            answer = super().wrap_tool_call(request, handler)
            gone.set()
            return answer

    messages = by_invoke(agent_of(office, calls("wipe", "search"), middleware=AfterTheStop(office.client)))
    assert [] == office.done
    assert [STOPPED, STOPPED] == refusals(messages)


def test_parallel_calls_are_each_decided(office: Office) -> None:
    """Those that are allowed run, those that are blocked do not."""
    messages = by_invoke(agent_of(office, calls("search", "delete", "search", "delete")))
    assert [("search", "it"), ("search", "it")] == office.done
    assert [REFUSED, REFUSED] == refusals(messages)


@pytest.mark.parametrize("road", ROADS)
def test_only_new_messages_are_recorded(office: Office, road: Road) -> None:
    """Instructions, question, the model's two answers and the tool's result: each once."""
    road(agent_of(office, calls("search"), calls("search", what="more")))
    wanted = ["Be kind.", "Go", "search: it", "search: more", "done"]
    assert wanted == [text for text in office.said() if not text.startswith("[")]


@pytest.mark.parametrize("road", ROADS)
def test_tokens_are_counted(office: Office, road: Road) -> None:
    """Those of each answer, with the model's name."""
    road(agent_of(office, calls("search")))
    told = [(event.data.model.name, event.data.tokens) for event in office.events("llm.result")]
    assert [("scripted-1", TokenCounts(10, 5))] == told


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_a_tool(office: Office, road: Road) -> None:
    """Is recorded, reaches the caller unchanged, and ends the run."""
    with pytest.raises(ValueError, match="no it"):
        road(agent_of(office, calls("fail")))
    assert ["error"] == office.ends()
    assert ["no it"] == [event.data.error.message for event in office.events("tool.result")]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_the_model(office: Office, road: Road) -> None:
    """As above."""

    class Broken(Scripted):
        def _generate(self, *args: Any, **options: Any) -> Any:
            raise ConnectionError("no model")

    agent = create_agent(Broken(responses=[]), [], middleware=[HandlebarMiddleware(office.client)])
    with pytest.raises(ConnectionError, match="no model"):
        road(agent)
    assert ["error"] == office.ends()


def test_the_callers_run(office: Office) -> None:
    """An agent that is invoked within a run belongs to it, and leaves its end to the caller."""
    with office.client.run("mine", actor="user-1"):
        by_invoke(agent_of(office, calls("search"), calls("search")))
        assert [] == office.ends()
    assert {"mine"} == {request.run_id for request in office.plane.named("evaluate")}
    assert [("mine", "success")] == office.plane.named("end")


@pytest.mark.parametrize("fails", [False, True])
def test_an_agent_in_a_tool(office: Office, fails: bool) -> None:
    """Under the same middleware belongs to the run of the agent around it, which ends it."""
    mine = HandlebarMiddleware(office.client)
    inner = agent_of(office, calls("fail" if fails else "search"), middleware=mine)

    def delegate(what: str) -> str:
        """Ask another agent."""
        with suppress(ValueError):
            inner.invoke(ask(what))
        return str(office.plane.named("end"))

    office.plane.answer = ALLOW
    model = Scripted(responses=[calls("delegate"), AIMessage("done")])
    by_invoke(create_agent(model, [tool(delegate)], middleware=[mine]))
    assert ("[]" in office.said(), ["success"]) == (True, office.ends())


def test_actor_session_and_tags(office: Office) -> None:
    """Come from the context of the invocation, the thread, and the tool."""
    seen = HandlebarMiddleware(
        office.client, actor=lambda runtime: runtime.context["user"], tool_tags={"search": ["read"]}
    )
    agent = agent_of(office, calls("search"), middleware=seen, checkpointer=InMemorySaver(), context_schema=dict)
    by_invoke(agent, config={"configurable": {"thread_id": "t-1"}}, context={"user": "user-7"})
    request = office.plane.named("evaluate")[0]
    assert ("user-7", ("read",)) == (request.actor.external_id, request.tool_tags)
    assert "t-1" == office.plane.named("start")[0].session_id


def test_a_conversation_goes_on(office: Office) -> None:
    """The next turn of a thread records only what is new in it."""
    agent = agent_of(office, calls("search"), checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "t-1"}}
    agent.invoke(ask("First"), thread)
    agent.invoke(ask("Second"), thread)
    assert 1 == office.said().count("First")
    assert 1 == office.said().count("Second")


def test_guarded_tools_find_the_run(office: Office) -> None:
    """The run is the current one in tools' bodies, on whichever thread they run."""
    seen = []

    @tool
    def search(what: str) -> str:
        """Search."""
        seen.append(handlebar.core.get_current_run())
        return what

    model = Scripted(responses=[calls("search"), AIMessage("done")])
    by_invoke(create_agent(model, [search], middleware=[HandlebarMiddleware(office.client)]))
    assert [office.plane.named("start")[0].run_id] == [run.run_id for run in seen]


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
def test_waiting_for_a_person(office: Office, status: Any, then: Decision) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    middleware = HandlebarMiddleware(office.client, wait_for_approval=30)
    messages = by_invoke(agent_of(office, calls("pay"), middleware=middleware))
    assert ([("pay", "it")] if then is ALLOW else []) == office.done
    assert "done" == messages[-1].content


def interrupted(road: Road) -> Callable[..., Any]:
    """Return a road that gives what the graph waits for, and its messages; of an input, or of a resumption."""

    def walk(agent: Any, given: Any, thread: Any) -> tuple[list[Any], list[Any]]:
        if road is by_ainvoke:
            asyncio.run(agent.ainvoke(given, thread))
        elif road is by_invoke:
            agent.invoke(given, thread)
        else:
            list(agent.stream(given, thread, stream_mode="messages" if road is by_message_stream else "values"))
        state = agent.get_state(thread)
        return [each.value["tool"] for each in state.interrupts], state.values["messages"]

    return walk


THREAD: Any = {"configurable": {"thread_id": "t-1"}}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("said", ["approved", "denied"])
def test_an_interrupt_for_a_person(asking: Office, person: AskingPlane, road: Road, said: str) -> None:
    """Nobody holds the run meanwhile; what is resumed too early is interrupted again, and asks nobody twice."""
    middleware, walk = HandlebarMiddleware(asking.client, on_approval="interrupt"), interrupted(road)
    agent = agent_of(asking, calls("pay"), middleware=middleware, checkpointer=InMemorySaver())
    waiting, _ = walk(agent, ask(), THREAD)
    for _ in range(2):
        assert (["pay"], [{"what": "it"}]) == (waiting, person.questions())
        assert ([], []) == (asking.done, asking.ends())
        waiting, _ = walk(agent, Command(resume=True), THREAD)
    person.answer_all(said)
    waiting, messages = walk(agent, Command(resume=True), THREAD)
    assert ("done", []) == (messages[-1].content, waiting)
    assert ([("pay", "it")] if said == "approved" else []) == asking.done
    assert ([] if said == "approved" else [A_NO]) == refusals(messages)
    assert (1, ["success"]) == (len({each.run_id for each in person.named("start")}), asking.ends())
    assert ["pay", "pay"] == asking.asked()


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("step", ["pay search delete", "search delete pay"])
@pytest.mark.parametrize("said", ["approved", "denied"])
def test_an_interrupt_beside_other_calls(asking: Office, person: AskingPlane, road: Road, step: str, said: str) -> None:
    """Each call is decided for itself, and made once at most."""
    middleware, walk = HandlebarMiddleware(asking.client, on_approval="interrupt"), interrupted(road)
    agent = agent_of(asking, calls(*step.split()), middleware=middleware, checkpointer=InMemorySaver())
    waiting, _ = walk(agent, ask(), THREAD)
    assert ("pay", "it") not in asking.done
    person.answer_all(said)
    while waiting:
        given = {each.id: True for each in agent.get_state(THREAD).interrupts}
        waiting, messages = walk(agent, Command(resume=given), THREAD)
    assert "done" == messages[-1].content
    made = ["pay", "search"] if said == "approved" else ["search"]
    assert made == sorted(name for name, _ in asking.done)


def test_an_interrupt_that_is_resumed_elsewhere(office: Office) -> None:
    """A middleware that has never seen the run goes on with it, governed, under the same id."""
    saver = InMemorySaver()
    thread = {"configurable": {"thread_id": "t-1"}}
    first = HandlebarMiddleware(office.client, on_approval="interrupt")
    agent_of(office, calls("pay"), middleware=first, checkpointer=saver).invoke(ask(), thread)
    office.plane.answer = ALLOW
    second = HandlebarMiddleware(office.client, on_approval="interrupt")
    elsewhere = agent_of(office, middleware=second, checkpointer=saver)
    assert "done" == elsewhere.invoke(Command(resume=True), thread)["messages"][-1].content
    assert 1 == len({request.run_id for request in office.plane.named("evaluate")})
    assert ["pay", "pay"] == office.asked()


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("road", [by_invoke, by_ainvoke])
def test_a_control_plane_that_is_down(monkeypatch: pytest.MonkeyPatch, fail_closed: bool, road: Road) -> None:
    """The call is answered as the client's fail mode says."""
    plane = ScriptedPlane(UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))
    road(agent_of(office, calls("search")))
    assert ([] if fail_closed else [("search", "it")]) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_bug_of_ours(office: Office, monkeypatch: pytest.MonkeyPatch, fail_closed: bool) -> None:
    """Is as if the control plane were down; the agent goes on, or ends, without an exception."""
    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))

    def broken(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    monkeypatch.setattr("handlebar.core.run.Run.before_tool_sync", broken)
    messages = by_invoke(agent_of(office, calls("search")))
    assert ([] if fail_closed else [("search", "it")]) == office.done
    assert (adapter.STOPPED if fail_closed else "done") == messages[-1].content


def test_a_tool_that_nobody_has(office: Office) -> None:
    """A name that the model has made up is asked about like any other."""
    office.plane.answer = ALLOW
    messages = by_invoke(agent_of(office, calls("conjure")))
    assert ["conjure"] == office.asked()
    assert "done" == messages[-1].content


def test_redactors_change_what_the_model_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """At every call, not only when the message is new."""
    sent: list[list[str]] = []

    class Listening(Scripted):
        def _generate(self, messages: list[Any], *args: Any, **options: Any) -> Any:
            sent.append([str(message.content) for message in messages])
            return super()._generate(messages, *args, **options)

    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, redactors=[lambda text: text.replace("secret", "···")]))
    model = Listening(responses=[calls("search"), AIMessage("done")])
    agent = create_agent(model, [tool(office.body("search"))], middleware=[HandlebarMiddleware(office.client)])
    agent.invoke(ask("my secret"))
    assert ["my ···", "my ···"] == [messages[0] for messages in sent]


def test_sixteen_at_once(office: Office) -> None:
    """Invocations of one agent share nothing: each has a run, and its own actor."""
    middleware = HandlebarMiddleware(office.client, actor=lambda runtime: runtime.context["user"])

    def one(number: int) -> None:
        model = Scripted(responses=[calls("search", what=str(number)), AIMessage("done")])
        agent = create_agent(model, [tool(office.body("search"))], middleware=[middleware], context_schema=dict)
        agent.invoke(ask(), context={"user": f"user-{number}"})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(16)))
    asked = [each for each in office.plane.named("evaluate") if each.phase == "tool.before"]
    assert {f"user-{number}" for number in range(16)} == {each.actor.external_id for each in asked}
    assert all(each.actor.external_id == f"user-{each.args.value()['what']}" for each in asked)
    assert ["success"] * 16 == office.ends()


def graph_of(office: Office, *names: str, **options: Any) -> Any:
    """Return a graph that has one governed tool node, and nothing else."""
    graph = StateGraph(MessagesState)
    graph.add_node("tools", governed_tool_node([tool(office.body(name)) for name in names], office.client, **options))
    graph.set_entry_point("tools")
    return graph.compile()


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
def test_a_tool_node_of_ones_own_that_waits(office: Office, status: Any, then: Decision) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    graph_of(office, "pay", wait_for_approval=30).invoke({"messages": [calls("pay")]})
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


def test_a_terminate_in_a_tool_node_of_ones_own(office: Office) -> None:
    """Refuses every later call, and the graph's edge can tell."""
    graph = graph_of(office, "wipe", "search")
    with office.client.run("mine") as run:
        graph.invoke({"messages": [calls("wipe")]})
        assert run.should_terminate
        messages = graph.invoke({"messages": [calls("search")]})["messages"]
    assert ([STOPPED], [], ["wipe"]) == (refusals(messages), office.done, office.asked())


@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_tool_node_of_ones_own_without_a_control_plane(monkeypatch: pytest.MonkeyPatch, fail_closed: bool) -> None:
    """The call is answered as the client's fail mode says."""
    plane = ScriptedPlane(UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))
    graph_of(office, "search").invoke({"messages": [calls("search")]})
    assert ([] if fail_closed else [("search", "it")]) == office.done


def test_a_tool_node_of_ones_own(office: Office) -> None:
    """Each call is governed, in the caller's run, or in one of its own."""
    compiled = graph_of(office, "search", "delete")
    with office.client.run("mine"):
        messages = compiled.invoke({"messages": [calls("search", "delete")]})["messages"]
    assert [REFUSED] == refusals(messages)
    asyncio.run(compiled.ainvoke({"messages": [calls("delete")]}))
    assert [("search", "it")] == office.done
    assert {"mine"} < {request.run_id for request in office.plane.named("evaluate")}
    assert ["success", "success"] == office.ends()
