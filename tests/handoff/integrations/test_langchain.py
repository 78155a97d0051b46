"""Hand-offs of LangChain's conversations."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from handlebar.handoff import HandoffRailClient, PacketResponse, ValidationError

pytest.importorskip("langchain", reason="langchain is not installed")

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from handlebar.handoff import HandoffRailCallbackHandler, HandoffRailTool, LangChainAdapter

CALL = {"name": "search", "args": {"what": "it"}, "id": "call-1", "type": "tool_call"}
PICTURE = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
SAID: list[BaseMessage] = [
    SystemMessage("Be kind."),
    HumanMessage(PICTURE, name="ann"),  # type: ignore[arg-type]  # a list of dicts is one of what it takes
    AIMessage("", tool_calls=[CALL], id="m-1"),
    ToolMessage("found", tool_call_id="call-1", name="search"),
    AIMessage("Here it is", additional_kwargs={"mood": "good"}),
]


class Scripted(FakeMessagesListChatModel):
    """A model that answers from a script, takes tools, and keeps what it was asked."""

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Any:
        return self


@pytest.fixture(name="adapter")
def _adapter(client: HandoffRailClient) -> LangChainAdapter:
    return LangChainAdapter(client, "triage", "Triage")


def handed(adapter: LangChainAdapter, conversation: Any) -> PacketResponse:
    """Hand a conversation over, and return the packet as the server has it."""
    turns = adapter.extract_conversation(conversation)
    made = adapter.create_handoff("billing", "Billing", "Pay back", conversation_state=turns)
    return adapter.get_handoff(made.id)


def resumed(adapter: LangChainAdapter, conversation: Any) -> list[Any]:
    """Return what comes out at the other end, without what is added."""
    return adapter.resume_conversation(handed(adapter, conversation))[1:]


def spoken(packet: PacketResponse | None) -> list[tuple[str, str]]:
    """Return who said what in a packet."""
    assert packet is not None
    return [(turn.role.value, turn.content) for turn in packet.context.conversation_state]


def test_everything_of_a_message_survives(adapter: LangChainAdapter) -> None:
    """Parts, tool calls, names and ids, through the server and back."""
    assert SAID == resumed(adapter, SAID)


def test_others_read_text(adapter: LangChainAdapter) -> None:
    """What is no text is named."""
    expected = [
        ("system", "Be kind."),
        ("user", "Look\n[image_url]"),
        ("agent", '[calls search with {"what":"it"}]'),
        ("system", "found"),
        ("agent", "Here it is"),
    ]
    assert expected == spoken(handed(adapter, SAID))


def test_the_framework_takes_it(adapter: LangChainAdapter) -> None:
    """An agent goes on with what it gets."""
    agent = create_agent(Scripted(responses=[AIMessage("done")]), [])
    messages = agent.invoke({"messages": adapter.resume_conversation(handed(adapter, SAID))})["messages"]
    assert "Handoff context: Pay back" == messages[0].content
    assert "done" == messages[-1].content
    assert 2 + len(SAID) == len(messages)


def test_what_is_to_be_done(adapter: LangChainAdapter) -> None:
    """Stands in the first message, with what it is about."""
    todo = [{"description": "Call her", "assignee": "billing"}]
    packet = adapter.create_handoff("billing", "Billing", "Pay back", pending_actions=todo)
    (first,) = adapter.resume_conversation(packet)
    assert "Handoff context: Pay back\n\nPending actions:\n- Call her (assignee: billing)" == first.content


def test_chunks_make_messages(adapter: LangChainAdapter) -> None:
    """The pieces of a stream are one message again, with its tool calls."""
    piece = {"name": "search", "args": '{"what":', "id": "call-1", "index": 0, "type": "tool_call_chunk"}
    rest = {"name": None, "args": '"it"}', "id": None, "index": 0, "type": "tool_call_chunk"}
    chunks = [
        AIMessageChunk("Let me ", id="m"),
        AIMessageChunk("see", id="m", tool_call_chunks=[piece]),  # type: ignore[list-item]  # a plain dict is as good
        AIMessageChunk("", id="m", tool_call_chunks=[rest]),  # type: ignore[list-item]  # as above
    ]
    (answer, missing) = resumed(adapter, [*chunks])
    assert ("Let me see", [CALL]) == (answer.content, answer.tool_calls)
    assert "call-1" == missing.tool_call_id


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ("hello", [("user", "hello")]),
        ([], []),
        (None, []),
        (5, []),
        (("human", "hello"), [("user", "hello")]),
        ([("human", "a"), ("ai", "b")], [("user", "a"), ("agent", "b")]),
        ({"messages": [HumanMessage("a")]}, [("user", "a")]),
        (HumanMessage("a"), [("user", "a")]),
        (ChatPromptTemplate.from_messages([("human", "{x}")]).invoke({"x": "a"}), [("user", "a")]),
        ([{"role": "agent", "content": "a"}, {"type": "human", "content": "b"}], [("agent", "a"), ("user", "b")]),
        ([{"role": "critic", "content": "no"}, HumanMessage("yes")], [("system", "no"), ("user", "yes")]),
        ([ChatMessage("no", role="critic"), ChatMessage("yes", role="user")], [("system", "no"), ("user", "yes")]),
    ],
)
def test_forms_of_conversations(adapter: LangChainAdapter, context: Any, expected: list[tuple[str, str]]) -> None:
    """Each is understood, one element after the other, and what is none is empty."""
    packet = handed(adapter, context)
    assert expected == spoken(packet)
    assert len(expected) == len(adapter.resume_conversation(packet)) - 1


def test_turns_stay_turns(adapter: LangChainAdapter) -> None:
    """What came out of a packet goes into the next one as it was, with its time and metadata."""
    turn = {"role": "agent", "content": "a", "timestamp": "2026-03-04T10:00:00Z", "metadata": {"x": 1}}
    assert [turn] == adapter.extract_conversation([turn])


def test_calls_and_results_are_paired(adapter: LangChainAdapter) -> None:
    """A call that was cut off gets a result, and a result without a call is told as text, for models demand it."""
    cut_off = [HumanMessage("go"), AIMessage("", tool_calls=[CALL])]
    *_, result = resumed(adapter, cut_off)
    assert ("tool", "call-1") == (result.type, result.tool_call_id)
    lone = resumed(adapter, [ToolMessage("found", tool_call_id="gone")])
    assert [("human", "Tool output: found")] == [(each.type, each.content) for each in lone]


@pytest.mark.parametrize(
    "beside",
    [
        {"type": "remove", "id": "__remove_all__"},
        {"type": "ai", "content": "something else"},
        {"type": "system"},
        {"type": "human", "tool_calls": 5, "id": 5},
        {"type": ["ai"]},
        {"type": "chat", "role": ["user"]},
        "ai",
        5,
    ],
)
def test_what_stands_beside_is_not_believed(adapter: LangChainAdapter, beside: Any) -> None:
    """Where it does not fit the text or the role, the text counts."""
    turn = {"role": "user", "content": "hello", "metadata": {"langchain": beside}}
    (message,) = resumed(adapter, [turn])
    assert ("human", "hello") == (message.type, message.content)


def handler_of(adapter: LangChainAdapter, **more: Any) -> HandoffRailCallbackHandler:
    """Return a handler that hands over."""
    return HandoffRailCallbackHandler(adapter, auto_handoff=True, target_agent_id="billing", **more)


def chain_of(answer: str = "Bonjour") -> Any:
    """Return a chain of a prompt, a model and a parser, inside two more."""
    prompt = ChatPromptTemplate.from_messages([("system", "Translate."), ("human", "{text}")])
    inner = prompt | Scripted(responses=[AIMessage(answer)]) | StrOutputParser()
    return RunnableLambda(lambda text: {"text": text}) | inner | RunnableLambda(str.strip)


def by_invoke(chain: Any, given: Any, handler: Any) -> None:
    """Run the blocking way."""
    chain.invoke(given, config={"callbacks": [handler]})


def by_ainvoke(chain: Any, given: Any, handler: Any) -> None:
    """Run on a loop."""
    asyncio.run(chain.ainvoke(given, config={"callbacks": [handler]}))


def by_stream(chain: Any, given: Any, handler: Any) -> None:
    """Run piece by piece."""
    for _ in chain.stream(given, config={"callbacks": [handler]}):
        pass


ROADS = [by_invoke, by_ainvoke, by_stream]


@pytest.mark.parametrize("road", ROADS)
def test_a_nested_chain_is_handed_over_once(client: HandoffRailClient, adapter: LangChainAdapter, road: Any) -> None:
    """With each turn once, and without the instructions to the model."""
    handler = handler_of(adapter)
    road(chain_of(), "Hello", handler)
    assert [("user", "Hello"), ("agent", "Bonjour")] == spoken(handler.last_packet)
    (packet,) = client.iter_packets()
    assert ("Handoff from Triage", "billing") == (packet.context.summary, packet.metadata.target_agent.name)


@pytest.mark.parametrize("road", ROADS)
def test_an_agent_is_handed_over(client: HandoffRailClient, adapter: LangChainAdapter, road: Any) -> None:
    """With its tool calls and results, each once."""

    @tool
    def search(what: str) -> str:
        """Search."""
        return f"found {what}"

    handler = handler_of(adapter, target_agent_name="Billing", summary_template="From {agent_name}")
    model = Scripted(responses=[AIMessage("", tool_calls=[CALL]), AIMessage("Here it is")])
    agent = create_agent(model, [search], system_prompt="Be kind.")
    road(agent, {"messages": [{"role": "user", "content": "Find it"}]}, handler)
    (packet,) = client.iter_packets()
    expected = [
        ("user", "Find it"),
        ("agent", '[calls search with {"what":"it"}]'),
        ("system", "found it"),
        ("agent", "Here it is"),
    ]
    assert expected == spoken(packet)
    assert ["system", "human", "ai", "tool", "ai"] == [each.type for each in adapter.resume_conversation(packet)]


def test_runs_do_not_mix(client: HandoffRailClient, adapter: LangChainAdapter) -> None:
    """One handler may serve many runs, one after another and at once."""
    handler = handler_of(adapter)
    texts = [f"Hello {number}" for number in range(6)]
    chain = RunnableParallel(a=chain_of(), b=RunnableLambda(len))
    chain.batch(texts, config={"callbacks": [handler], "max_concurrency": 3})
    packets = [spoken(packet) for packet in client.iter_packets()]
    assert sorted([("user", text), ("agent", "Bonjour")] for text in texts) == sorted(packets)
    assert 2 == len(handler.conversation)


def test_what_fails_is_not_handed_over(client: HandoffRailClient, adapter: LangChainAdapter) -> None:
    """And leaves nothing behind for the next run."""
    handler = handler_of(adapter)
    with pytest.raises(TypeError):
        (chain_of() | RunnableLambda(len) | RunnableLambda(len)).invoke("Hello", config={"callbacks": [handler]})
    assert [] == list(client.iter_packets())
    by_invoke(chain_of(), "Again", handler)
    assert [("user", "Again"), ("agent", "Bonjour")] == spoken(handler.last_packet)


def test_what_is_interrupted_is_handed_over_later(client: HandoffRailClient, adapter: LangChainAdapter) -> None:
    """When it has been resumed and has ended."""

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"You said {interrupt('Well?')}")]}

    graph = StateGraph(MessagesState).add_node("ask", ask).add_edge(START, "ask").compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}, "callbacks": [handler_of(adapter)]}
    graph.invoke({"messages": [HumanMessage("Hello")]}, config)
    assert [] == list(client.iter_packets())
    graph.invoke(Command(resume="yes"), config)
    (packet,) = client.iter_packets()
    assert [("user", "Hello"), ("agent", "You said yes")] == spoken(packet)


@pytest.mark.parametrize(("given", "output"), [({"input": "a"}, "b"), ("a", {"output": "b"}), ({"x": 1}, None), (5, 6)])
def test_chains_without_models(adapter: LangChainAdapter, given: Any, output: Any) -> None:
    """Tell what they were given and what they gave, as far as that is words."""
    handler = handler_of(adapter)
    by_invoke(RunnableLambda(lambda _: output), given, handler)
    words = [] if output in (None, 6) else [("user", "a"), ("agent", "b")]
    assert words == spoken(handler.last_packet)


def test_listening_only(client: HandoffRailClient, adapter: LangChainAdapter) -> None:
    """Without a word about hand-offs there is none, and the conversation can be looked at."""
    handler = HandoffRailCallbackHandler(adapter)
    by_invoke(chain_of(), "Hello", handler)
    assert ["Hello", "Bonjour"] == [turn["content"] for turn in handler.conversation]
    assert handler.last_packet is None
    assert [] == list(client.iter_packets())


def test_a_hand_off_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Leaves the chain alone, and is logged."""
    with HandoffRailClient("http://127.0.0.1:9/api/v1", "hr_key", max_retries=0) as client:
        handler = handler_of(LangChainAdapter(client, "triage", "Triage"))
        assert "Bonjour" == chain_of().invoke("Hello", config={"callbacks": [handler]})
    assert handler.last_packet is None
    assert "ConnectionError" in caplog.text


