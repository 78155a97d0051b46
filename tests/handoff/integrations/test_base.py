"""What adapters of any framework do."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
from typing import Any

import pytest

from handlebar.handoff import AsyncHandoffRailClient, BaseAdapter, HandoffRailClient, PacketResponse, ValidationError


class Plain(BaseAdapter):
    """An adapter for conversations that are lists of texts."""

    def extract_conversation(self, context: list[str]) -> list[dict[str, Any]]:
        return [{"role": "user", "content": text} for text in context]

    def resume_conversation(self, packet: PacketResponse) -> list[str]:
        return [turn.content for turn in packet.context.conversation_state]


@pytest.fixture(name="triage")
def _triage(client: HandoffRailClient) -> Plain:
    return Plain(client, "triage", "Triage")


@pytest.fixture(name="billing")
def _billing(client: HandoffRailClient) -> Plain:
    return Plain(client, "billing", "Billing", "home-made")


def test_from_one_agent_to_another(triage: Plain, billing: Plain) -> None:
    """Handed over, found, claimed, completed, each in the agent's own name."""
    made = triage.create_handoff(
        "billing",
        "Billing",
        "Pay back",
        target_framework="home-made",
        priority="high",
        tags=["refund"],
        conversation_state=triage.extract_conversation(["hello"]),
        artifacts=[{"key": "order", "value": {"number": 81}}],
        decisions=[{"decision": "Refund", "rationale": "Lost"}, {"id": "d1", "decision": "Now", "rationale": "Small"}],
        pending_actions=[{"description": "Pay", "assignee": "billing"}],
        dependencies=[{"id": "psp", "type": "api", "description": "Payments"}],
        custom={"region": "eu"},
    )
    assert [made] == billing.poll_for_handoff()
    assert [] == triage.poll_for_handoff()
    assert ["hello"] == billing.resume_conversation(billing.get_handoff(made.id))
    assert ("custom", "home-made") == (made.metadata.source_agent.framework, made.metadata.target_agent.framework)
    assert ["d2", "d1"] == [each.id for each in made.decisions]
    assert ("a1", "psp", {"region": "eu"}) == (
        made.actions.pending[0].id,
        made.dependencies[0].id,
        made.context.custom,
    )
    claimed = billing.claim_handoff(made.id)
    assert ("billing", "home-made") == (claimed.metadata.target_agent.id, claimed.metadata.target_agent.framework)
    assert "completed" == billing.complete_handoff(made.id).status


def test_updates_keep_the_rest(triage: Plain, billing: Plain) -> None:
    """Whatever is not mentioned stays, and what has ended is not pending any more."""
    made = triage.create_handoff(
        "billing",
        "Billing",
        "Pay back",
        conversation_state=[{"role": "user", "content": "hi"}],
        decisions=[{"decision": "Refund", "rationale": ""}],
        pending_actions=[{"description": name, "assignee": "billing"} for name in ("Pay", "Write", "Book")],
        custom={"x": 1},
    )
    billing.claim_handoff(made.id)
    done = {"id": "a1", "description": "Pay", "result": "paid"}
    billing.update_handoff(made.id, status="in_progress", completed_actions=[done], custom={"y": 2})
    wrong = {"id": "a2", "description": "Write", "error": "no address"}
    changed = billing.update_handoff(
        made.id,
        summary="Paid",
        failed_actions=[wrong],
        decisions=[{"decision": "Call", "rationale": ""}],
        dependencies=[{"id": "psp", "type": "api", "description": "Payments"}],
    )
    actions = changed.actions
    assert (["a3"], ["a1"], ["a2"]) == tuple(
        [each.id for each in kind] for kind in (actions.pending, actions.completed, actions.failed)
    )
    assert ("Paid", {"x": 1, "y": 2}, ["hi"]) == (
        changed.context.summary,
        changed.context.custom,
        billing.resume_conversation(changed),
    )
    assert ["d1", "d2"] == [each.id for each in changed.decisions]
    again = {"id": "a2", "description": "Write", "result": "written"}
    more = [{"description": "Call", "assignee": "billing"}]
    healed = billing.update_handoff(made.id, completed_actions=[again], pending_actions=more).actions
    assert (["a3"], ["a1", "a2"], []) == tuple(
        [each.id for each in kind] for kind in (healed.pending, healed.completed, healed.failed)
    )


