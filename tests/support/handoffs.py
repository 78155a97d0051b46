"""Callers of the hand-off API for tests: inside this process, as whoever they please."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from attrs import frozen

from handlebar.control.database import Database
from handlebar.control.handoffs.api import HandoffApi
from handlebar.control.keys import KeyRecord
from handlebar.handoff.exchange import Answer, Call
from tests.support.control import url_of

WHOLE: dict[str, Any] = {
    "metadata": {
        "source_agent": {"id": "intake-7", "name": "Intake", "framework": "langchain", "version": "1.2"},
        "target_agent": {"id": "refunds-2", "name": "Refunds"},
        "created_at": "2026-03-04T10:00:00Z",
        "priority": "high",
        "tags": ["refund", "vip"],
    },
    "context": {
        "summary": "Parcel lost; customer asks for money back",
        "conversation_state": [{"role": "user", "content": "Where is it?", "metadata": {"lang": "en"}}],
        "artifacts": [{"key": "order", "value": {"no": 81}, "content_type": "application/json"}],
        "custom": {"region": "eu"},
    },
    "decisions": [{"id": "d1", "decision": "Refund", "rationale": "Carrier confirmed loss"}],
    "actions": {
        "pending": [{"id": "a1", "description": "Pay back 40 EUR", "assignee": "refunds-2"}],
        "completed": [{"id": "a0", "description": "Check carrier", "result": "lost"}],
        "failed": [{"id": "ax", "description": "Call customer", "error": "no answer", "retries_remaining": 1}],
    },
    "dependencies": [{"id": "psp", "type": "api", "description": "Payment provider"}],
}
"""A packet with everything in it but a question to a person."""

QUESTION: dict[str, Any] = {"reason": "Above limit", "question": "Pay?", "options": ["yes", "no"]}


def a_draft(summary: str = "Parcel lost", *, to: str = "refunds-2", **more: Any) -> dict[str, Any]:
    """Return a small packet as callers send it; *more* are members of it, or of its metadata."""
    known = {name: more.pop(name) for name in ("priority", "tags") if name in more}
    agents = {"source_agent": {"id": "intake-7", "name": "Intake"}, "target_agent": {"id": to, "name": to.title()}}
    context = {"summary": summary, **more.pop("context", {})}
    return {"metadata": {**agents, **known}, "context": context, **more}


@frozen
class Somebody:
    """A caller with a key."""

    api: HandoffApi
    key: KeyRecord

    def asks(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Make a call; *path* may have a query, bytes are sent as they are."""
        path, _, query = path.partition("?")
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.api.answer(
            Call(method=method, path=tuple(path.split("/")), query=pairs, body=sent, headers=named), self.key
        )

    def does(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make a call that is answered well; return what is answered."""
        answer = self.asks(method, path, body, **headers)
        assert 200 <= answer.status < 300, answer.body
        return json.loads(answer.body) if answer.body else None

    def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Make a call that is refused; return the status and the detail."""
        answer = self.asks(method, path, body, **headers)
        assert answer.status >= 400, answer.body
        return answer.status, json.loads(answer.body)["detail"]

    def makes(self, summary: str = "Parcel lost", **more: Any) -> Any:
        """Make a packet; return it."""
        return self.does("POST", "packets", a_draft(summary, **more))

    def moves(self, packet: Any, *statuses: str) -> Any:
        """Move a packet from status to status; return it."""
        for status in statuses:
            packet = self.does("PATCH", f"packets/{packet['id']}", {"status": status})
        return packet

    def claims(self, packet: Any, agent: str = "refunds-2") -> Any:
        """Claim a packet; return it."""
        return self.does("POST", f"packets/{packet['id']}/claim", {"agent_id": agent, "agent_name": agent.title()})

    def finds(self, query: str = "") -> list[str]:
        """Return the summaries of the packets that are listed."""
        return [each["context"]["summary"] for each in self.does("GET", f"packets?{query}")["packets"]]

    def history(self, packet: Any) -> list[tuple[str, str, Any]]:
        """Return what has happened to a packet."""
        events = self.does("GET", f"packets/{packet['id']}/history")["events"]
        return [(each["event_type"], each["actor"], each["details"]) for each in events]


@frozen
class Office:
    """The hand-off API on a database."""

    database: Database
    api: HandoffApi

    def somebody(self, role: Any = "admin", *, tenant: str = "default") -> Somebody:
        """Return a caller with a key of that *role*."""
        made = datetime(2026, 1, 1, tzinfo=timezone.utc)
        key = KeyRecord(id=f"{tenant}-{role}", tenant=tenant, name="test", role=role, created_at=made, revoked_at=None)
        return Somebody(self.api, key)


@contextmanager
def an_office(file: Path | None) -> Iterator[Office]:
    """Open the API on *file*, None for a database in memory; close it at the end."""
    with closing(Database(url_of(file))) as database:
        yield Office(database, HandoffApi(database))
