"""What the readers of conditions have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from handlebar.policy.loading.reading import Key, Reader, Spot, choice, list_of, maybe, needed, record, text, word
from handlebar.policy.loading.wording import shown

EFFECTS = ("allow", "hitl", "block")
COMPARISONS = ("gt", "gte", "lt", "lte", "eq", "neq")

Keys = Mapping[str, Key]

TEXT = needed(text())
ANY_TEXT = needed(text(least=0))
TEXTS = needed(list_of(text()))
ON_MISSING = maybe(word(EFFECTS))

READ_ALREADY = needed(text())
"""A key that a choice has looked at; it is kept as it is."""


def condition(make: Callable[..., Any], keys: Keys) -> Reader:
    """Read a condition; its kind has been looked at already, and its class knows it."""
    return record(make, {"kind": Key(text(), needed=True, keep=False), **keys})


def by_op(make: Callable[..., Any], shared: Keys, ops: Mapping[str, Keys]) -> Reader:
    """Read a condition whose operator decides which keys it has beside the *shared* ones."""
    return choice("op", {op: condition(make, {**shared, "op": READ_ALREADY, **ops[op]}) for op in ops})


def each(ops: Iterable[str], keys: Keys) -> dict[str, Keys]:
    """Give each operator the same keys."""
    return dict.fromkeys(ops, keys)


def checked(read: Reader, is_good: Callable[[Any], bool], wrong: str) -> Reader:
    """Read, and say what is *wrong* with a value that is no good."""

    def read_checked(spot: Spot) -> Any:
        value = read(spot)
        if not is_good(value):
            raise spot.problem(f"{shown(value)} {wrong}")
        return value

    return read_checked
