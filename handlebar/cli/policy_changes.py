"""Commands that compare policies and put them in force: `policy diff` and `policy push`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from handlebar.cli.documents import plain, show_document
from handlebar.cli.places import database_option, json_option, opened_place, tenant_option
from handlebar.cli.policy_sources import in_force
from handlebar.cli.pushing import push_to_database, push_to_endpoint
from handlebar.cli.texts import safe
from handlebar.policy.differing import Difference, differences
from handlebar.policy.loading import load_policies

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@click.command("diff")
@click.argument("paths", metavar="PATH [OTHER]", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@tenant_option
@database_option
@json_option
def diff(paths: tuple[Path, ...], database: str | None, tenant: str, as_json: bool) -> None:
    """
    Show what would change if the policies in PATH came in force; with two paths, what OTHER has otherwise than PATH.

    Exits with 1 where there are differences. The order in which rules are written makes none.
    """
    if len(paths) > 2:
        raise click.UsageError("Give one path, or two")
    after = load_policies(paths[-1])
    if len(paths) == 2:
        before = load_policies(paths[0])
    else:
        with opened_place(database, tenant) as place:
            before = in_force(place)
    found = differences(before, after)
    if as_json:
        show_document([plain(each) for each in found])
    else:
        _show(found)
    if found:
        click.get_current_context().exit(1)


def _show(found: tuple[Difference, ...]) -> None:
    policy_id = rule_id = None
    for each in found:
        if each.policy_id != policy_id:
            policy_id, rule_id = each.policy_id, None
            click.echo(f"policy {safe(policy_id)}")
        if each.rule_id is not None and each.rule_id != rule_id and each.path:
            click.echo(f"  rule {safe(each.rule_id)}")
        rule_id = each.rule_id
        click.echo(_line(each))
    if not found:
        click.echo("There are no differences.")


def _line(each: Difference) -> str:
    sign = _SIGNS[each.kind]
    if not each.path:
        whole = "the policy" if each.rule_id is None else f"rule {safe(each.rule_id)}"
        return f"  {sign} {whole}"
    sides = [safe(json.dumps(side, ensure_ascii=False)) for side in (each.before, each.after)]
    words = {"added": sides[1], "removed": sides[0], "changed": f"{sides[0]} -> {sides[1]}"}
    return f"    {sign} {safe(each.path)}: {words[each.kind]}"


@click.command("push")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--endpoint", metavar="URL", help="A control plane over HTTP; its admin key is HANDLEBAR_API_KEY.")
@tenant_option
@database_option
@json_option
def push(paths: tuple[Path, ...], endpoint: str | None, database: str | None, tenant: str, as_json: bool) -> None:
    """
    Put the policies in files and folders in force: in the database, or at a control plane over HTTP.

    What is unchanged makes no new version. A policy that a server or an agent's config has read from a file is refused:
    change it there. Policies are put one after the other: where one is refused, those before it are in force.
    """
    policies = load_policies(paths)
    if endpoint is None:
        with opened_place(database, tenant, creates=True) as place:
            pushed = list(push_to_database(place, policies))
    else:
        pushed = list(push_to_endpoint(endpoint, _key(), policies))
    if as_json:
        show_document(pushed)
        return
    for each in pushed:
        click.echo(f"{safe(each.id)}: version {each.version}, {'new' if each.changed else 'unchanged'}.")


def _key() -> str:
    key = os.environ.get("HANDLEBAR_API_KEY", "")
    if not key:
        raise click.UsageError("--endpoint needs a key of the role admin in HANDLEBAR_API_KEY")
    return key
