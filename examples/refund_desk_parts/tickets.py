"""Tickets: what customers write to the desk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import frozen


class TicketFileError(Exception):
    """The file of tickets cannot be used; the message says where and why."""


@frozen(kw_only=True)
class Ticket:
    """One message from a customer; the last three are what the customer claims, if anything."""

    id: str
    name: str
    email: str
    subject: str
    body: str
    order_id: str | None = None
    date_of_birth: str | None = None
    postcode: str | None = None


def read_tickets(path: Path) -> list[Ticket]:
    """
    Read a JSONL file: one ticket a line; empty lines are passed over.

    Raises:
        TicketFileError: The file cannot be read, or a line is no ticket.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TicketFileError(f"{path}: {error}") from error
    tickets = [_ticket(f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    if not tickets:
        raise TicketFileError(f"{path}: there is no ticket in it")
    return tickets


def _ticket(where: str, line: str) -> Ticket:
    try:
        fields: dict[str, Any] = json.loads(line)
        ticket = Ticket(**fields)
    except (ValueError, TypeError) as error:
        raise TicketFileError(f"{where}: this is no ticket: {error}") from error
    wrong = [key for key, value in fields.items() if not isinstance(value, str) or not value]
    if wrong:
        raise TicketFileError(f"{where}: {', '.join(wrong)}: expected text")
    return ticket
