"""Commands about the inbox: whatever waits for a person, questions of rules and hand-offs alike."""

from __future__ import annotations

import click
from click.core import ParameterSource

from handlebar.cli.approvals import login_name
from handlebar.cli.documents import show_document
from handlebar.cli.places import Place, at_place, database_option, json_option, opened_place, tenant_option
from handlebar.cli.texts import show_fields, show_table
from handlebar.control.inbox import Inbox


@click.group("inbox", invoke_without_command=True)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="So many at most.")
@json_option
@tenant_option
@database_option
@click.pass_context
def command(context: click.Context, database: str | None, tenant: str, limit: int, as_json: bool) -> None:
    """List what waits for a person's answer, the longest waiting first; or answer it."""
    if context.invoked_subcommand is None:
        with opened_place(database, tenant) as place:
            _list(place, limit, as_json=as_json)
    elif any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in context.params):
        raise click.UsageError(f"Options of `{context.invoked_subcommand}` stand behind that word")


@command.command("answer")
@click.argument("item_id", metavar="ID")
@click.argument("response")
@click.option("--by", metavar="NAME", help="Who answers; you, by your login name, where it is not given.")
@click.option("--note", help="Why, for the record.")
@json_option
@at_place()
def answer(place: Place, item_id: str, response: str, by: str | None, note: str | None, as_json: bool) -> None:
    """
    Answer what waits under ID with RESPONSE.

    That is `approved` or `denied` for a question of a rule, and one of its options, if it has any, for a hand-off.
    """
    name = login_name() if by is None else by
    Inbox(place.database, place.tenant).answer(item_id, response, responded_by=name, note=note)
    if as_json:
        show_document({"id": item_id, "response": response, "respondedBy": name, "note": note})
        return
    show_fields({"Answered": item_id, "Answer": response, "By": name, "Note": note})


def _list(place: Place, limit: int, *, as_json: bool) -> None:
    found = Inbox(place.database, place.tenant).waiting(limit=limit)
    if as_json:
        show_document(found)
        return
    rows = [
        (each.id, each.kind, each.agent, each.about, each.question or each.reason, each.options, each.asked_at)
        for each in found
    ]
    columns = ("id", "kind", "agent", "about", "question", "answers", "asked")
    show_table(columns, rows, empty="Nothing waits for an answer.")
