"""Hand-offs of CrewAI's work."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from handlebar.handoff import HandoffRailClient, PacketResponse

if find_spec("crewai") is None:
    pytest.skip("crewai is not installed", allow_module_level=True)
# Read when it is imported.
os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OTEL_SDK_DISABLED="true", CREWAI_TRACING_ENABLED="false")

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.tasks.task_output import TaskOutput

from handlebar.handoff import CrewAIAdapter, HandoffRailCrewAITool

# CrewAI warns of uses of its own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:crewai")

CALL = {"id": "call-1", "type": "function", "function": {"name": "search", "arguments": '{"what": "it"}'}}
SAID: list[dict[str, Any]] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "x"}}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "found", "tool_call_id": "call-1", "name": "search"},
    {"role": "assistant", "content": "Here it is"},
]


class Scripted(BaseLLM):
    """A model that answers from a script, and keeps what it was asked."""

    answers: list[Any] = []
    asked: list[Any] = []

    def call(self, messages: Any, *args: Any, **options: Any) -> Any:
        self.asked.append(messages)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def supports_function_calling(self) -> bool:
        return True


@pytest.fixture(name="adapter")
def _adapter(client: HandoffRailClient) -> CrewAIAdapter:
    return CrewAIAdapter(client, "triage", "Triage")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CrewAI keeps its files."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    monkeypatch.chdir(tmp_path)


def handed(adapter: CrewAIAdapter, context: Any) -> PacketResponse:
    """Hand over, and return the packet as the server has it."""
    turns = adapter.extract_conversation(context)
    made = adapter.create_handoff("billing", "Billing", "Pay back", conversation_state=turns)
    return adapter.get_handoff(made.id)


def spoken(packet: PacketResponse) -> list[tuple[str, str]]:
    """Return who said what in a packet."""
    return [(turn.role.value, turn.content) for turn in packet.context.conversation_state]


def agent_of(model: Scripted, *tools: Any) -> Agent:
    """Return an agent."""
    return Agent(role="Billing", goal="Pay", backstory="Kind", llm=model, tools=list(tools))


def test_everything_of_a_message_survives(adapter: CrewAIAdapter) -> None:
    """Parts, tool calls and their ids, through the server and back."""
    assert SAID == adapter.resume_conversation(handed(adapter, SAID))["conversation"]


def test_others_read_text(adapter: CrewAIAdapter) -> None:
    """What is no text is named."""
    expected = [
        ("system", "Be kind."),
        ("user", "Look\n[image_url]"),
        ("agent", '[calls search with {"what":"it"}]'),
        ("system", "found"),
        ("agent", "Here it is"),
    ]
    assert expected == spoken(handed(adapter, SAID))


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ([], []),
        (None, []),
        ("done", [("agent", "done")]),
        (["a", 5], [("agent", "a"), ("agent", "5")]),
        ([{"role": "task", "content": "a"}, {"role": "ai", "content": "b"}], [("system", "a"), ("agent", "b")]),
        (TaskOutput(description="Pay", agent="b", raw="paid"), [("system", "Task: Pay"), ("agent", "paid")]),
        (
            TaskOutput(description="Pay", agent="b", raw="paid", messages=[SAID[0], {"role": "user", "content": "go"}]),
            [("user", "go"), ("agent", "paid")],
        ),
        (Task(description="Pay", expected_output="ok"), [("system", "Task: Pay"), ("system", "Expected output: ok")]),
    ],
)
def test_forms_of_work(adapter: CrewAIAdapter, context: Any, expected: list[tuple[str, str]]) -> None:
    """Each is understood, and what is none is empty."""
    assert expected == spoken(handed(adapter, context))


def test_an_agent_goes_on(adapter: CrewAIAdapter) -> None:
    """With the conversation as it gets it."""
    model = Scripted(model="scripted", answers=["done"])
    conversation = adapter.resume_conversation(handed(adapter, SAID[1:]))["conversation"]
    assert "done" == agent_of(model).kickoff(conversation).raw
    assert "Here it is" in str(model.asked[0])


def test_a_crew_goes_on(adapter: CrewAIAdapter) -> None:
    """What comes out of a packet is good as a crew's inputs; and its result is handed on."""
    packet = adapter.create_handoff(
        "billing",
        "Billing",
        "Pay back",
        priority="high",
        decisions=[{"decision": "Refund", "rationale": "Lost"}],
        pending_actions=[{"description": "Pay", "assignee": "billing"}],
        artifacts=[{"key": "order", "value": {"number": 81}}],
        hitl={"reason": "Above limit", "question": "Pay?", "options": ["yes", "no"]},
    )
    adapter.respond_to_hitl(packet.id, "yes", responded_by="ann")
    resumed = adapter.resume_conversation(adapter.get_handoff(packet.id))
    model = Scripted(model="scripted", answers=["paid"])
    agent = agent_of(model)
    task = Task(description="{summary}: {artifacts}", expected_output="A word", agent=agent)
    crew = Crew(agents=[agent], tasks=[task])
    result = crew.kickoff(inputs=resumed)
    assert "Pay back: {'order': {'number': 81}}" in str(model.asked[0])
    assert [("user", "agent")] == [(first[0], last[0]) for first, *_, last in [spoken(handed(adapter, result))]]
    next_packet = adapter.handoff_from_task(result.tasks_output[0], "ledger", summary="Book it")
    assert [("agent", "Task result: paid")] == spoken(next_packet)
    assert ("ledger", "crewai") == (next_packet.metadata.target_agent.name, next_packet.metadata.source_agent.framework)
    assert {
        "summary": "Pay back",
        "conversation": [],
        "pending_actions": [{"id": "a1", "description": "Pay", "assignee": "billing"}],
        "decisions": [{"id": "d1", "decision": "Refund", "rationale": "Lost"}],
        "source_agent": "Triage",
        "source_agent_id": "triage",
        "priority": "high",
        "hitl_required": True,
        "hitl_question": "Pay?",
        "hitl_options": ["yes", "no"],
        "hitl_response": "yes",
        "artifacts": {"order": {"number": 81}},
    } == resumed


