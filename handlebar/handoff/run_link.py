"""Between hand-offs and governed runs: a packet names its run, and the run's audit trail names the packet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

from attrs import evolve

from handlebar.core.current import get_current_run
from handlebar.core.minutes import Minutes, Said
from handlebar.handoff.builder import PacketBuilder
from handlebar.handoff.models import ChainHandoffRequest, ContextEntry, PacketResponse

_ROLES = {"user": "user", "assistant": "agent", "tool": "system"}
"""Instructions are not among them: they are for the agent that hands over."""

TOOL_OUTPUT = "Tool output: "
"""What stands before a tool's result where a turn tells it as text."""

_ROOM = 200_000
"""So many characters of conversation go along, the latest ones."""

R = TypeVar("R", bound=ChainHandoffRequest)

LINK = "handlebar"
"""The entry of a packet's `context.custom` that names the run."""


def stamped(request: R) -> R:
    """Return *request* with the current run's ids; as it is where no run is current."""
    run = get_current_run()
    if run is None:
        return request
    link = {"run_id": run.run_id, "session_id": run.session_id, "agent": run.agent}
    custom = {**request.context.custom, LINK: link}
    return evolve(request, context=evolve(request.context, custom=custom))


def builder_of(minutes: Minutes, *, run_id: str, session_id: str | None, agent: str) -> PacketBuilder:
    """Return a builder that holds what was said and decided in a run, and names the run."""
    link = {"run_id": run_id, "session_id": session_id, "agent": agent}
    builder = PacketBuilder().from_agent(agent, agent).with_custom({LINK: link})
    builder.with_conversation(_turns(minutes.conversation))
    for each in minutes.decisions:
        said = f"{each.decision.verdict.value} {each.use.name}"
        builder.with_decision(said, each.decision.message or "", decided_by="policy")
    for approval_id, each in minutes.waiting.items():
        asked = f"{each.use.name}: {each.decision.message}"
        builder.with_dependency(approval_id, "human_approval", asked, "blocked", "handlebar")
    return builder


def handed_over(packet: PacketResponse) -> PacketResponse:
    """Have the current run's audit trail say that it has handed over by *packet*, and return that."""
    run = get_current_run()
    if run is not None:
        run.record_handoff(str(packet.id), target_agent=packet.metadata.target_agent.id)
    return packet


def _turns(conversation: Sequence[Said]) -> list[ContextEntry]:
    """Return the latest of what was said, as turns."""
    spoken = [each for each in conversation if each.role in _ROLES]
    lengths = accumulate(len(each.text) for each in reversed(spoken))
    fitting = sum(1 for length in lengths if length <= _ROOM)
    return [_turn(each) for each in spoken[len(spoken) - fitting :]]


def _turn(said: Said) -> ContextEntry:
    text = f"{TOOL_OUTPUT}{said.text}" if said.role == "tool" else said.text
    return ContextEntry(role=_ROLES[said.role], content=text)  # type: ignore[arg-type]  # the model makes one of the word
