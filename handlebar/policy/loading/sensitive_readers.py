"""Reader of the condition sensitiveData."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from handlebar.core.schema import rules
from handlebar.policy.detecting.addresses import LABEL
from handlebar.policy.detecting.catalogue import CHECKS, DETECTORS, detector
from handlebar.policy.loading.call_conditions import path
from handlebar.policy.loading.condition_parts import READ_ALREADY, checked, condition
from handlebar.policy.loading.reading import Key, Reader, Spot, choice, list_of, maybe, needed, record, text, word

_DOMAIN = re.compile(rf"{LABEL}(\.{LABEL})*")
_DOMAIN_END = re.compile(rf"\.?{_DOMAIN.pattern}")
_TOP_LEVEL = re.compile(LABEL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+-]*")


def _values(form: re.Pattern[str], wrong: str) -> Mapping[str, Key]:
    one = checked(text(), lambda it: form.fullmatch(it) is not None, wrong)
    many = list_of(one)
    return {"value": needed(lambda spot: many(spot) if isinstance(spot.value, list) else one(spot))}


_DOMAINS = _values(_DOMAIN, "is no domain; expected one such as example.com")
_DOMAIN_ENDS = _values(_DOMAIN_END, "is no domain; expected one such as example.com, or .example.com for those below")
_TOP_LEVELS = _values(_TOP_LEVEL, "is no top-level domain; expected one name without dots, such as com")
_SCHEMES = _values(_SCHEME, "is no scheme; expected a name without colon, such as https")

_OPS: Mapping[str, Mapping[str, Mapping[str, Key]]] = {
    "domain": {"eq": _DOMAINS, "neq": _DOMAINS, "endsWith": _DOMAIN_ENDS, "in": _DOMAINS},
    "tld": dict.fromkeys(("eq", "neq", "in"), _TOP_LEVELS),
    "scheme": dict.fromkeys(("eq", "neq", "in"), _SCHEMES),
}


def _check(check: str) -> Reader:
    shared = {"check": READ_ALREADY, "op": READ_ALREADY}
    ops = {op: record(rules.DetectorSubCondition, {**shared, **keys}) for op, keys in _OPS[check].items()}
    return choice("op", ops)


def _sub_condition(name: str) -> Mapping[str, Key]:
    checks = CHECKS.get(name)
    return {"subCondition": maybe(choice("check", {check: _check(check) for check in checks}))} if checks else {}


def _named(name: str) -> Reader:
    read = record(rules.Detector, {"detector": READ_ALREADY, **_sub_condition(name)})

    def read_installed(spot: Spot) -> Any:
        try:
            detector(name)
        except ImportError as error:
            spot.note(str(error), "detector")
        return read(spot)

    return read_installed


sensitive_data = condition(
    rules.SensitiveDataCondition,
    {
        "target": needed(word(("toolArg",))),
        "path": maybe(path),
        "op": maybe(word(("anyOf", "allOf"))),
        "detectors": needed(list_of(choice("detector", {name: _named(name) for name in DETECTORS}))),
    },
)
"""Reads which data to look for, and where."""
