"""Which agents and which tools are meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import field, frozen

from handlebar.core.schema.rules import AgentSelector, ToolPattern, ToolSelector
from handlebar.policy.comparing import glob_test

TagsTest = Callable[[frozenset[str]], bool]
ToolTest = Callable[[str, Sequence[str]], bool]


@frozen
class ToolMatch:
    """
    A `ToolSelector`, ready to be asked; equal and hashed by what it selects.

    The questions about the past carry it, so that the store can tell which calls count.
    """

    selector: ToolSelector
    _test: ToolTest = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Compile the selector; a frozen value can only be completed this way."""
        object.__setattr__(self, "_test", _selector_test(self.selector))

    def matches(self, tool_name: str, tool_tags: Sequence[str]) -> bool:
        """Whether a call of that tool, with those tags, is one of them."""
        return self._test(tool_name, tool_tags)


def folded(words: Iterable[str] | None) -> frozenset[str]:
    """Return *words* in the form that is the same however they are capitalised."""
    return frozenset(word.casefold() for word in words or ())


def name_test(globs: Iterable[str]) -> Callable[[str], bool]:
    """Return a test of a folded name: it matches one of *globs*."""
    patterns = folded(globs)
    exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
    wild = tuple(glob_test(pattern) for pattern in sorted(patterns - exact))
    if not wild:
        return exact.__contains__
    return lambda name: name in exact or any(test(name) for test in wild)


def tags_test(op: str, tags: Iterable[str] | None) -> TagsTest:
    """Return a test of folded tags: they hold any (`anyOf`) or all (`allOf`) of *tags*."""
    wanted = folded(tags)
    if op == "allOf":
        return wanted.issubset
    return lambda own: not wanted.isdisjoint(own)


def any_selector_test(selectors: Iterable[ToolSelector]) -> ToolTest:
    """Return a test of a tool: one of *selectors* means it. Patterns of names are tried together, however many."""
    named: set[str] = set()
    tagged: set[ToolSelector] = set()
    for each in selectors:
        if each.by == "toolName":
            named.update(each.patterns)
        else:
            tagged.add(each)
    by_name = [ToolSelector("toolName", patterns=tuple(named))] if named else []
    tests = [_selector_test(each) for each in (*by_name, *tagged)]
    if len(tests) == 1:
        return tests[0]
    return lambda tool_name, tool_tags: any(test(tool_name, tool_tags) for test in tests)


def selects_agent(selector: AgentSelector, *, slug: str, tags: Iterable[str]) -> bool:
    """Whether a policy with *selector* is for the agent *slug* that bears *tags*."""
    own = folded(tags)
    return (
        (selector.any_of_slugs is None or slug.casefold() in folded(selector.any_of_slugs))
        and (selector.any_of_tags is None or tags_test("anyOf", selector.any_of_tags)(own))
        and (selector.all_of_tags is None or tags_test("allOf", selector.all_of_tags)(own))
    )


def pattern_test(pattern: ToolPattern) -> Callable[[str, frozenset[str]], bool]:
    """Return a test of a folded name and folded tags against all parts of *pattern*."""
    has_name = _anything if pattern.name is None else name_test(pattern.name)
    has_any = _anything if pattern.tags_any is None else tags_test("anyOf", pattern.tags_any)
    has_all = _anything if pattern.tags_all is None else tags_test("allOf", pattern.tags_all)
    return lambda name, tags: has_name(name) and has_any(tags) and has_all(tags)


def exact_names(pattern: ToolPattern) -> frozenset[str] | None:
    """Return the only folded names that *pattern* can match; None where it may match others."""
    names = folded(pattern.name)
    if pattern.name is None or any("*" in name for name in names):
        return None
    return names


def _anything(_: object) -> bool:
    return True


def _selector_test(selector: ToolSelector) -> ToolTest:
    if selector.by == "toolName":
        named = name_test(selector.patterns)
        return lambda tool_name, tool_tags: named(tool_name.casefold())
    tagged = tags_test(selector.op, selector.tags)
    return lambda tool_name, tool_tags: tagged(folded(tool_tags))
