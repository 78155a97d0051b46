"""The client's part for packets by the dozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from handlebar.handoff.asking import Asking, Id
from handlebar.handoff.exceptions import invalid
from handlebar.handoff.models import (
    BatchClaimRequest,
    BatchClaimResponse,
    BatchCompleteRequest,
    BatchCompleteResponse,
    BatchCreateRequest,
    BatchCreateResponse,
    PacketCreate,
)


class BatchCalls(Asking):
    """What can be done with up to 50 packets at once; what fails for one is told beside the others' success."""

    def batch_create_packets(self, packets: Iterable[PacketCreate | Mapping[str, Any]]) -> BatchCreateResponse:
        """Make several packets."""
        batch = BatchCreateRequest.from_dict({"packets": _several("packets", packets)})
        return self._ask(BatchCreateResponse, "POST", "packets", "batch", body=batch.to_dict())

    def batch_claim_packets(
        self, packet_ids: Iterable[Id], agent_id: str, agent_name: str, framework: str | None = None
    ) -> BatchClaimResponse:
        """Take several packets over."""
        agent = {"agent_id": agent_id, "agent_name": agent_name, "framework": framework}
        batch = BatchClaimRequest.from_dict({"packet_ids": _several("packet_ids", packet_ids), **agent})
        return self._ask(BatchClaimResponse, "POST", "packets", "batch", "claim", body=batch.to_dict())

    def batch_complete_packets(self, packet_ids: Iterable[Id]) -> BatchCompleteResponse:
        """Say of several packets that the work is done."""
        batch = BatchCompleteRequest.from_dict({"packet_ids": _several("packet_ids", packet_ids)})
        return self._ask(BatchCompleteResponse, "POST", "packets", "batch", "complete", body=batch.to_dict())


def _several(field: str, parts: Iterable[Any]) -> list[Any]:
    if isinstance(parts, (str, Mapping)) or not isinstance(parts, Iterable):
        raise invalid(field, "needs a list")
    return list(parts)
