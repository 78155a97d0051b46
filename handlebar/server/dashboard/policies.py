"""Policies: what is in force, every version of it, an editor that checks, and trying before saving."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

import yaml
from attrs import frozen
from flask import Response

from handlebar.control.policy_store import BY_API, PolicyRecord
from handlebar.control.standing import policies_for
from handlebar.core.schema.rules import Policy
from handlebar.errors import ConfigError, PolicyError
from handlebar.policy import PolicyText, load_policies, policy_to_dict
from handlebar.server.dashboard.pages import Page, Visit, go_to, refused, show
from handlebar.server.dashboard.promoting import in_shadow
from handlebar.server.dashboard.trying import HOURS, one_call, replay

_NEW = """name: A new policy
agentSelector: {anyOfSlugs: [my-agent]}
mode: shadow
rules:
  - name: No refunds above 500
    selector: {phase: tool.before, tool: {name: issue_refund}}
    condition: {kind: toolArg, type: number, path: amount, op: gt, value: 500}
    effect: {type: block, reason: Refunds above 500 are for a person to make}
"""
_PLACE = "policies[0]"
_LINE = re.compile(r"^(\d+): ")


@frozen
class Change:
    """
    A version of a policy, and what it changed.

    Attributes:
        lines: Of a difference; each begins with `+`, `-` or a space.
    """

    record: PolicyRecord
    lines: tuple[str, ...]


def text_of(policy: Policy) -> str:
    """Return *policy* as people write it."""
    text: str = yaml.safe_dump(policy_to_dict(policy), sort_keys=False, allow_unicode=True, width=100)
    return text


def problems_in(text: str) -> list[str]:
    """Return what the loader has to say of a policy's *text*."""
    try:
        load_policies(PolicyText(text))
    except PolicyError as error:
        return [_LINE.sub(r"Line \1: ", problem.removeprefix(_PLACE).lstrip(": ")) for problem in error.problems]
    return []


def _policies(visit: Visit) -> str:
    records = visit.plane.policy_records()
    described = [agent.described for agent in visit.plane.agents()]
    slugs = {
        record.policy_id: [
            each.slug for each in described if record.policy and any(policies_for(each, [record.policy]))
        ]
        for record in records
    }
    return show("policies.html", visit, records=records, slugs=slugs)


def _policy(visit: Visit) -> str:
    history = visit.plane.policy_history(visit.names["policy_id"])
    changes = [Change(record, _difference(before, record)) for before, record in zip((None, *history), history)]  # noqa: B905  # the first has none before it
    latest = history[-1]
    shadows = in_shadow(visit.plane, latest.policy) if latest.policy is not None else []
    return show(
        "policy.html",
        visit,
        record=latest,
        changes=changes[::-1],
        editable=latest.source == BY_API,
        shadows=shadows,
    )


def _edit(visit: Visit) -> str:
    policy_id = visit.argument("policy")
    record = visit.plane.policy_record(policy_id) if policy_id else None
    text = text_of(record.policy) if record is not None and record.policy is not None else _NEW
    return _editor(visit, text, problems=problems_in(text), version=record.version if record else None)


def _check(visit: Visit) -> Response:
    problems = problems_in(visit.request.form.get("content", ""))
    return Response(json.dumps({"problems": problems}), mimetype="application/json")


def _save(visit: Visit) -> Any:
    text, version = _text(visit), visit.field("version")
    problems = problems_in(text)
    if problems:
        return Response(_editor(visit, text, problems=problems, version=version), 400)
    policies = load_policies(PolicyText(text))
    if len(policies) != 1:
        return refused(visit, 400, "Edit one policy at a time.")
    if_version = int(version) if version.isdecimal() and len(version) < 10 else None
    saved = visit.plane.put_policy(policy_to_dict(policies[0]), new=if_version is None, if_version=if_version)
    return go_to("policy", policy_id=saved.policy_id, said="In force from the next decision on, in every process.")


def _try(visit: Visit) -> Any:
    """Show what the text in the editor would do; it is saved nowhere."""
    text, version = _text(visit), visit.field("version")
    problems = problems_in(text)
    if problems:
        return Response(_editor(visit, text, problems=problems, version=version), 400)
    (tried, *_) = load_policies(PolicyText(text))
    try:
        found = {"explanation": one_call(visit, tried)} if visit.field("try") == "call" else {}
        replayed = {"replaying": replay(visit, tried)} if visit.field("try") == "replay" else {}
    except ConfigError as error:
        return Response(_editor(visit, text, problems=[], version=version, wrong=str(error)), 400)
    return _editor(visit, text, problems=[], version=version, **found, **replayed)


def _text(visit: Visit) -> str:
    return visit.request.form.get("content", "").replace("\r\n", "\n")


def _delete(visit: Visit) -> Any:
    visit.plane.delete_policy(visit.names["policy_id"])
    return go_to("policies", said="Taken back. Its versions are kept.")


def _editor(visit: Visit, text: str, *, problems: list[str], version: int | str | None, **tried: Any) -> str:
    return show("policy_edit.html", visit, text=text, problems=problems, version=version, hours=HOURS, **tried)


def _difference(before: PolicyRecord | None, after: PolicyRecord) -> tuple[str, ...]:
    old, new = ([] if each is None else _lines(each) for each in (before, after))
    return tuple(
        line for line in difflib.unified_diff(old, new, lineterm="", n=2) if not line.startswith(("---", "+++"))
    )


def _lines(record: PolicyRecord) -> list[str]:
    return [] if record.policy is None else text_of(record.policy).splitlines()


PAGES = (
    Page("GET", "/policies", "policies", _policies),
    Page("GET", "/edit-policy", "policy_edit", _edit, changes=True),
    Page("POST", "/policies/check", "policy_check", _check, changes=True),
    Page("POST", "/policies/try", "policy_try", _try, changes=True),
    Page("POST", "/policies", "policy_save", _save, changes=True),
    Page("GET", "/policies/<path:policy_id>", "policy", _policy),
    Page("POST", "/policies/<path:policy_id>/delete", "policy_delete", _delete, changes=True),
)
