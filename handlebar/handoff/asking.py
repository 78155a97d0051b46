"""What all parts of the client ask through: arguments are checked, put into a call, and the answer is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar, Union
from uuid import UUID

from handlebar._plumbing import safe_json
from handlebar._plumbing.strict_converters import iso
from handlebar.handoff.answers import record_in, records_in
from handlebar.handoff.calling import Caller
from handlebar.handoff.exceptions import invalid
from handlebar.handoff.exchange import Call
from handlebar.handoff.models.base import Model

M = TypeVar("M", bound=Model)
Id = Union[str, UUID]
Words = Union[str, Iterable[str]]
Time = Union[str, datetime]

MAX_LIMIT = 200

# A server may undo the encoding of a path before it looks what the path leads to.
_OTHER_WAYS = {"awaiting", "search", "batch", "claim", "complete", "respond", "chain", "history"}
_OTHER_WAYS |= {"deliveries", "dlq", "replay", "retry-all", "rotate", "keys"}


class Asking:
    """What the parts of the client share."""

    _caller: Caller

    def _ask(
        self,
        kind: type[M],
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> M:
        return record_in(self._caller.make(call_for(method, path, query, body)), kind)

    def _ask_list(self, kind: type[M], *path: str, query: Mapping[str, Any] | None = None) -> list[M]:
        return records_in(self._caller.make(call_for("GET", path, query, None)), kind)

    def _delete(self, *path: str) -> None:
        self._caller.make(call_for("DELETE", path, None, None))


def call_for(
    method: str, path: tuple[str, ...], query: Mapping[str, Any] | None, body: Mapping[str, Any] | None
) -> Call:
    """Return the call; what is None in the *query* is left out."""
    given = tuple(
        (name, _sendable(name, str(value))) for name, value in (query or {}).items() if value not in (None, "")
    )
    return Call(method=method, path=path, query=given, body=None if body is None else safe_json.encode(body).encode())


def segment(field: str, name: object) -> str:
    """
    Return an id as it goes into a path.

    Raises:
        ValidationError: It is none, or could lead elsewhere.
    """
    text = str(name) if isinstance(name, (str, UUID)) else ""
    if not text.strip():
        raise invalid(field, "needs a str or UUID that is not empty")
    steps = text.replace("\\", "/").split("/")
    if {".", ".."} & set(steps) or steps[-1] in _OTHER_WAYS:
        raise invalid(field, f"{text[:80]!r} is no id")
    return _sendable(field, text)


def page(limit: int, offset: int) -> dict[str, int]:
    """
    Return the query for one page.

    Raises:
        ValidationError: *limit* is not 1 to 200, or *offset* is below zero.
    """
    if not _is_whole(limit) or not 1 <= limit <= MAX_LIMIT:
        raise invalid("limit", f"needs a whole number from 1 to {MAX_LIMIT}")
    if not _is_whole(offset) or offset < 0:
        raise invalid("offset", "needs a whole number of at least 0")
    return {"limit": limit, "offset": offset}


def listed(field: str, words: Words | None) -> str | None:
    """
    Return one or several words as a query has them.

    Raises:
        ValidationError: They are no words.
    """
    return ",".join(several(field, words)) or None


def several(field: str, words: object) -> tuple[str, ...]:
    """
    Return one or several words as a tuple.

    Raises:
        ValidationError: They are no words.
    """
    given = (words,) if isinstance(words, str) else () if words is None else words
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise invalid(field, "needs a text, or a list of texts")
    return tuple(_word(field, each) for each in given)


def moment(field: str, when: object) -> str | None:
    """
    Return a time as a query has it; a datetime without a zone is in UTC.

    Raises:
        ValidationError: It is no time.
    """
    if when is None or isinstance(when, str):
        return when
    if isinstance(when, datetime):
        return iso(when)
    raise invalid(field, "needs a datetime, or a text in ISO 8601")


def body_of(field: str, kind: type[M], given: M | Mapping[str, Any]) -> M:
    """
    Return the record that is to be sent.

    Raises:
        ValidationError: It is none.
    """
    if isinstance(given, kind):
        return given
    if isinstance(given, Mapping):
        return kind.from_dict(given)
    hint = "; call its build()" if hasattr(given, "build") else ""
    raise invalid(field, f"needs a {kind.__name__}{hint}")


def _word(field: str, word: Any) -> str:
    if not isinstance(word, str):
        raise invalid(field, "needs a text, or a list of texts")
    return _sendable(field, str(word))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _sendable(field: str, text: str) -> str:
    """Return *text* where UTF-8 can carry it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise invalid(field, "needs a text without halves of surrogate pairs") from error
    return text
