"""What the hand-off tools do: one of five actions; the outcome is JSON text that a model reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import fields, frozen

from handlebar.handoff.exceptions import HandoffRailError, invalid
from handlebar.handoff.integrations.base import BaseAdapter
from handlebar.handoff.models import PacketResponse


@frozen(kw_only=True)
class Wish:
    """What a model wants done; what is empty was not said."""

    packet_id: str | None = None
    target_agent_id: str | None = None
    target_agent_name: str | None = None
    summary: str | None = None
    status: str | None = None
    priority: str | None = None
    tags: str | Sequence[str] | None = None

    @classmethod
    def of(cls, wanted: Mapping[str, Any]) -> Wish:
        """Return what a model wants; what no action takes is left out."""
        return cls(**{each.name: wanted[each.name] for each in fields(cls) if each.name in wanted})

    def needed(self, name: str) -> str:
        """
        Return a part that an action cannot do without.

        Raises:
            ValidationError: It was not said.
        """
        value = getattr(self, name)
        if not isinstance(value, str) or not value.strip():
            raise invalid(name, "is needed for this action")
        return value

    def words(self) -> list[str]:
        """Return the tags, which models write with commas or as a list."""
        given = self.tags.split(",") if isinstance(self.tags, str) else self.tags or ()
        return [word.strip() for word in given if word.strip()]


def perform(adapter: BaseAdapter, action: str, wish: Wish) -> str:
    """Do what a model wants; return JSON text that says what came of it, also where that was an error of hand-offs."""
    try:
        if action not in _ACTIONS:
            raise invalid("action", f"{action!r} is none of {', '.join(_ACTIONS)}")
        return json.dumps(_ACTIONS[action](adapter, wish))
    except HandoffRailError as error:
        return json.dumps({"error": error.message, "error_type": type(error).__name__})


def unusable(error: Exception) -> str:
    """Return JSON text that says why arguments cannot be used."""
    return json.dumps({"error": str(error), "error_type": "ValidationError"})


def _create(adapter: BaseAdapter, wish: Wish) -> Mapping[str, str]:
    target = wish.needed("target_agent_id")
    packet = adapter.create_handoff(
        target,
        wish.target_agent_name or target,
        wish.needed("summary"),
        priority=wish.priority or "normal",
        tags=wish.words(),
    )
    return _outcome("created", packet)


def _claim(adapter: BaseAdapter, wish: Wish) -> Mapping[str, str]:
    return _outcome("claimed", adapter.claim_handoff(wish.needed("packet_id")))


def _update(adapter: BaseAdapter, wish: Wish) -> Mapping[str, str]:
    packet = adapter.update_handoff(wish.needed("packet_id"), status=wish.status or None, summary=wish.summary or None)
    return _outcome("updated", packet)


def _complete(adapter: BaseAdapter, wish: Wish) -> Mapping[str, str]:
    return _outcome("completed", adapter.complete_handoff(wish.needed("packet_id")))


def _get(adapter: BaseAdapter, wish: Wish) -> Mapping[str, str]:
    packet = adapter.get_handoff(wish.needed("packet_id"))
    return {"packet_id": str(packet.id), "status": str(packet.status), "summary": packet.context.summary}


def _outcome(done: str, packet: PacketResponse) -> Mapping[str, str]:
    return {"status": done, "packet_id": str(packet.id)}


_ACTIONS: Mapping[str, Callable[[BaseAdapter, Wish], Mapping[str, str]]] = {
    "create": _create,
    "claim": _claim,
    "update": _update,
    "complete": _complete,
    "get": _get,
}
