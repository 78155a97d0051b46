"""Commands about approvals: the questions that agents ask people."""

from __future__ import annotations

import getpass
import json
from typing import get_args

import click

from handlebar.cli.documents import plain, show_document
from handlebar.cli.places import Command, Place, at_place, json_option
from handlebar.cli.texts import safe, show_fields, show_table, shown
from handlebar.control.approvals import Answer, ApprovalRecord
from handlebar.core.plane import ApprovalStatus


@click.group("approvals")
def command() -> None:
    """Answer the questions that agents ask people."""


@command.command("list")
@click.option("--status", type=click.Choice(get_args(ApprovalStatus)), help="Only those of this status.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="So many at most.")
@json_option
@at_place()
def list_approvals(place: Place, status: ApprovalStatus | None, limit: int, as_json: bool) -> None:
    """List the latest questions, newest first."""
    found = place.administration.approvals(status=status, limit=limit)
    slugs = place.administration.agent_slugs()
    if as_json:
        show_document([plain(each, agent=slugs[each.agent_id]) for each in found])
        return
    rows = [
        (each.id, each.status, slugs[each.agent_id], each.tool_name, each.actor_id, each.created_at, each.reason)
        for each in found
    ]
    columns = ("id", "status", "agent", "tool", "actor", "asked", "reason")
    show_table(columns, rows, empty="There are no questions.")


@command.command("show")
@click.argument("approval_id", metavar="ID")
@json_option
@at_place()
def show_approval(place: Place, approval_id: str, as_json: bool) -> None:
    """Show the question ID, with the call that it is about, and who has answered what."""
    _show(place, place.administration.approval(approval_id), as_json=as_json)


def _answering(answer: Answer) -> Command:
    @click.argument("approval_id", metavar="ID")
    @click.option("--by", metavar="NAME", help="Who answers; you, by your login name, where it is not given.")
    @click.option("--note", help="Why, for the record.")
    @json_option
    @at_place()
    def answering(place: Place, approval_id: str, by: str | None, note: str | None, as_json: bool) -> None:
        name = login_name() if by is None else by
        _show(place, place.administration.respond(approval_id, answer, responded_by=name, note=note), as_json=as_json)

    return answering


command.command("approve", help="Answer yes to the question ID.")(_answering("approved"))
command.command("deny", help="Answer no to the question ID.")(_answering("denied"))


def login_name() -> str:
    """Return who is logged in."""
    try:
        return getpass.getuser()
    # Before Python 3.13, it depends on the platform what is raised where there is no name.
    except (OSError, KeyError, ImportError):
        raise click.UsageError("This process has no login name: say who answers with --by NAME") from None


def _show(place: Place, approval: ApprovalRecord, *, as_json: bool) -> None:
    agent = place.administration.agent_slugs()[approval.agent_id]
    if as_json:
        show_document(plain(approval, agent=agent))
        return
    show_fields(_fields(approval, agent))
    for each in approval.answers:
        note = f": {safe(each.note)}" if each.note else ""
        click.echo(f"{shown(each.at)} {each.status} by {safe(each.responded_by)}{note}")


def _fields(approval: ApprovalRecord, agent: str) -> dict[str, object]:
    return {
        "Approval": approval.id,
        "Status": approval.status,
        "Agent": agent,
        "Actor": approval.actor_id,
        "Run": approval.run_id,
        "Rule": approval.rule_id,
        "Reason": approval.reason,
        "Tool": approval.tool_name,
        "Arguments": json.dumps(approval.args, ensure_ascii=False),
        "Approvals needed": approval.required,
        "Approvers": "anybody" if approval.approvers is None else approval.approvers,
        "Asked": approval.created_at,
        "Expires": approval.expires_at,
    }
