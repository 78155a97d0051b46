"""Which rules a call meets, found without trying them all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from attrs import frozen

from handlebar.policy.ruling import CompiledRule
from handlebar.policy.selecting import folded

MEMO_LIMIT = 4096
"""So many kinds of call are remembered: agents may call tools by names that they make up."""


@frozen(kw_only=True, eq=False)
class Candidates:
    """
    The rules whose selectors meet a kind of call, in order.

    Attributes:
        asks: One of them may put questions to the facts.

        asks_past: One of them may ask about past calls, counts, metrics or times.
    """

    rules: tuple[CompiledRule, ...]
    asks: bool
    asks_past: bool


class RuleIndex:
    """
    The rules of one phase, by the names of the tools that they are about.

    Lives as long as its engine. Safe to share between threads: what they race for is only a memo.
    """

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        self._named: dict[str, list[tuple[int, CompiledRule]]] = defaultdict(list)
        self._others: list[tuple[int, CompiledRule]] = []
        self._memo: dict[tuple[str, tuple[str, ...]], Candidates] = {}
        for entry in enumerate(rules):
            self._add(entry)

    def candidates(self, tool_name: str, tool_tags: Sequence[str]) -> Candidates:
        """Return the rules that a call of that tool, with those tags, meets."""
        key = (tool_name, tuple(tool_tags))
        found = self._memo.get(key)
        if found is None:
            found = self._remembered(key)
        return found

    def _add(self, entry: tuple[int, CompiledRule]) -> None:
        names = entry[1].names
        for places in [self._others] if names is None else [self._named[name] for name in names]:
            places.append(entry)

    def _remembered(self, key: tuple[str, tuple[str, ...]]) -> Candidates:
        found = _candidates(self._selected(key[0].casefold(), folded(key[1])))
        if len(self._memo) >= MEMO_LIMIT:
            self._memo.clear()
        self._memo[key] = found
        return found

    def _selected(self, name: str, tags: frozenset[str]) -> tuple[CompiledRule, ...]:
        entries = [*self._named.get(name, ()), *self._others]
        met = [entry for entry in entries if entry[1].selects(name, tags)]
        return tuple(rule for _, rule in sorted(met, key=lambda entry: entry[0]))


def _candidates(rules: tuple[CompiledRule, ...]) -> Candidates:
    return Candidates(
        rules=rules,
        asks=any(rule.asks for rule in rules),
        asks_past=any(rule.asks_past for rule in rules),
    )
