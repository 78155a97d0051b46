"""Commands about policies."""

from __future__ import annotations

from pathlib import Path

import click

from handlebar.cli.documents import show_document
from handlebar.cli.places import Place, at_place, json_option
from handlebar.cli.policy_changes import diff, push
from handlebar.cli.policy_examples import explain, run_cases
from handlebar.cli.policy_replay import replay
from handlebar.cli.texts import safe, show_table
from handlebar.core.schema.rules import Policy
from handlebar.errors import PolicyError
from handlebar.policy.loading import load_policies
from handlebar.policy.writing import policy_to_dict


@click.group("policy")
def command() -> None:
    """Check policies, try them out, compare them, and put them in force."""


for _each in (run_cases, explain, replay, diff, push):
    command.add_command(_each)


@command.command("validate")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def validate(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check the policies in files and folders, and print every problem."""
    policies: tuple[Policy, ...] = ()
    problems: tuple[str, ...] = ()
    try:
        policies = load_policies(paths)
    except PolicyError as error:
        problems = error.problems
    rules = sum(len(policy.rules) for policy in policies)
    if as_json:
        show_document({"policies": len(policies), "rules": rules, "problems": problems})
    else:
        for line in problems or [f"Policies: {len(policies)}, rules: {rules}, problems: none."]:
            click.echo(safe(line))
    if problems:
        click.get_current_context().exit(1)


@command.command("list")
@json_option
@at_place()
def list_policies(place: Place, as_json: bool) -> None:
    """List the policies in force in the database."""
    found = place.administration.policies()
    if as_json:
        show_document([policy_to_dict(policy) for policy in found])
        return
    rows = [(each.id, each.name, len(each.rules), each.mode, "yes" if each.enabled else "no") for each in found]
    show_table(("id", "name", "rules", "mode", "enabled"), rows, empty="There are no policies.")
