"""The summary: what was allowed, blocked and stopped, by which rule, and what each run cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from handlebar import Decision
from handlebar.core import FAILCLOSED_DECISION, FAILOPEN_DECISION
from refund_desk_parts.agent import Work
from refund_desk_parts.conversation import Step
from refund_desk_parts.costs import cost_in_usd

_OUTCOMES = ("done", "failed", "blocked", "waiting", "stopped")
_UNASKED = (FAILOPEN_DECISION, FAILCLOSED_DECISION)


@frozen(kw_only=True)
class Table:
    """Rows under a title; the columns named in *numbers* are set flush right."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: frozenset[str] = frozenset()


def tables(works: Sequence[Work], model: str) -> list[Table]:
    """Return what there is to tell, in full before in brief; tables without rows are left out."""
    every = [_runs(works, model), _tools(works), _rules(works), _approvals(works)]
    return [table for table in every if table.rows]


def totals(works: Sequence[Work], model: str, seconds: float) -> list[tuple[str, str]]:
    """Return the last lines, each a word and what there is to say to it."""
    ends = Counter(_end(work) for work in works)
    refunds = [_amount(step) for work in works for step in _refunds(work, "done")]
    lines = [
        ("Tickets", f"{len(works)} in {seconds:.1f} s: " + ", ".join(f"{n} {end}" for end, n in ends.most_common())),
        ("Refunds", f"{len(refunds)}, {sum(refunds):.2f} EUR in all"),
        ("Model", _bill(works, model)),
    ]
    unasked = sum(decision in _UNASKED for work in works for decision in work.decisions)
    if unasked:
        lines.append(("Careful", f"{unasked} decisions were made without the control plane"))
    return lines


def _runs(works: Iterable[Work], model: str) -> Table:
    return Table(
        title="Runs: what became of each ticket, and what it cost",
        columns=("ticket", "customer", "what came of it", "calls", "ms", "tokens", "USD"),
        rows=[_run(work, model) for work in works],
        numbers=frozenset(("calls", "ms", "tokens", "USD")),
    )


def _run(work: Work, model: str) -> tuple[str, ...]:
    ticket, calls = work.conversation.ticket, len(work.conversation.steps)
    return (
        ticket.id,
        ticket.name,
        _story(work),
        str(calls),
        f"{work.seconds * 1000:.0f}",
        _tokens([work]),
        _usd([work], model),
    )


def _story(work: Work) -> str:
    """Tell in a few words how the work went; errors and stops first, then money, then what was refused."""
    if work.error is not None:
        return f"error: {work.error}"
    steps = work.conversation.steps
    refunded = sum(_amount(step) for step in _refunds(work, "done"))
    parts = [f"stopped at {step.call.name}" for step in steps if step.outcome == "stopped"]
    parts += [f"refunded {refunded:.2f}"] if refunded else []
    parts += ["exported data" for step in steps if step.call.name == "export_customer_data" and step.outcome == "done"]
    parts += [f"{_amount(step):.2f} waits for a person" for step in _refunds(work, "waiting")]
    refused = Counter(step.call.name for step in steps if step.outcome == "blocked")
    parts += [f"{name} blocked" + (f" {n} times" if n > 1 else "") for name, n in refused.items()]
    parts += [f"{step.call.name} failed" for step in steps if step.outcome == "failed"]
    return ", ".join(parts) or "answered"


def _tools(works: Iterable[Work]) -> Table:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for work in works:
        for step in work.conversation.steps:
            counts[step.call.name][step.outcome] += 1
    return Table(
        title="Tool calls",
        columns=("tool", *_OUTCOMES),
        rows=[(name, *(str(counts[name][outcome] or "-") for outcome in _OUTCOMES)) for name in sorted(counts)],
        numbers=frozenset(_OUTCOMES),
    )


def _rules(works: Iterable[Work]) -> Table:
    tickets: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for work in works:
        for rule in (rule for decision in work.decisions for rule in _speaking(decision)):
            tickets[rule].append(work.conversation.ticket.id)
    ordered = sorted(tickets, key=lambda rule: (rule[0].startswith("would"), -len(tickets[rule]), rule))
    return Table(
        title="Rules that spoke",
        columns=("effect", "rule", "times", "tickets", "why"),
        rows=[
            (did, rule, str(len(tickets[did, rule, why])), _few(tickets[did, rule, why]), why)
            for did, rule, why in ordered
        ],
        numbers=frozenset(("times",)),
    )


def _speaking(decision: Decision) -> Iterator[tuple[str, str, str]]:
    """Yield what each rule did, or in shadow mode would have done: effect, rule, reason."""
    if not decision.allowed:
        yield _effect(decision), decision.final_rule_id or decision.cause.kind, decision.message
    for effect in decision.shadow:
        yield f"would {'ask' if effect.effect == 'hitl' else effect.effect}", effect.rule_id, effect.message


def _effect(decision: Decision) -> str:
    asked = decision.cause.kind == "HITL_PENDING"
    if decision.terminates:
        return "asked, stopped" if asked else "stopped"
    return "asked" if asked else "blocked"


def _approvals(works: Iterable[Work]) -> Table:
    return Table(
        title="Waiting for a person",
        columns=("approval", "ticket", "call"),
        rows=[
            (step.approval_id, work.conversation.ticket.id, _shown(step))
            for work in works
            for step in work.conversation.steps
            if step.approval_id is not None
        ],
    )


def _end(work: Work) -> str:
    """Name how the work ended, in one word or two."""
    outcomes = {step.outcome for step in work.conversation.steps}
    if work.error is not None:
        return "with an error"
    if "stopped" in outcomes:
        return "stopped"
    return "waiting for a person" if "waiting" in outcomes else "answered"


def _refunds(work: Work, outcome: str) -> list[Step]:
    steps = work.conversation.steps
    return [step for step in steps if step.call.name == "issue_refund" and step.outcome == outcome]


def _amount(step: Step) -> float:
    return float(step.call.args["amount"])


def _shown(step: Step) -> str:
    return f"{step.call.name}({', '.join(f'{key}={value!r}' for key, value in step.call.args.items())})"


def _few(tickets: Sequence[str]) -> str:
    """Name the first tickets, each once."""
    once = list(dict.fromkeys(tickets))
    return ", ".join(once[:3]) + (f" +{len(once) - 3}" if len(once) > 3 else "")


def _bill(works: Sequence[Work], model: str) -> str:
    if all(work.usage is None for work in works):
        return f"{model}: no language model was asked, no tokens, no cost"
    return f"{model}: {_tokens(works)} tokens (in+out), {_usd(works, model)} USD"


def _tokens(works: Iterable[Work]) -> str:
    used = [work.usage for work in works if work.usage is not None]
    if not used:
        return "-"
    return f"{sum(each.input_tokens or 0 for each in used)}+{sum(each.output_tokens or 0 for each in used)}"


def _usd(works: Iterable[Work], model: str) -> str:
    costs = [cost_in_usd(model, work.usage) for work in works]
    known = [cost for cost in costs if cost is not None]
    return f"{sum(known):.4f}" if known else "-"
