"""
A total JSON encoder: any value becomes valid JSON.

The quick way is the standard library's encoder. What it refuses goes through `plain`, which looks at
values without calling their methods, so that no lazy query runs and no `repr` is waited for:

- Decimal, Fraction and other numbers stay numbers; infinities become the largest float, NaN becomes null;
- bytes are read as UTF-8, sets are sorted, enums give their value, dates and times ISO 8601, a timedelta seconds;
- other objects give their public attributes, or `<module.Class>` where they have none;
- a container inside itself becomes `<circular>`; below 64 levels, a container becomes the text of its leaves.
"""

from __future__ import annotations

import json
import math
import numbers
import sys
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import partial
from pathlib import PurePath
from types import MappingProxyType, MemberDescriptorType
from typing import Any, NoReturn
from uuid import UUID

MAX_DEPTH = 64
CIRCULAR = "<circular>"
UNREADABLE = "<unreadable>"


def _refuse(value: object) -> NoReturn:
    """Refuse as the standard library does, but without asking *value* for its `__class__`."""
    raise TypeError("not plain")


dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_refuse).encode
"""Compact JSON of a value that is plain already; raises for any other."""


def encode(value: object) -> str:
    """
    Return *value* as compact JSON text that is valid UTF-8; never raises an Exception.

    Thread-safe. The text does not change when *value* does afterwards.
    """
    try:
        # In a list, because the encoder asks what stands alone for its `__class__`, and a lazy object runs its query.
        text = dumps([value])[1:-1]
        if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(value):
            return _encode_carefully(value)
        if text.isascii():
            return text
        text.encode()
    except Exception:  # any fault of a value's own is a reason to take the careful way
        return _encode_carefully(value)
    return text


def canonical(value: object) -> str:
    """Return plain *value* as JSON with sorted keys: equal values give equal text."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def plain(value: object) -> Any:
    """Return *value* made of dict, list, str, int, float, bool and None only; always a new object."""
    return _plain(value, depth=0, inside=())


def _encode_carefully(value: object) -> str:
    try:
        return dumps(plain(value))
    except Exception:  # the stack or the memory ran out: there is still an answer
        return dumps(UNREADABLE)


def _is_deep(value: object) -> bool:
    """Whether *value*, of JSON's own types, is nested too deep to keep its shape; whoever reads it has a stack, too."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [part for each in level for part in _parts(each) if isinstance(part, (dict, list, tuple))]
    return bool(level)


def _parts(value: Any) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


def _plain(value: object, *, depth: int, inside: tuple[int, ...]) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if issubclass(kind, str):
        return _text(str.__str__(value))
    if issubclass(kind, Enum):
        return _plain(vars(value).get("_value_"), depth=depth, inside=inside)
    if issubclass(kind, numbers.Number):
        return _number(value)
    if issubclass(kind, _SCALARS):
        return _scalar(value)
    return _container(value, depth=depth, inside=inside)


def _container(value: object, *, depth: int, inside: tuple[int, ...]) -> Any:
    if id(value) in inside:
        return CIRCULAR
    pairs, items = _pairs(value), _items(value)
    if pairs is None and items is None:
        return _marker(value)
    if depth >= MAX_DEPTH:
        return _leaves(value)
    inside = (*inside, id(value))

    def part_of(part: object) -> Any:
        # One part that cannot be read must not take the others out of the rules' sight.
        return _guarded(lambda: _plain(part, depth=depth + 1, inside=inside))

    if pairs is not None:
        return {_key(key): part_of(part) for key, part in pairs}
    return [part_of(part) for part in items or ()]


def _pairs(value: Any) -> list[tuple[object, object]] | None:
    """Return what a mapping, or an object with public attributes, is made of."""
    kind: type = type(value)
    if issubclass(kind, dict):
        return list(dict.items(value))
    if issubclass(kind, (UserDict, ChainMap, MappingProxyType)):
        return _guarded_list(lambda: list(value.items()))
    if issubclass(kind, (type, BaseException)) or _items(value) is not None:
        return None
    return list(_public_attributes(value)) or None


