"""Readers of the conditions on the world around: timeGate, requireSubject, signal, custom."""

from __future__ import annotations

import re
import zoneinfo
from typing import Any

from handlebar.core.schema import rules
from handlebar.policy.loading.call_conditions import path
from handlebar.policy.loading.condition_parts import (
    ON_MISSING,
    READ_ALREADY,
    TEXT,
    Keys,
    by_op,
    checked,
    condition,
    each,
)
from handlebar.policy.loading.reading import (
    Reader,
    Spot,
    choice,
    list_of,
    mapping_of,
    maybe,
    needed,
    number,
    plain,
    record,
    text,
    word,
)
from handlebar.policy.loading.wording import shown

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")

_clock = checked(text(), lambda it: bool(_CLOCK.fullmatch(it)), "is no time of day; expected HH:MM from 00:00 to 23:59")


def _zone(spot: Spot) -> Any:
    name = text()(spot)
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not the form of a name; a folder of zones
        raise spot.problem(f"{shown(name)} is no time zone; expected one such as 'Europe/Berlin'") from None
    return name


_actors_zone = record(
    rules.TimeZoneSource,
    {"source": READ_ALREADY, "tag": TEXT, "fallback": maybe(word(("org",))), "tz": maybe(_zone)},
)


def _zone_of_actor(spot: Spot) -> Any:
    source = _actors_zone(spot)
    if source.tz is not None and source.fallback is None:
        raise spot.problem("the zone is for a fallback only; add 'fallback: org' or leave it out", "tz")
    return source


_static_zone = record(rules.TimeZoneSource, {"source": READ_ALREADY, "tz": needed(_zone)})
_window = record(
    rules.TimeWindow,
    {"days": needed(list_of(word(_DAYS))), "start": needed(_clock), "end": needed(_clock)},
)

time_gate = condition(
    rules.TimeGateCondition,
    {
        "timezone": needed(choice("source", {"static": _static_zone, "enduserTag": _zone_of_actor})),
        "windows": needed(list_of(_window)),
    },
)

require_subject = condition(rules.RequireSubjectCondition, {"subjectType": TEXT, "idSystem": maybe(text())})


def _something(spot: Spot) -> Any:
    """Read any JSON value but null, which would be the same as no value."""
    value = plain(spot)
    if value is None:
        raise spot.problem("this is null; expected a value, or leave the argument out")
    return value


def _binding(keys: Keys) -> Reader:
    return record(rules.SignalBinding, {"from": READ_ALREADY, **keys})


_SUBJECT: Keys = {
    "subjectType": TEXT,
    "role": maybe(text()),
    "field": maybe(word(("id", "idSystem"))),
}
_bound = choice(
    "from",
    {
        "enduserId": _binding({}),
        "enduserTag": _binding({"tag": TEXT}),
        "toolName": _binding({}),
        "toolTag": _binding({"tag": TEXT}),
        "toolArg": _binding({"path": needed(path)}),
        "subject": _binding(_SUBJECT),
        "const": _binding({"value": needed(_something)}),
    },
)


def _ordered(spot: Spot) -> Any:
    """Read what can be less or more: a number, or text such as a date."""
    return (text() if isinstance(spot.value, str) else number())(spot)


def _listed(spot: Spot) -> Any:
    return list(list_of(plain)(spot))


signal = by_op(
    rules.SignalCondition,
    {"key": TEXT, "args": maybe(mapping_of(_bound)), "onMissing": ON_MISSING},
    {
        **each(("eq", "neq"), {"value": needed(plain)}),
        **each(("gt", "gte", "lt", "lte"), {"value": needed(_ordered)}),
        **each(("in", "nin"), {"value": needed(_listed)}),
    },
)

custom = condition(rules.CustomCondition, {"name": TEXT, "args": maybe(mapping_of(plain))})
