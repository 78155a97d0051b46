"""Commands that try policies on calls: `policy test` and `policy explain`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from handlebar.cli.documents import plain, show_document
from handlebar.cli.places import database_option, json_option, opened_place, tenant_option
from handlebar.cli.policy_sources import Policies, in_force, with_policies
from handlebar.cli.texts import safe
from handlebar.core.schema.traces import ConditionTrace, RuleTrace
from handlebar.errors import RefusedError
from handlebar.policy.cases import Case, CaseFile, Judged, judge, load_call, load_cases
from handlebar.policy.explaining import Explanation
from handlebar.policy.loading import load_policies

_MARKS = {"matched": "+", "notMatched": "-", "missing": "?", "skipped": " "}


@click.command("test")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--policies", "paths", metavar="PATH", multiple=True, type=click.Path(exists=True), help="As in FILE.")
@tenant_option
@database_option
@json_option
def run_cases(
    files: tuple[Path, ...], paths: tuple[str, ...], database: str | None, tenant: str, as_json: bool
) -> None:
    """
    Run the examples in each FILE, and exit with 1 where one is not decided as it expects.

    A FILE (YAML or JSON) holds:

    \b
      policies: policies.yaml        # beside the FILE; else --policies, else the database's
      agent: refund-desk             # or {slug: refund-desk, tags: [prod]}
      cases:
      - name: large refunds ask a person
        tool: issue_refund
        args: {amount: 900}
        expect: hitl                 # allow, hitl, block, or {effect: hitl, rule: NAME, shadow: [NAME]}

    A case may also have tags, phase, actor, subjects, metrics, runTags, at (a time), past (calls allowed before:
    names, or {tool, tags, run, actor, secondsAgo, metrics}), signals and functions (what the application says).
    """  # noqa: D301  # click's mark for lines that are to stay as they are
    judged = []
    for file in files:
        cases = load_cases(file)
        policies = _policies_for(cases, paths, database, tenant)
        judged += [judge(case, policies) for case in cases.cases]
    failed = [each for each in judged if each.differences]
    if as_json:
        show_document({"cases": len(judged), "failed": len(failed), "results": [_result(each) for each in judged]})
    else:
        for each in failed:
            _show_failure(each)
        click.echo(f"Cases: {len(judged)}, as expected: {len(judged) - len(failed)}, failed: {len(failed) or 'none'}.")
    if failed:
        click.get_current_context().exit(1)


def _policies_for(cases: CaseFile, paths: tuple[str, ...], database: str | None, tenant: str) -> Any:
    meant = list(paths or cases.policies)
    if meant:
        return load_policies(meant)
    with opened_place(database, tenant) as place:
        return in_force(place)


def _result(judged: Judged) -> dict[str, Any]:
    found = judged.explanation.outcome
    return {
        "name": judged.case.name,
        "where": judged.case.where,
        "passed": not judged.differences,
        "differences": list(judged.differences),
        "effect": found.effect,
        "ruleId": found.final_rule.id if found.final_rule else None,
    }


def _show_failure(judged: Judged) -> None:
    click.echo(f"FAILED {safe(judged.case.where)}: {safe(judged.case.name)}")
    for line in judged.differences:
        click.echo(f"  {safe(line)}")
    for rule in judged.explanation.rules:
        if rule.answer != "skipped":
            _show_rule(rule, indent="  ")
    click.echo()


@click.command("explain")
@click.argument("rule")
@click.argument("call", metavar="CALL")
@json_option
@with_policies
def explain(policies: Policies, rule: str, call: str, as_json: bool) -> None:
    """
    Show what RULE says of CALL and why; exit with 1 where it says nothing.

    RULE is a rule's id or name, or "all" for every rule and what comes of them. CALL is a file, "-" for stdin, or
    JSON such as '{"agent": "refund-desk", "tool": "issue_refund", "args": {"amount": 900}}', with what `policy test`
    allows in a case.

    \b
    + matched   - not matched   ? a value is missing   (nothing) skipped
    """  # noqa: D301  # as above
    explanation = _called(call).explain(policies())
    meant = [each for each in explanation.rules if rule == "all" or rule in (each.rule_id, each.rule_name)]
    if not meant and rule != "all":
        raise RefusedError(f"There is no rule with the id or name {rule!r}", status=404)
    if as_json:
        show_document({**_outcome(explanation), "rules": [plain(each) for each in meant]})
    else:
        for each in meant:
            _show_rule(each)
        click.echo(_verdict(explanation) if rule == "all" else "", nl=rule == "all")
    if rule != "all" and not any(each.effect for each in meant):
        click.get_current_context().exit(1)


def _called(call: str) -> Case:
    if call != "-" and not call.lstrip().startswith("{"):
        return load_call(call)
    text = sys.stdin.read() if call == "-" else call
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"it is no JSON: {error}", param_hint="CALL") from None
    if not isinstance(read, dict):
        raise click.BadParameter("it is no JSON object", param_hint="CALL")
    return load_call(read)


def _outcome(explanation: Explanation) -> dict[str, Any]:
    found = explanation.outcome
    return {"effect": found.effect, "ruleId": found.final_rule.id if found.final_rule else None}


def _verdict(explanation: Explanation) -> str:
    found = explanation.outcome
    return f"All together: {found.effect}" + (f", by {safe(found.final_rule.id)}" if found.final_rule else "") + "."


def _show_rule(rule: RuleTrace, *, indent: str = "") -> None:
    said = "" if rule.effect is None else f" -> {rule.effect}{'' if rule.enforced else ' (in shadow)'}"
    click.echo(f"{indent}{_MARKS[rule.answer]} {safe(rule.rule_id)}: {safe(rule.because)}{said}")
    for line in _lines(rule.condition, f"{indent}    ") if rule.condition else ():
        click.echo(line)


def _lines(trace: ConditionTrace, indent: str) -> Iterator[str]:
    yield f"{indent}{_MARKS[trace.answer]} {safe(trace.asks)}: {safe(trace.because)}"
    for part in trace.parts:
        yield from _lines(part, f"{indent}  ")
