"""Between hand-offs and governed runs: a packet names its run, and the run's audit trail names the packet."""

from __future__ import annotations

from typing import TypeVar

from attrs import evolve

from handlebar.core.current import get_current_run
from handlebar.handoff.models import ChainHandoffRequest, PacketResponse

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


def handed_over(packet: PacketResponse) -> PacketResponse:
    """Have the current run's audit trail say that it has handed over by *packet*, and return that."""
    run = get_current_run()
    if run is not None:
        run.record_handoff(str(packet.id), target_agent=packet.metadata.target_agent.id)
    return packet