def _items(value: Any) -> list[object] | None:
    """Return the parts of a list, tuple, set or deque."""
    kind = type(value)
    if issubclass(kind, list):
        return list(list.__iter__(value))
    if issubclass(kind, tuple):
        return list(tuple.__iter__(value))
    if issubclass(kind, (UserList, deque)):
        return _guarded_list(lambda: list(value))
    if issubclass(kind, (set, frozenset)):
        return sorted(_guarded_list(lambda: list(value)), key=encode)
    return None


def _public_attributes(value: object) -> Iterator[tuple[object, object]]:
    """Yield instance attributes and filled slots whose names do not start with `_`; calls no code of theirs."""
    try:
        own = object.__getattribute__(value, "__dict__")
    except Exception:  # slotted, or foreign to Python
        own = {}
    if type(own) is dict:
        yield from ((k, v) for k, v in list(own.items()) if type(k) is str and not k.startswith("_"))
    for base in type(value).__mro__:
        if "__slots__" in vars(base):
            yield from _slots(value, base)


def _slots(value: object, base: type) -> Iterator[tuple[object, object]]:
    for name, slot in list(vars(base).items()):
        if type(slot) is MemberDescriptorType and not name.startswith("_"):
            yield from _slot(value, name, slot)


def _slot(value: object, name: str, slot: MemberDescriptorType) -> Iterator[tuple[str, object]]:
    try:
        yield name, slot.__get__(value)
    except AttributeError:  # a slot that nobody filled
        return


def _leaves(value: object) -> str:
    """Return the text of all that lies below: what is too deep to keep in shape is still seen by rules."""
    words: list[str] = []
    seen: set[int] = set()
    waiting: list[object] = [value]
    while waiting:
        part = waiting.pop()
        pairs, items = _pairs(part), _items(part)
        if pairs is None and items is None:
            words.append(str(_plain(part, depth=0, inside=())))
        elif id(part) not in seen:
            seen.add(id(part))
            waiting += [each for pair in pairs for each in pair] if pairs is not None else items or []
    return " ".join(reversed(words))


def _key(key: object) -> str:
    """Return a mapping's key as JSON has it: `true`, `null`, `1`, text."""
    made = _plain(key, depth=MAX_DEPTH, inside=())
    return made if isinstance(made, str) else dumps(made)


def _text(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _number(value: Any) -> int | float | str | None:
    """Return a number as JSON can carry it; too large a one becomes the largest that it can."""
    try:
        if issubclass(type(value), numbers.Integral):
            whole = int(value)
            dumps(whole)  # more digits than Python is willing to print
            return whole
        real = float(value)
    except (ValueError, OverflowError):
        return _too_large(value)
    except Exception:  # complex numbers, and numbers of foreign make that are none after all
        return _marker(value)
    if math.isnan(real):
        return None
    return real if math.isfinite(real) else math.copysign(sys.float_info.max, real)


def _too_large(value: Any) -> float | None:
    """Return the largest float with the sign of *value*; a signalling NaN has none."""
    try:
        return math.copysign(sys.float_info.max, -1 if value < 0 else 1)
    except Exception:  # a Decimal sNaN refuses to be compared
        return None


def _scalar(value: Any) -> Any:
    for kind, read in _READERS.items():
        if issubclass(type(value), kind):
            return _guarded(partial(read, value))
    return _marker(value)


def _bytes(value: Any) -> str:
    return bytes(value).decode("utf-8", "backslashreplace")


_READERS: dict[type, Callable[[Any], Any]] = {
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: timedelta.total_seconds,
    UUID: str,
    PurePath: str,
}
_SCALARS = tuple(_READERS)


def _guarded(read: Callable[[], Any]) -> Any:
    """Call *read*; a value that cannot be read is said to be unreadable."""
    try:
        return read()
    except Exception:  # a subclass may do what it likes in its own methods
        return UNREADABLE


def _guarded_list(read: Callable[[], list[Any]]) -> list[Any]:
    """Call *read*; a container that cannot be read is said to hold something unreadable."""
    try:
        return read()
    except Exception:  # as above
        return [(UNREADABLE, UNREADABLE)]


def _marker(value: object) -> str:
    """Name what a value is where the value itself cannot be shown."""
    # Not isinstance: that would ask the value for its __class__, which a lazy object answers with a query.
    kind: Any = value if issubclass(type(value), type) else type(value)
    return f"<{type.__getattribute__(kind, '__module__')}.{kind.__qualname__}>"
