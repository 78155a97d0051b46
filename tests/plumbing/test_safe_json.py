"""A JSON encoder that takes anything."""

from __future__ import annotations

import json
import math
import sys
import threading
from collections import ChainMap, OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, NoReturn
from uuid import UUID

import pytest
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st

from handlebar._plumbing import safe_json
from handlebar._plumbing.safe_json import CIRCULAR, MAX_DEPTH, UNREADABLE, canonical, encode, plain

Pair = namedtuple("Pair", ["left", "right"])


class Colour(Enum):
    RED = "red"
    NESTED = (1, Decimal("2.5"))


@define
class Slotted:
    amount: int
    _secret: str = "hidden"


class Plainly:
    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


class Hostile:
    """Whatever is asked of it, it fails the test that asks."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise BaseException("the encoder called a method of the value")

    __repr__ = __str__ = __iter__ = __len__ = __getitem__ = __bool__ = __hash__ = __getattr__ = _refuse  # type: ignore[assignment]
    __eq__ = __format__ = __reduce_ex__ = __dir__ = __index__ = __int__ = __float__ = _refuse  # type: ignore[assignment]

    @property
    def __class__(self) -> Any:
        return self._refuse()

    @property
    def amount(self) -> Any:
        """Refuse."""
        return self._refuse()


class Failing:
    """Raises an ordinary exception wherever it can."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise ValueError("no")

    __repr__ = __str__ = __iter__ = __len__ = __getattr__ = _refuse  # type: ignore[assignment]

    @property
    def __class__(self) -> Any:
        return self._refuse()


class NoMapping(UserDict):  # type: ignore[type-arg]
    """A mapping whose items cannot be had."""

    def items(self) -> NoReturn:
        """Refuse."""
        raise ValueError("no")


class NoList(UserList):  # type: ignore[type-arg]
    def __iter__(self) -> NoReturn:
        raise ValueError("no")


class NoDate(datetime):
    def isoformat(self, *_: Any, **__: Any) -> str:
        """Give what nobody should ask for."""
        return "should not be asked"


class OddNumber(float):
    def __repr__(self) -> str:
        raise ValueError("no")


def endless() -> Iterator[int]:
    """Yield for ever."""
    while True:
        yield 1