def test_answers_and_chains(triage: Plain, billing: Plain) -> None:
    """An adapter answers for its agent, and hands on what it was handed."""
    asked = triage.create_handoff("billing", "Billing", "Pay?", hitl={"reason": "Above limit", "question": "Pay?"})
    answered = billing.respond_to_hitl(asked.id, "yes")
    assert answered.hitl is not None
    assert ("yes", "billing") == (answered.hitl.response, answered.hitl.responded_by)
    child = billing.chain_handoff(
        asked.id, "ledger", "Ledger", "Book it", decisions=[{"decision": "x", "rationale": ""}]
    )
    assert (asked.id, "billing", "d1") == (
        child.parent_packet_id,
        child.metadata.source_agent.id,
        child.decisions[0].id,
    )


@pytest.mark.parametrize(
    "wrong", [{"priority": "soon"}, {"decisions": ["x"]}, {"pending_actions": [{}]}, {"summary": " "}, {"hitl": 5}]
)
def test_what_cannot_be_sent(triage: Plain, wrong: dict[str, Any]) -> None:
    """Is refused by the errors of hand-offs, as in the client."""
    with pytest.raises(ValidationError):
        triage.create_handoff("billing", "Billing", **{"summary": "s", **wrong})
    assert [] == list(triage.client.iter_packets())


def test_awaited(tmp_path: Any) -> None:
    """Each method has a twin of the same signature, which leaves the loop free; an asynchronous client will do."""
    twins = [
        name
        for name in vars(BaseAdapter)
        if name.startswith("a") and inspect.iscoroutinefunction(getattr(BaseAdapter, name))
    ]
    assert 8 == len(twins)
    for name in twins:
        assert inspect.signature(getattr(BaseAdapter, name[1:])) == inspect.signature(getattr(BaseAdapter, name))

    async def work() -> str:
        async with AsyncHandoffRailClient(f"sqlite:///{tmp_path}/handoffs.db") as client:
            adapter = Plain(client, "triage", "Triage")
            made = await adapter.acreate_handoff("triage", "Triage", "To myself")
            await adapter.aclaim_handoff(made.id)
            return (await adapter.acomplete_handoff(made.id)).status.value

    assert "completed" == asyncio.run(work())


def test_no_framework_is_loaded() -> None:
    """By the door, by the adapters, or by hand-offs as such."""
    code = (
        "import sys, json; import handlebar.handoff; from handlebar.handoff import HandoffRailClient;"
        "from handlebar.handoff.integrations.base import BaseAdapter;"
        "print(json.dumps([name for name in sys.modules if name.startswith(('langchain', 'crewai', 'pydantic'))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert [] == json.loads(done.stdout)


@pytest.mark.parametrize(
    ("module", "blocked", "made"),
    [
        ("langchain", "langchain_core", "HandoffRailTool(client=None)"),
        ("langchain", "langchain_core", "HandoffRailCallbackHandler(None)"),
        ("crewai", "crewai", "HandoffRailCrewAITool(None)"),
    ],
)
def test_without_the_framework(module: str, blocked: str, made: str) -> None:
    """The module can be imported and its adapter made; what needs the framework says so when it is made."""
    code = (
        f"import sys; sys.modules[{blocked!r}] = None\n"
        f"from handlebar.handoff.integrations.{module} import *\n"
        "adapter = next(v for k, v in globals().copy().items() if k in ('LangChainAdapter', 'CrewAIAdapter'))\n"
        "from handlebar.handoff import HandoffRailClient\n"
        "assert [] == adapter(None, 'a', 'A').extract_conversation([])\n"
        f"try:\n    {made}\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install" in done.stdout