@pytest.mark.parametrize("wrong", [{"target_agent_id": ""}, {"target_agent_id": "b", "summary_template": "{who}"}])
def test_a_handler_that_could_not_work(adapter: LangChainAdapter, wrong: Any) -> None:
    """Is refused when it is made."""
    with pytest.raises(ValidationError, match=r"target_agent_id|summary_template"):
        HandoffRailCallbackHandler(adapter, auto_handoff=True, **wrong)


def test_the_tool_tells_models_everything(client: HandoffRailClient) -> None:
    """Its schema has every argument, each with a description."""
    properties = HandoffRailTool(client=client).tool_call_schema.model_json_schema()["properties"]
    expected = {"action", "packet_id", "target_agent_id", "target_agent_name", "summary", "status"}
    assert expected | {"agent_id", "agent_name", "priority", "tags"} == set(properties)
    assert all(each["description"] for each in properties.values())
    assert {"create", "claim", "update", "complete", "get"} == set(properties["action"]["enum"])


def test_the_tool_works(client: HandoffRailClient) -> None:
    """From one action to the next, and an update leaves the conversation alone."""
    handoffs = HandoffRailTool(client=client, agent_id="triage", agent_name="Triage")
    created = {"action": "create", "target_agent_id": "billing", "summary": "Pay", "tags": "a, b", "priority": "high"}
    packet_id = json.loads(handoffs.invoke(created))["packet_id"]
    turns = [{"role": "user", "content": "hi"}]
    packet = client.get_packet(packet_id)
    assert ("triage", "billing", ["a", "b"]) == (
        packet.metadata.source_agent.id,
        packet.metadata.target_agent.name,
        packet.metadata.tags,
    )
    client.update_packet(packet_id, {"context": {"summary": "Pay", "conversation_state": turns}})
    outcomes = [
        json.loads(handoffs.invoke({"packet_id": packet_id, **wish}))
        for wish in (
            {"action": "claim", "agent_id": "billing"},
            {"action": "update", "summary": "Pay back"},
            {"action": "complete"},
            {"action": "get"},
        )
    ]
    assert ["claimed", "updated", "completed", "completed"] == [each["status"] for each in outcomes]
    assert [("user", "hi")] == spoken(client.get_packet(packet_id))