FORMS: list[tuple[object, object]] = [
    (Decimal("12.50"), 12.5),
    (Decimal("NaN"), None),
    (Decimal("sNaN"), None),
    (Decimal("1e1000"), sys.float_info.max),
    (Decimal("-1e1000"), -sys.float_info.max),
    (Fraction(1, 4), 0.25),
    (Fraction(10**400), sys.float_info.max),
    (math.nan, None),
    (math.inf, sys.float_info.max),
    (-math.inf, -sys.float_info.max),
    (10**5000, sys.float_info.max),
    (-(10**5000), -sys.float_info.max),
    (10**300, 10**300),
    (OddNumber(1.5), 1.5),
    (1 + 2j, "<builtins.complex>"),
    (b"caf\xc3\xa9", "café"),
    (b"\xff", "\\xff"),
    (bytearray(b"ab"), "ab"),
    (memoryview(b"ab"), "ab"),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"b", "a"}), ["a", "b"]),
    (Colour.RED, "red"),
    (Colour.NESTED, [1, 2.5]),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc), "2026-01-02T03:04:05+00:00"),
    (NoDate(2026, 1, 2), "2026-01-02T00:00:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(3, 4), "03:04:00"),
    (timedelta(minutes=2), 120.0),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (PurePosixPath("/a/b"), "/a/b"),
    (Pair(1, b"2"), [1, "2"]),
    (deque([1, b"2"]), [1, "2"]),
    (UserList([1, 2]), [1, 2]),
    (UserDict({"a": 1}), {"a": 1}),
    (ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (OrderedDict(a=1), {"a": 1}),
    (defaultdict(int, a=1), {"a": 1}),
    (Slotted(3), {"amount": 3}),
    (Plainly(amount=3, _secret=4), {"amount": 3}),
    (Plainly(), f"<{__name__}.Plainly>"),
    (Plainly, f"<{__name__}.Plainly>"),
    (ValueError("secret"), "<builtins.ValueError>"),
    (endless(), "<builtins.generator>"),
    ("\ud800", "\ufffd"),
    ("\ud83d\ude00", "😀"),
    ({"\ud800": 1}, {"\ufffd": 1}),
    ({None: 1, True: 2, 3: 4, (1, 2): 5, b"k": 6}, {"null": 1, "true": 2, "3": 4, "1 2": 5, "k": 6}),
    (Hostile(), f"<{__name__}.Hostile>"),
    ([Hostile(), 1], [f"<{__name__}.Hostile>", 1]),
    ([NoMapping(a=1), 1], [{UNREADABLE: UNREADABLE}, 1]),
    ([NoList([1]), 1], [[[UNREADABLE, UNREADABLE]], 1]),
]
"""Values that JSON does not know, and what becomes of them."""

texts = st.text(st.characters(), max_size=12)  # lone surrogates included
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.binary(max_size=12)
    | st.decimals()
    | st.fractions()
    | st.complex_numbers()
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
    | st.builds(bytearray, st.binary(max_size=4))
    | st.sampled_from([Colour.RED, Colour.NESTED, object(), Failing, ..., len, endless()])
    | st.integers(1, 9).map(lambda digit: digit * 10**5000)
    | st.builds(Hostile)
    | st.builds(Failing)
    | st.builds(Slotted, st.integers())
)
hashables = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.binary(max_size=6)
    | st.decimals(allow_nan=False)
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Build one level of nesting, of every make."""
    return (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(deque)
        | st.lists(inner, max_size=4).map(NoList)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.dictionaries(texts, inner, max_size=4).map(MappingProxyType)
        | st.dictionaries(texts, inner, max_size=4).map(NoMapping)
        | st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=3).map(lambda fields: Plainly(**fields))
        | st.sets(hashables, max_size=4)
        | inner.map(iter_of)
    )


def iter_of(value: Any) -> Iterator[Any]:
    """Return a generator that fails the test when it is run."""
    raise BaseException("a lazy iterable was run")
    yield value


anything = st.recursive(leaves, containers, max_leaves=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=25,
)


def strictly(text: str) -> Any:
    """Read JSON as its standard has it: no NaN, no Infinity."""

    def refuse(name: str) -> NoReturn:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text.encode(), parse_constant=refuse)


def nested(levels: int, leaf: object = "leaf") -> Any:
    """Return *leaf* inside so many lists."""
    value = leaf
    for _ in range(levels):
        value = [value]
    return value


def depth(value: Any) -> int:
    """Return how many containers lie inside each other."""
    level, deep = [value], 0
    while level := [each for each in level if isinstance(each, (dict, list))]:
        deep += 1
        level = [part for each in level for part in (each.values() if isinstance(each, dict) else each)]
    return deep


@given(anything)
@settings(max_examples=400)
def test_anything_at_all_becomes_valid_json(value: object) -> None:
    """Whatever comes in, the text is strict JSON and valid UTF-8, and none of the value's own methods is called."""
    strictly(encode(value))


@given(json_values)
def test_plain_values_come_back_as_they_were(value: object) -> None:
    """Encoding loses nothing of what JSON can express."""
    assert value == json.loads(encode(value))


@given(anything)
def test_the_careful_way_gives_plain_values(value: object) -> None:
    """What `plain` returns is what its JSON reads back as."""
    made = plain(value)
    assert made == json.loads(json.dumps(made, allow_nan=False))


@given(json_values)
def test_both_ways_agree(value: object) -> None:
    """A value that JSON knows is encoded alike, whether quickly or carefully."""
    assert strictly(encode(value)) == plain(value)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=8), st.randoms())
def test_canonical_text_does_not_depend_on_order(value: dict[str, Any], random: Any) -> None:
    """Equal dicts give equal text, however their keys are ordered."""
    pairs = list(value.items())
    random.shuffle(pairs)
    assert canonical(value) == canonical(dict(pairs))
    assert value == json.loads(canonical(value))


@given(st.dictionaries(hashables, st.integers(), max_size=8))
def test_canonical_sorts_keys_of_any_type(value: dict[Any, int]) -> None:
    """Keys that Python cannot compare are sorted all the same."""
    keys = list(strictly(canonical(value)))
    assert sorted(keys) == keys


@pytest.mark.parametrize(
    ("value", "expected"),
    FORMS,
    ids=[f"{place}-{type(value).__name__}" for place, (value, _) in enumerate(FORMS)],
)
def test_what_json_does_not_know(value: object, expected: object) -> None:
    """Each kind of value has its form in JSON, whether it stands alone or inside something."""
    assert expected == strictly(encode(value))
    assert [expected] == strictly(encode([value]))


