"""Readers: small functions that turn a spot of a document into a value, or note what is wrong there."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from keyword import iskeyword
from typing import Any

from attrs import evolve, frozen

from handlebar.policy.loading.documents import Document, Steps
from handlebar.policy.loading.wording import described, one_of, shown, suggestion

TELLING_KEYS = ("kind", "by", "source", "from", "type", "detector", "check", "op")
"""The keys whose word decides which other keys belong beside them."""


class InvalidError(Exception):
    """A problem has been noted; whoever reads the parts goes on with the next one."""


@frozen
class Spot:
    """A value in a document, and the list that its problems go to."""

    document: Document
    problems: list[str]
    value: Any
    path: Steps = ()

    def at(self, *steps: str | int) -> Spot:
        """Return the spot that *steps* lead to."""
        value = self.value
        for step in steps:
            value = value[step]
        return evolve(self, value=value, path=(*self.path, *steps))

    def where(self) -> str:
        """Return `file:line`."""
        return self.document.where(self.path)

    def note(self, message: str, *steps: str | int) -> None:
        """Note a problem here, or where *steps* lead to."""
        self.problems.append(self.document.problem((*self.path, *steps), message))

    def problem(self, message: str, *steps: str | int) -> InvalidError:
        """Note a problem and return what to raise."""
        self.note(message, *steps)
        return InvalidError(message)


Reader = Callable[[Spot], Any]
"""Returns the value of a spot; raises InvalidError after it has noted why there is none."""


@frozen
class Key:
    """How the value of a key is read; *keep* is false where only the choice of the reader hung on it."""

    read: Reader
    needed: bool
    keep: bool = True


def needed(read: Reader) -> Key:
    """Read a key that has to be there."""
    return Key(read, needed=True)


def maybe(read: Reader) -> Key:
    """Read a key that may be left out."""
    return Key(read, needed=False)


def text(*, least: int = 1, most: int | None = None) -> Reader:
    """Read text of so many characters."""

    def read(spot: Spot) -> str:
        value = _text(spot)
        if len(value) < least:
            raise spot.problem("the text is empty; expected one character at least")
        if most is not None and len(value) > most:
            raise spot.problem(f"the text has {len(value)} characters; at most {most}")
        return value

    return read


def label(most: int) -> Reader:
    """Read text that people know something by: not blank, of at most *most* characters."""
    bounded = text(most=most)

    def read(spot: Spot) -> Any:
        value = bounded(spot)
        if not value.strip():
            raise spot.problem(f"the text is blank; expected 1 to {most} characters")
        return value

    return read


def word(allowed: Collection[str]) -> Reader:
    """Read one of the words *allowed*."""

    def read(spot: Spot) -> str:
        value = _text(spot)
        if value not in allowed:
            raise spot.problem(f"{shown(value)} is unknown; {suggestion(value, allowed)}")
        return value

    return read


def number(*, at_least: float | None = None, above: float | None = None) -> Reader:
    """Read a finite number within the bound."""

    def read(spot: Spot) -> float:
        value: float = spot.value
        if not _is_number(value):
            raise spot.problem(f"{described(value)}; expected a number")
        if at_least is not None and value < at_least:
            raise spot.problem(f"{shown(value)} is too small; expected {at_least} or more")
        if above is not None and value <= above:
            raise spot.problem(f"{shown(value)} is too small; expected more than {above}")
        return value

    return read


def whole_number(*, at_least: int | None = None) -> Reader:
    """Read an int within the bound."""
    bounded = number(at_least=at_least)

    def read(spot: Spot) -> Any:
        value = bounded(spot)
        if not isinstance(value, int):
            raise spot.problem(f"{shown(value)} is not whole; expected a whole number")
        return value

    return read


def truth(spot: Spot) -> bool:
    """Read true or false."""
    if not isinstance(spot.value, bool):
        raise spot.problem(f"{described(spot.value)}; expected true or false")
    return spot.value


def plain(spot: Spot) -> Any:
    """Read any JSON value."""
    value = spot.value
    if isinstance(value, dict):
        return mapping_of(plain)(spot)
    if isinstance(value, list):
        return _parts(spot, plain, range(len(value)))
    if isinstance(value, str):
        return _text(spot)
    if value is None or isinstance(value, bool) or _is_number(value):
        return value
    raise spot.problem(f"{described(value)}; expected text, a finite number, true, false, a list or a mapping")


def list_of(read_part: Reader) -> Reader:
    """Read a list of one part at least, as a tuple."""

    def read(spot: Spot) -> tuple[Any, ...]:
        if not isinstance(spot.value, list):
            raise spot.problem(f"{described(spot.value)}; expected a list")
        if not spot.value:
            raise spot.problem("the list is empty; give it one entry at least")
        return tuple(_parts(spot, read_part, range(len(spot.value))))

    return read


def one_or_list_of(read_part: Reader) -> Reader:
    """Read one part or a list of such, as a tuple."""
    many = list_of(read_part)

    def read(spot: Spot) -> Any:
        return many(spot) if isinstance(spot.value, list) else (read_part(spot),)

    return read


def mapping_of(read_part: Reader, *, least: int = 0) -> Reader:
    """Read a mapping with free keys and parts of one sort."""

    def read(spot: Spot) -> dict[str, Any]:
        keys = list(_mapping(spot))
        if len(keys) < least:
            raise spot.problem("the mapping is empty; give it one entry at least")
        return dict(zip(keys, _parts(spot, read_part, keys), strict=True))

    return read


def record(make: Callable[..., Any], keys: Mapping[str, Key]) -> Reader:
    """Read a mapping with these *keys* only, and *make* a value of them, named as Python names things."""

    def read(spot: Spot) -> Any:
        noted = len(spot.problems)
        _note_keys(spot, keys)
        kept = [key for key in keys if key in spot.value and keys[key].keep]
        values = {attribute_of(key): attempt(keys[key].read, spot.at(key)) for key in kept}
        stop_if_noted(spot, noted)
        return make(**values)

    return read


def choice(key: str, readers: Mapping[str, Reader]) -> Reader:
    """Read a mapping by the reader that the word under *key* asks for."""
    read_word = word(readers)

    def read(spot: Spot) -> Any:
        if key not in _mapping(spot):
            raise spot.problem(f"{key!r} is missing; {one_of(readers)}")
        return readers[read_word(spot.at(key))](spot)

    return read


def attempt(read: Reader, spot: Spot) -> Any:
    """Read, so that the other parts are read too if this one is wrong."""
    try:
        return read(spot)
    except InvalidError:
        return None


def stop_if_noted(spot: Spot, noted: int) -> None:
    """Raise InvalidError if there are more than *noted* problems."""
    if len(spot.problems) > noted:
        raise InvalidError


def attribute_of(key: str) -> str:
    """Return what Python calls *key*: `windowSeconds` is `window_seconds`, `not` is `not_`."""
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
    return f"{name}_" if iskeyword(name) else name


def _text(spot: Spot) -> str:
    if not isinstance(spot.value, str):
        advice = "" if isinstance(spot.value, (list, dict, type(None))) else ", so quote it"
        raise spot.problem(f"{described(spot.value)}; expected text{advice}")
    try:
        spot.value.encode()
    except UnicodeEncodeError:
        raise spot.problem("the text holds half a character (a lone surrogate); take it out") from None
    return str.__str__(spot.value)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False


def _mapping(spot: Spot) -> dict[str, Any]:
    if not isinstance(spot.value, dict):
        raise spot.problem(f"{described(spot.value)}; expected a mapping")
    return spot.value


def _parts(spot: Spot, read_part: Reader, steps: Iterable[str | int]) -> list[Any]:
    noted = len(spot.problems)
    parts = [attempt(read_part, spot.at(step)) for step in steps]
    stop_if_noted(spot, noted)
    return parts


def _note_keys(spot: Spot, keys: Mapping[str, Key]) -> None:
    """Note the keys that are unknown and those that are missing."""
    given = _mapping(spot)
    for key in given:
        if key not in keys:
            spot.note(f"the key is unknown{_telling(given, keys)}; {suggestion(key, keys)}", key)
    for key in keys:
        if keys[key].needed and key not in given:
            spot.note(f"{key!r} is missing{_telling(given, keys)}; add it")


def _telling(given: Mapping[str, Any], keys: Mapping[str, Key]) -> str:
    """Say which words decided what keys belong here."""
    words = [f"{key} {given[key]}" for key in TELLING_KEYS if key in keys and isinstance(given.get(key), str)]
    return f" for {', '.join(words)}" if words else ""
