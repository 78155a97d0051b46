"""Packets as the tests send them, and as a server answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from handlebar.handoff import HandoffPacket, PacketCreate
from tests.support.http_server import Answer

PACKET_ID = "5d1f0c1e-7c39-4a59-9a39-0f5d0f1f2a11"
KEY = "hr_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

FULL: dict[str, Any] = {
    "parent_packet_id": None,
    "metadata": {
        "source_agent": {"id": "intake-7", "name": "Intake", "framework": "langchain", "version": "1.2"},
        "target_agent": {"id": "refunds-2", "name": "Refunds", "framework": None},
        "created_at": "2026-03-04T10:00:00Z",
        "priority": "high",
        "tags": ["refund", "vip"],
    },
    "context": {
        "summary": "Parcel lost; customer asks for money back",
        "conversation_state": [
            {
                "role": "user",
                "content": "Where is it?",
                "timestamp": "2026-03-04T09:58:00Z",
                "metadata": {"lang": "en"},
            }
        ],
        "artifacts": [{"key": "order", "value": {"no": 81, "gift": None}, "content_type": "application/json"}],
        "custom": {"region": "eu", "nothing": None},
    },
    "decisions": [
        {
            "id": "d1",
            "decision": "Refund",
            "rationale": "Carrier confirmed loss",
            "alternatives": ["Resend"],
            "decided_by": "intake-7",
            "timestamp": None,
        }
    ],
    "actions": {
        "pending": [
            {
                "id": "a1",
                "description": "Pay back 40 EUR",
                "assignee": "refunds-2",
                "priority": "high",
                "depends_on": [],
                "deadline": None,
            }
        ],
        "completed": [
            {
                "id": "a0",
                "description": "Check carrier",
                "result": "lost",
                "completed_by": "intake-7",
                "completed_at": None,
            }
        ],
        "failed": [{"id": "ax", "description": "Call customer", "error": "no answer", "retries_remaining": 1}],
    },
    "dependencies": [
        {"id": "psp", "type": "api", "description": "Payment provider", "status": "available", "source": "ext"}
    ],
    "hitl": {
        "required": True,
        "reason": "Above limit",
        "question": "Pay?",
        "options": ["yes", "no"],
        "timeout_seconds": 3600,
    },
    "schema_id": None,
}
"""Everything that a packet can hold, as the wire has it."""


def packet() -> PacketCreate:
    """Return a small packet."""
    return HandoffPacket.builder().from_agent("a-1", "A").to_agent("b-1", "B").with_summary("Over to you").build()


def stored(**more: Any) -> dict[str, Any]:
    """Return a packet as a server answers: its own times without a zone, nulls spelled out."""
    return {
        **packet().to_dict(nulls=True),
        "id": PACKET_ID,
        "version": "1.0.0",
        "status": "created",
        "created_at": "2026-03-04T10:00:00.120000",
        "updated_at": "2026-03-04T10:00:00.120000",
        **more,
    }


def page_of(*packets: Mapping[str, Any], next_cursor: str | None = None) -> dict[str, Any]:
    """Return a page of packets as a server answers."""
    return {"packets": list(packets), "total": len(packets), "limit": 50, "offset": 0, "next_cursor": next_cursor}


def says(content: Any, status: int = 200, **headers: str) -> Answer:
    """Return the answer that holds *content* as JSON."""
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(content).encode(), spelled)