def test_the_tool_answers_models_in_any_case(client: HandoffRailClient) -> None:
    """With an error that they can read."""
    handoffs = HandoffRailTool(client=client)
    for wish in (
        {"action": "fly"},
        {"action": "get"},
        {"action": "create", "summary": "s"},
        {"action": "create", "target_agent_id": "b", "summary": "s", "priority": "soon"},
        {"action": "claim", "packet_id": "5d1f0c1e-7c39-4a59-9a39-0f5d0f1f2a11"},
        {"action": "get", "packet_id": "../keys"},
    ):
        answer = json.loads(handoffs.invoke(wish))
        assert {"error", "error_type"} == set(answer)
        assert answer["error"]


def test_an_agent_uses_the_tool(client: HandoffRailClient) -> None:
    """On a loop, which is not held up: the tool works in another thread."""
    threads: list[str] = []

    class Noted(HandoffRailTool):
        def _run(self, action: str, **wanted: Any) -> str:
            threads.append(threading.current_thread().name)
            return super()._run(action, **wanted)

    args = {"action": "create", "target_agent_id": "billing", "summary": "Pay"}
    call = {"name": "handoffrail", "args": args, "id": "call-2"}
    model = Scripted(responses=[AIMessage("", tool_calls=[call]), AIMessage("done")])
    agent = create_agent(model, [Noted(client=client)])
    messages = asyncio.run(agent.ainvoke({"messages": [("human", "Hand over")]}))["messages"]
    (packet,) = client.iter_packets()
    assert {"status": "created", "packet_id": str(packet.id)} == json.loads(messages[-2].content)
    assert threads
    assert threading.current_thread().name not in threads
