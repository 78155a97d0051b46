"""How two sets of policies differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

from handlebar.core.schema.rules import Policy
from handlebar.policy.writing import policy_to_dict

_NOTHING: Any = object()


@frozen(kw_only=True)
class Difference:
    """
    One difference.

    Attributes:
        kind: `added`, `removed` or `changed`.

        rule_id: None where it is about the policy itself.

        path: Where in the policy or rule, with dots between; empty where the whole of it is meant.

        before: What stands there in the first set; None where nothing does.

        after: The same of the second.
    """

    kind: Literal["added", "removed", "changed"]
    policy_id: str
    rule_id: str | None = None
    path: str = ""
    before: Any = None
    after: Any = None


def differences(before: Sequence[Policy], after: Sequence[Policy]) -> tuple[Difference, ...]:
    """Return what has to change for *before* to become *after*; the order in which things are written is nothing."""
    return tuple(_between(_by_id(map(policy_to_dict, before)), _by_id(map(policy_to_dict, after))))


def _between(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for policy_id in sorted({*before, *after}):
        old, new = dict(before.get(policy_id, {})), dict(after.get(policy_id, {}))
        rules = _by_id(old.pop("rules", ())), _by_id(new.pop("rules", ()))
        if not old or not new:
            yield _whole(old or None, new or None, policy_id=policy_id)
            continue
        yield from _changes(old, new, policy_id=policy_id)
        for rule_id in sorted({*rules[0], *rules[1]}):
            yield from _of_rule(rules[0].get(rule_id), rules[1].get(rule_id), policy_id=policy_id, rule_id=rule_id)


def _of_rule(old: Any, new: Any, *, policy_id: str, rule_id: str) -> Iterator[Difference]:
    if old is None or new is None:
        yield _whole(old, new, policy_id=policy_id, rule_id=rule_id)
    else:
        yield from _changes(old, new, policy_id=policy_id, rule_id=rule_id)


def _whole(old: Any, new: Any, **what: Any) -> Difference:
    return Difference(kind="added" if old is None else "removed", before=old, after=new, **what)


def _changes(old: Any, new: Any, *, path: str = "", **what: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict) and old.get("kind") == new.get("kind"):
        for key in sorted({*old, *new}):
            below = f"{path}.{key}" if path else key
            yield from _changes(old.get(key, _NOTHING), new.get(key, _NOTHING), path=below, **what)
    elif old != new:
        kind: Any = "added" if old is _NOTHING else "removed" if new is _NOTHING else "changed"
        yield Difference(kind=kind, path=path, before=_shown(old), after=_shown(new), **what)


def _shown(side: Any) -> Any:
    return None if side is _NOTHING else side


def _by_id(parts: Any) -> dict[str, Any]:
    return {part["id"]: part for part in parts}
