"""Packets and times as the API words them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from attrs import fields

from handlebar._plumbing import safe_json
from handlebar.control.moments import microseconds, moment
from handlebar.handoff.models.base import Model
from handlebar.handoff.models.packets import PacketResponse


def bare(when: datetime) -> str:
    """Return a time as the API writes its own stamps: in UTC, without saying so."""
    return when.astimezone(timezone.utc).replace(tzinfo=None).isoformat()


def bare_stamp(microseconds: int) -> str:
    """Return a time from the database as the API writes its own stamps."""
    return bare(moment(microseconds))


def read_stamp(text: str) -> int:
    """Return the time that `bare_stamp` has written; raises ValueError or TypeError where it is none."""
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=timezone.utc))


def packet_on_wire(packet: PacketResponse) -> dict[str, Any]:
    """Return a packet as it is answered, with every null spelled out."""
    stamps = {"created_at": bare(packet.created_at), "updated_at": bare(packet.updated_at)}
    return {**packet.to_dict(nulls=True), **stamps}


def record_on_wire(record: Model) -> dict[str, Any]:
    """Return a record as it is answered, with every null spelled out, its times as the API writes its own stamps."""
    values = {each.name: getattr(record, each.name) for each in fields(type(record))}  # type: ignore[arg-type]  # every model is attrs
    stamps = {name: bare(value) for name, value in values.items() if isinstance(value, datetime)}
    return {**record.to_dict(nulls=True), **stamps}


def written(packet: PacketResponse) -> str:
    """Return a packet as it is kept: the text of `packet_on_wire`."""
    return safe_json.encode(packet_on_wire(packet))


def read(text: str) -> PacketResponse:
    """Return the packet that was written so."""
    return PacketResponse.from_dict(json.loads(text))