def test_a_part_that_cannot_be_read_does_not_hide_the_others() -> None:
    """Rules still see the amount beside what is broken."""

    class Broken(PurePosixPath):
        def __str__(self) -> str:
            raise ValueError("no")

    assert {"amount": 5, "path": UNREADABLE} == strictly(encode({"amount": 5, "path": Broken("/a")}))


def test_a_container_inside_itself_is_named_and_not_followed() -> None:
    """Circles end, and only there; what is shared but not circular is written twice."""
    circle: dict[str, Any] = {"a": 1}
    circle["self"] = [circle]
    assert {"a": 1, "self": [CIRCULAR]} == strictly(encode(circle))
    shared = {"b": {1}}
    assert [{"b": [1]}, {"b": [1]}] == strictly(encode([shared, shared]))
    person = Plainly(name="A")
    person.friend = person  # type: ignore[attr-defined]
    assert {"name": "A", "friend": CIRCULAR} == strictly(encode(person))


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1, 500, 900, 1000, 20_000])
def test_depth_is_bounded_and_what_lies_deeper_is_still_seen(levels: int) -> None:
    """However deep a value is, its text keeps 64 levels, on every Python, and shows the leaf."""
    text = encode(nested(levels))
    assert min(levels, MAX_DEPTH) == depth(strictly(text))
    assert "leaf" in text


def test_a_deep_value_reads_back_on_a_deep_stack() -> None:
    """Whoever reads the text needs no more stack than 64 levels take."""
    text = encode(nested(900))

    def deeper(levels: int) -> Any:
        return json.loads(text) if levels == 0 else deeper(levels - 1)

    assert MAX_DEPTH == depth(deeper(500))


def test_wide_values_keep_their_shape() -> None:
    """Many containers side by side are not taken for deep ones."""
    wide = [{"a": [number, {}]} for number in range(500)] + ["[" * 500]
    assert wide == strictly(encode(wide))


def test_deep_leaves_keep_their_order_and_keys() -> None:
    """Below 64 levels, keys and leaves become one text, in the order they had."""
    text = encode(nested(MAX_DEPTH, {"to": "alice", "amounts": [1, 2]}))
    assert "to alice amounts 1 2" in text


def test_a_deep_circle_ends() -> None:
    """A circle that is longer than 64 levels ends as well."""
    top: list[Any] = []
    inner = top
    for _ in range(200):
        inner.append([])
        inner = inner[0]
    inner += ["leaf", top]
    assert "leaf" in encode(top)


def test_the_text_does_not_follow_the_value() -> None:
    """A later change to the value, or to what `plain` returned, is nobody else's business."""
    value = {"a": [1]}
    text, made = encode(value), plain(value)
    value["a"].append(2)
    assert '{"a":[1]}' == text
    assert {"a": [1]} == made


def test_interrupts_pass_through() -> None:
    """Only an Exception is swallowed: Ctrl-C inside a value's own code reaches the program."""

    class Interrupted(UserDict):  # type: ignore[type-arg]
        def items(self) -> NoReturn:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(Interrupted(a=1))


def test_a_stack_that_is_nearly_full_is_no_error() -> None:
    """Deep in a recursion there is still an answer, and it is JSON."""

    def fill() -> str:
        try:
            return fill()
        except RecursionError:
            return encode({"a": object()})

    try:
        strictly(fill())
    except RecursionError:  # not even the call itself had room
        pytest.skip("the stack was full before the encoder was reached")


def test_values_that_change_meanwhile_are_no_error() -> None:
    """Another thread may fill and empty what is being encoded."""
    value: dict[Any, Any] = {number: {number} for number in range(50)}
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            for number in range(50, 100):
                value[number] = {number}
            for number in range(50, 100):
                del value[number]

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(200):
            strictly(encode(value))
    finally:
        done.set()
        thread.join()


@given(json_values)
def test_the_compact_writer_adds_no_white_space(value: object) -> None:
    """Bytes that are counted hold nothing that need not be there."""
    assert encode(value) == safe_json.dumps(value)
    assert json.dumps(value, ensure_ascii=False, separators=(",", ":")) == encode(value)
