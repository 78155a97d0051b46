"""A story on a terminal: runs, the hand-offs between them, and people's answers, as one timeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import click

from handlebar.cli.events import entry
from handlebar.cli.texts import show_fields, show_table
from handlebar.control.approvals import ApprovalRecord
from handlebar.control.stories import Story

_COLUMNS = ("time", "who", "kind", "tool", "verdict", "message")

Row = tuple[object, ...]


def show_story(story: Story, slugs: Mapping[str, str]) -> None:
    """Print the packets of a story, and then everything that happened, in the order of time."""
    for packet in story.packets:
        show_fields(_fields(packet))
        click.echo()
    rows = [*_event_rows(story, slugs), *_packet_rows(story), *_answer_rows(story.approvals)]
    show_table(_COLUMNS, sorted(rows, key=lambda row: str(row[0])), empty="Nothing has happened.")


def _fields(packet: Mapping[str, Any]) -> dict[str, object]:
    metadata = packet["metadata"]
    return {
        "Hand-off": packet["id"],
        "Status": packet["status"],
        "From": metadata["source_agent"]["name"],
        "To": metadata["target_agent"]["name"],
        "Summary": packet["context"]["summary"],
    }


def _event_rows(story: Story, slugs: Mapping[str, str]) -> Iterator[Row]:
    for event in story.events:
        at, *rest = entry(event)
        yield at, slugs[event.agent_id], *rest


def _packet_rows(story: Story) -> Iterator[Row]:
    for packet in story.packets:
        for each in packet["history"]:
            at = _stamp(datetime.fromisoformat(each["timestamp"]).replace(tzinfo=timezone.utc))
            yield at, each["actor"], f"packet.{each['event_type']}", None, None, _told(packet, each)


def _told(packet: Mapping[str, Any], happening: Mapping[str, Any]) -> str | None:
    if happening["event_type"] == "created":
        return str(packet["context"]["summary"])
    return ", ".join(f"{name} {value}" for name, value in happening["details"].items() if value is not None) or None


def _answer_rows(asked: tuple[ApprovalRecord, ...]) -> Iterator[Row]:
    for question in asked:
        for each in question.answers:
            yield _stamp(each.at), each.responded_by, f"approval.{each.status}", question.tool_name, None, each.note


def _stamp(when: datetime) -> str:
    """Return a time as audit events have theirs."""
    return f"{when.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}"
