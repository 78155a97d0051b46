"""Commands about agents."""

from __future__ import annotations

from typing import Any

import click

from handlebar.cli.documents import plain, show_document
from handlebar.cli.places import Place, at_place, json_option
from handlebar.cli.texts import safe, show_fields, show_table
from handlebar.control.agents import AgentView
from handlebar.control.lockdowns import LockdownRecord
from handlebar.control.standing import policies_for
from handlebar.core.schema.rules import Policy
from handlebar.errors import RefusedError


@click.group("agents")
def command() -> None:
    """See which agents there are, and how they stand."""


@command.command("list")
@json_option
@at_place()
def list_agents(place: Place, as_json: bool) -> None:
    """List the agents by their slugs."""
    found = place.administration.agents()
    locked = {each.agent_id for each in place.administration.lockdowns()}
    if as_json:
        show_document([_document(each, lockedDown=each.id in locked) for each in found])
        return
    rows = [
        (each.described.slug, each.described.tags or None, len(each.tools), _standing(each, locked), each.created_at)
        for each in found
    ]
    show_table(("agent", "tags", "tools", "status", "known since"), rows, empty="There are no agents.")


@command.command("show")
@click.argument("agent")
@json_option
@at_place()
def show_agent(place: Place, agent: str, as_json: bool) -> None:
    """Show AGENT (its slug or its id): its tools, the policies for it, and its lockdowns."""
    found = _found(place, agent)
    policies = list(policies_for(found.described, place.administration.policies()))
    lockdowns = place.administration.lockdowns(found.described.slug)
    if as_json:
        stands = {"policies": list(map(_policy, policies)), "lockdowns": [plain(each) for each in lockdowns]}
        show_document(_document(found, **stands))
        return
    show_fields(_fields(found, policies, lockdowns))
    click.echo()
    rows = [(each.name, each.tags or None, each.description) for each in found.tools]
    show_table(("tool", "tags", "description"), rows, empty="It has registered no tools.")


@command.command("status")
@click.argument("agent")
@json_option
@at_place()
def status(place: Place, agent: str, as_json: bool) -> None:
    """Say whether AGENT may act; exit with 1 while all that it does is forbidden."""
    found = _found(place, agent)
    lockdowns = place.administration.lockdowns(found.described.slug)
    forbidden = any(each.actor_id is None and each.tool_name is None for each in lockdowns)
    policies = list(policies_for(found.described, place.administration.policies()))
    if as_json:
        document = {"agent": found.described.slug, "lockedDown": forbidden, "lockdowns": lockdowns}
        show_document({**document, "policies": list(map(_policy, policies))})
    else:
        state = "is locked down" if forbidden else "may act"
        rules = sum(len(each.rules) for each in policies)
        click.echo(f"{safe(found.described.slug)} {state}, under {len(policies)} policies with {rules} rules.")
        for each in lockdowns:
            click.echo(f"Locked down: {_what(each)}: {safe(each.reason)}")
    if forbidden:
        click.get_current_context().exit(1)


def _found(place: Place, agent: str) -> AgentView:
    for each in place.administration.agents():
        if agent in (each.described.slug, each.id):
            return each
    raise RefusedError(f"There is no agent with the slug {agent!r}", status=404)


def _document(found: AgentView, **more: Any) -> dict[str, Any]:
    own = {"id": found.id, "version": found.version, "createdAt": found.created_at}
    return {**own, **plain(found.described), "tools": [plain(each) for each in found.tools], **more}


def _standing(found: AgentView, locked: set[str]) -> str:
    return "locked down" if found.id in locked else "may act"


def _policy(policy: Policy) -> dict[str, Any]:
    return {"id": policy.id, "name": policy.name, "mode": policy.mode, "enabled": policy.enabled}


def _fields(found: AgentView, policies: list[Policy], lockdowns: list[LockdownRecord]) -> dict[str, object]:
    return {
        "Agent": found.described.slug,
        "Id": found.id,
        "Name": found.described.name,
        "Description": found.described.description,
        "Tags": found.described.tags or None,
        "Known since": found.created_at,
        "Policies": tuple(each.id for each in policies) or "none",
        "Lockdowns": tuple(map(_what, lockdowns)) or "none",
    }


def _what(lockdown: LockdownRecord) -> str:
    about = {"actor": lockdown.actor_id, "tool": lockdown.tool_name}
    said = " ".join(f"{name} {safe(value)}" for name, value in about.items() if value is not None)
    return said or "everything"
