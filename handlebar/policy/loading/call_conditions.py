"""Readers of the conditions on a call: toolName, toolTag, toolArg, enduserTag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlebar.core.schema import rules
from handlebar.policy import regexes
from handlebar.policy.loading.condition_parts import (
    ANY_TEXT,
    COMPARISONS,
    READ_ALREADY,
    TEXT,
    TEXTS,
    Keys,
    by_op,
    checked,
    each,
)
from handlebar.policy.loading.reading import Key, Reader, Spot, choice, list_of, maybe, needed, number, text, truth

_ANY_TEXTS = needed(list_of(text(least=0)))

path = checked(text(), lambda it: all(it.split(".")), "is no path; expected names with single dots between")
"""Reads the dot-path of an argument."""


def _regex(spot: Spot) -> Any:
    pattern = text()(spot)
    try:
        regexes.compiled(pattern)
    except ValueError as error:
        allowed = "expected RE2 syntax (no look-around, no back-references)"
        raise spot.problem(f"the regex does not compile: {error}; {allowed}") from None
    return pattern


tool_name = by_op(
    rules.ToolNameCondition,
    {},
    {
        **each(("eq", "neq", "contains", "startsWith", "endsWith", "glob"), {"value": TEXT}),
        "in": {"value": TEXTS},
    },
)

tool_tag = by_op(
    rules.ToolTagCondition,
    {},
    {"has": {"tag": TEXT}, **each(("anyOf", "allOf"), {"tags": TEXTS})},
)

enduser_tag = by_op(
    rules.EnduserTagCondition,
    {"tag": TEXT},
    {"has": {}, "hasValue": {"value": ANY_TEXT}, "hasValueAny": {"values": _ANY_TEXTS}},
)


def _typed(path_key: Key, ops: Mapping[str, Keys]) -> Reader:
    return by_op(rules.ToolArgCondition, {"type": READ_ALREADY, "path": path_key}, ops)


_BY_TYPE = choice(
    "type",
    {
        "string": _typed(
            maybe(path),
            {
                **each(("eq", "neq"), {"value": ANY_TEXT}),
                **each(("contains", "startsWith", "endsWith"), {"value": TEXT}),
                "in": {"value": _ANY_TEXTS},
                "regex": {"value": needed(_regex)},
            },
        ),
        # Only strings are looked for everywhere: without a path these two could never be true.
        "number": _typed(needed(path), each(COMPARISONS, {"value": needed(number())})),
        "boolean": _typed(needed(path), {"eq": {"value": needed(truth)}}),
    },
)
_PRESENCE = by_op(rules.ToolArgCondition, {"path": needed(path)}, {"exists": {}, "notExists": {}})


def tool_arg(spot: Spot) -> Any:
    """Read a comparison of an argument, or a question for its presence, which has no type."""
    return (_PRESENCE if spot.value.get("op") in ("exists", "notExists") else _BY_TYPE)(spot)
