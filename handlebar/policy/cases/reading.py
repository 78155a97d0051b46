"""Files of examples, checked as strictly as policies are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from handlebar.core.schema.agents import Actor, AgentDescriptor
from handlebar.core.schema.subjects import SubjectRef
from handlebar.errors import PolicyError
from handlebar.policy.cases.case import Case, Earlier, Expectation
from handlebar.policy.loading.condition_parts import EFFECTS, TEXT
from handlebar.policy.loading.documents import Document, DocumentError, located, of_python
from handlebar.policy.loading.file_formats import read_file
from handlebar.policy.loading.reading import (
    Key,
    Reader,
    Spot,
    attempt,
    list_of,
    mapping_of,
    maybe,
    needed,
    number,
    one_or_list_of,
    plain,
    record,
    text,
    truth,
    word,
)
from handlebar.policy.loading.wording import described

_NOON = datetime(2026, 1, 7, 12, tzinfo=timezone.utc)
"""When a call is made whose example does not say: a Wednesday, so that examples do not depend on the day."""


@frozen(kw_only=True)
class CaseFile:
    """
    What a file of examples holds.

    Attributes:
        policies: The paths of the policies that the examples are for, where the file names any.
    """

    policies: tuple[str, ...] = ()
    cases: tuple[Case, ...]


def load_cases(path: str | os.PathLike[str]) -> CaseFile:
    """
    Read a file of examples.

    Raises:
        PolicyError: Something is wrong in it; it lists every problem.
    """
    found: CaseFile = _read(_file, lambda: read_file(Path(path)), os.fspath(path))
    folder = Path(path).parent
    return evolve(found, policies=tuple(str(folder / each) for each in found.policies))


def load_call(source: str | os.PathLike[str] | Mapping[str, Any]) -> Case:
    """
    Read one call, from a file or a mapping: an example without a name, which expects nothing.

    Raises:
        PolicyError: Something is wrong in it; it lists every problem.
    """
    if isinstance(source, Mapping):
        given: Case = _read(_call, lambda: of_python("the call", source), "the call")
        return given
    read: Case = _read(_call, lambda: read_file(Path(source)), os.fspath(source))
    return read


def _read(reader: Reader, open_document: Any, origin: str) -> Any:
    problems: list[str] = []
    try:
        document: Document = open_document()
    except DocumentError as error:
        raise PolicyError([f"{located(origin, error.line)}: document: {error}"]) from error
    problems += document.fault_problems()
    found = attempt(reader, Spot(document, problems, document.value))
    if problems:
        raise PolicyError(problems)
    return found


def _moment(spot: Spot) -> datetime:
    """Read a time with its zone; YAML makes a time of one that is not quoted."""
    value = spot.value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", value))  # Python 3.10 knows no Z
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise spot.problem(f"{described(spot.value)}; expected a time with its zone, such as 2026-07-01T18:00:00Z")
    return value


def _one_or(read_text: Reader, read_mapping: Reader) -> Reader:
    """Read text in short, or a mapping in full."""
    return lambda spot: (read_text if isinstance(spot.value, str) else read_mapping)(spot)


_TEXTS = maybe(list_of(text()))
_NUMBERS = maybe(mapping_of(number()))

_agent = _one_or(lambda spot: AgentDescriptor(text()(spot)), record(AgentDescriptor, {"slug": TEXT, "tags": _TEXTS}))
_actor = _one_or(
    lambda spot: Actor(text()(spot)),
    record(Actor, {"externalId": TEXT, "metadata": maybe(mapping_of(text(least=0)))}),
)
_subject = record(SubjectRef, {"subjectType": TEXT, "value": TEXT, "role": maybe(text()), "idSystem": maybe(text())})
_earlier = _one_or(
    lambda spot: Earlier(tool=text()(spot)),
    record(
        Earlier,
        {
            "tool": TEXT,
            "tags": _TEXTS,
            "run": maybe(text()),
            "actor": maybe(text()),
            "secondsAgo": maybe(number(at_least=0)),
            "metrics": _NUMBERS,
        },
    ),
)
_expectation = _one_or(
    lambda spot: Expectation(effect=word(EFFECTS)(spot)),
    record(
        Expectation,
        {
            "effect": needed(word(EFFECTS)),
            "rule": maybe(text()),
            "shadow": maybe(lambda spot: () if spot.value == [] else list_of(text())(spot)),
        },
    ),
)
_CALL: Mapping[str, Key] = {
    "agent": maybe(_agent),
    "tool": TEXT,
    "tags": _TEXTS,
    "args": maybe(mapping_of(plain)),
    "phase": maybe(word(("tool.before", "tool.after"))),
    "actor": maybe(_actor),
    "subjects": maybe(list_of(_subject)),
    "metrics": _NUMBERS,
    "runTags": maybe(mapping_of(text(least=0))),
    "at": maybe(_moment),
    "past": maybe(list_of(_earlier)),
    "signals": maybe(mapping_of(plain)),
    "functions": maybe(mapping_of(truth)),
}
_ANYBODY = AgentDescriptor("agent")
_given = record(dict, {"name": maybe(text()), **_CALL})
_full = record(dict, {"name": TEXT, **_CALL, "expect": needed(_expectation)})


def _case(spot: Spot, given: dict[str, Any]) -> Case:
    return Case(**{"name": "the call", "agent": _ANYBODY, "at": _NOON, **given, "where": spot.where()})


def _call(spot: Spot) -> Case:
    return _case(spot, _given(spot))


def _example(spot: Spot) -> tuple[Spot, dict[str, Any]]:
    return spot, _full(spot)


def _made(cases: tuple[tuple[Spot, dict[str, Any]], ...], **shared: Any) -> CaseFile:
    """Make the file's examples, each for the file's agent where it names none."""
    policies = shared.pop("policies", ())
    return CaseFile(policies=policies, cases=tuple(_case(spot, {**shared, **given}) for spot, given in cases))


_file = record(
    _made,
    {"policies": maybe(one_or_list_of(text())), "agent": maybe(_agent), "cases": needed(list_of(_example))},
)