def test_an_agent_uses_the_tool(client: HandoffRailClient) -> None:
    """It sees every argument, and its call makes a packet."""
    args = {"action": "create", "target_agent_id": "billing", "summary": "Pay", "tags": ["a"]}
    call = {"id": "c", "type": "function", "function": {"name": "handoffrail", "arguments": json.dumps(args)}}
    model = Scripted(model="scripted", answers=[[call], "done"])
    handoffs = HandoffRailCrewAITool(client)
    expected = {"action", "packet_id", "target_agent_id", "target_agent_name", "summary", "status"}
    assert expected | {"agent_id", "agent_name", "priority", "tags"} == set(handoffs.args_schema.model_fields)
    assert "target_agent_id" in handoffs.description + str(handoffs.args_schema.model_json_schema())
    assert "done" == agent_of(model, handoffs).kickoff("Hand over").raw
    (packet,) = client.iter_packets()
    assert ("unknown", "billing", ["a"]) == (
        packet.metadata.source_agent.id,
        packet.metadata.target_agent.id,
        packet.metadata.tags,
    )


def test_the_tool_works(client: HandoffRailClient) -> None:
    """From one action to the next, in words or on a loop, which it leaves free."""
    handoffs = HandoffRailCrewAITool(client, agent_id="triage", agent_name="Triage")
    created = json.loads(handoffs.run(action="create", target_agent_id="billing", summary="Pay"))
    assert "created" == created["status"]
    for action, status in (("claim", "claimed"), ("complete", "completed"), ("get", "completed")):
        assert status == json.loads(handoffs.run(action=action, packet_id=created["packet_id"]))["status"]

    threads: list[str] = []

    class Noted(HandoffRailCrewAITool):
        def _run(self, action: str, **wanted: Any) -> str:
            threads.append(threading.current_thread().name)
            return super()._run(action, **wanted)

    answer = asyncio.run(Noted(client).arun(action="get", packet_id=created["packet_id"]))
    assert created["packet_id"] == json.loads(answer)["packet_id"]
    assert threads
    assert threading.current_thread().name not in threads


@pytest.mark.parametrize("wish", [{"action": "fly"}, {}, {"action": "get"}, {"action": "get", "packet_id": "../keys"}])
def test_the_tool_answers_models_in_any_case(client: HandoffRailClient, wish: dict[str, str]) -> None:
    """With an error that they can read."""
    handoffs = HandoffRailCrewAITool(client)
    assert {"error", "error_type"} == set(json.loads(handoffs.run(**wish)))
    assert {"error", "error_type"} == set(json.loads(asyncio.run(handoffs.arun(**wish))))
