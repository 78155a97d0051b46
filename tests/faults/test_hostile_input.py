"""Input made to take long: what is four times as large takes about four times as long, never sixteen times."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlebar._plumbing import safe_json
from handlebar.control import audit
from handlebar.control.handoffs import life_cycle
from handlebar.core import wire
from handlebar.core.messages import LLMMessage
from handlebar.core.redaction import Redaction
from handlebar.errors import BadAnswerError, PolicyError
from handlebar.handoff.models.words import PacketStatus
from handlebar.policy import load_policies
from handlebar.policy.detecting.catalogue import DETECTORS, detector
from handlebar.policy.detecting.plain_text import plain
from handlebar.server.bodies import parse_object
from handlebar.server.problems import ProblemError

SIZE = 1 << 16
TOO_LONG = 10.0
"""Seconds that no work here may take, on however slow a machine."""
QUICK = 0.25
"""Below this, a ratio says more about the machine than about the work."""
QUADRATIC = 11.0
"""Between four times as long, and the sixteen times that quadratic work takes when it is given four times as much."""

quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PARTS = st.text(st.sampled_from("aAe1é.@:/+-_ ([{}])%,$=\n\u0301\u202e4GB"), min_size=1, max_size=12)


def seconds_of(work: Callable[[], Any]) -> float:
    """Return the processor's time that *work* takes in this thread."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def is_linear(work: Callable[[int], Callable[[], Any]], size: int = SIZE) -> bool:
    """Whether what *work* makes for a size takes time in proportion to it; noise gets a second chance."""
    large = seconds_of(work(4 * size))
    if large < QUICK:
        return True
    small = min(seconds_of(work(size)) for _ in range(2))
    again = min(large, seconds_of(work(4 * size)))
    return again < TOO_LONG and again < QUADRATIC * small


def all_found(name: str, part: str, size: int) -> Callable[[], Any]:
    """Return the search for all that is found in *part*, repeated up to *size*."""
    text = part * (size // len(part))
    return lambda: sum(1 for _ in detector(name).find(plain(text)))


def test_quadratic_work_is_noticed() -> None:
    """What these tests rest on: work that grows with the square is told from work that does not."""
    assert not is_linear(lambda size: lambda: sum(1 for _ in range(size * size // 256)), size=1 << 14)
    assert is_linear(lambda size: lambda: sum(1 for _ in range(size * 64)), size=1 << 16)


HOSTILE = ["a", "@", "1 ", "+1 ", "a.", "a@a.aa ", "a://", "::1 ", "4111 ", "MT84", "eyJhIjoxfQ.", "aB3+/", "\u0301"]
HOSTILE += ["1-1-1-", "+1 415 555 267", "+1 1 1 1 1 1 1 1 ", "+26107316231 ", "1234-5678-"]


@pytest.mark.parametrize("part", HOSTILE)
@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_on_what_is_known_to_hurt(name: str, part: str) -> None:
    """A quarter of a megabyte of each."""
    assert is_linear(partial(all_found, name, part))


@quick
@given(part=PARTS)
@pytest.mark.parametrize("name", DETECTORS)
def test_detectors(name: str, part: str) -> None:
    """Anything, over and over again."""
    assert is_linear(partial(all_found, name, part))


@quick
@given(part=PARTS)
def test_redaction(part: str) -> None:
    """The path from a message through redactors to its event; the redactor is called once a text."""
    called: list[str] = []
    redaction = Redaction((lambda text: called.append(text) or text.upper(),))  # type: ignore[func-returns-value]  # append gives None

    def work(size: int) -> Callable[[], Any]:
        parts = [{"type": "text", "text": part} for _ in range(size // 256)]
        message = LLMMessage("user", [*parts, {"type": "text", "text": part * (size // len(part))}])
        return lambda: safe_json.encode(redaction.message(message).value.content)

    called.clear()
    work(SIZE)()
    assert SIZE // 256 + 1 == len(called)
    assert is_linear(work)


def refused(source: Any) -> bool:
    """Whether policies are refused, or loaded, and nothing else."""
    try:
        load_policies(source)
    except PolicyError:
        return True
    return False


def bomb(levels: int) -> str:
    """Return YAML whose aliases multiply by ten at each level."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


POLICIES = {
    "aliases.yaml": bomb(12),
    "deep.yaml": "[" * 500_000,
    "deep block.yaml": "\n".join(" " * level + "a:" for level in range(1200)),
    "deep.json": "[" * 500_000,
    "deep and closed.json": "[" * 100_000 + "]" * 100_000,
    "number.json": '{"priority": ' + "9" * 900_000 + "}",
    "number.yaml": "priority: " + "9" * 100_000,
    "sexagesimal.yaml": "priority: 1" + ":59" * 30_000,
    "recursive.yaml": "&a [*a, *a, *a]",
    "long key.yaml": "a" * 900_000,
    "quotes.yaml": '"' * 100_000,
    "keys.json": json.dumps({f"key-{number}": number for number in range(40_000)}),
    "rules.json": json.dumps({"name": "x", "rules": [{}] * 5_000}),
}


@pytest.mark.parametrize("name", POLICIES)
def test_policy_files(tmp_path: Path, name: str) -> None:
    """Each of at most a megabyte is refused with its reasons, in seconds."""
    file = tmp_path / name
    file.write_text(POLICIES[name])
    began = time.thread_time()
    assert refused(file)
    assert time.thread_time() - began < 3 * TOO_LONG


@quick
@given(text=st.text(st.sampled_from("ab: -[]{}&*!|>'\"#\n,?0123456789"), max_size=60))
def test_any_policy_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever is in the file, either it loads, or PolicyError says why not."""
    file = tmp_path_factory.mktemp("policies") / "any.yaml"
    file.write_text(text)
    refused(file)


def is_refused(read: Callable[[bytes], Any], body: bytes) -> bool:
    """Whether *read* says that *body* is nothing to read."""
    with pytest.raises((BadAnswerError, ProblemError)):
        read(body)
    return True


BODIES = [b"[", b'{"a":', b'"\\u0041', b"1", b"-", b'{"a":1},', b"\xff", b"[1e999,", b'{"verdict":']


@pytest.mark.parametrize("part", BODIES)
def test_answers_and_bodies(part: bytes) -> None:
    """Both ends read megabytes of half a document, and say that it is none."""

    def answer(size: int) -> Callable[[], Any]:
        body = part * (size // len(part))
        return partial(is_refused, wire.decode_decision, body)

    def body(size: int) -> Callable[[], Any]:
        body = b'{"a":' + part * (size // len(part))
        return partial(is_refused, parse_object, body)

    assert is_linear(answer, size=1 << 18)
    assert is_linear(body, size=1 << 18)


def test_a_body_of_surrogates_and_of_many_keys() -> None:
    """Halves of pairs are replaced, keys that collide are kept, in linear time."""
    halves = lambda size: partial(parse_object, b'{"a":"' + b"\\ud800" * size + b'"}')  # noqa: E731  # two of a kind
    keys = lambda size: partial(parse_object, json.dumps({str(n): {} for n in range(size)}).encode())  # noqa: E731
    assert is_linear(halves)
    assert is_linear(keys)


def test_the_encoder() -> None:
    """Wide, deep, circular, full of half pairs: linear."""

    def deep(size: int) -> Any:
        value: Any = "x"
        for _ in range(size):
            value = [value, 1]
        return value

    values: list[Callable[[int], Any]] = [
        lambda size: ["\ud800"] * size,
        lambda size: {n: {n} for n in range(size)},
        lambda size: [[[[]]]] * size,
        deep,
        lambda size: [float("nan")] * size,
    ]
    for value in values:
        assert is_linear(lambda size, value=value: partial(safe_json.encode, value(size)), size=1 << 12)


@quick
@given(part=st.recursive(st.none() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=4)))
def test_the_encoder_on_anything(part: Any) -> None:
    """Whatever is in a list, ten times the list is not a hundred times the work."""
    assert is_linear(lambda size: partial(safe_json.encode, [part] * size), size=1 << 12)


@settings(deadline=None)
@given(moves=st.lists(st.sampled_from(PacketStatus), max_size=30))
def test_a_packets_life(moves: list[PacketStatus]) -> None:
    """By whatever moves, a packet reaches nothing that the table does not allow, and its end is final."""
    at = PacketStatus.CREATED
    for move in moves:
        at = move if move in life_cycle.NEXT[at] else at
    assert at in life_cycle.NEXT
    assert not life_cycle.NEXT[PacketStatus.EXPIRED]
    # No circle but that between work and a person: each list of moves ends, or goes through a person.
    without_people = {each: after - {PacketStatus.AWAITING_HUMAN} for each, after in life_cycle.NEXT.items()}
    assert not _has_circle(without_people)


def _has_circle(after: dict[PacketStatus, frozenset[PacketStatus]]) -> bool:
    left = {each: set(nexts) for each, nexts in after.items()}
    while ends := [each for each, nexts in left.items() if not nexts & set(left)]:
        for each in ends:
            del left[each]
    return bool(left)


@settings(deadline=None)
@given(bodies=st.lists(st.text(max_size=20), min_size=1, max_size=12), data=st.data())
def test_the_audit_chain(bodies: list[str], data: st.DataObject) -> None:
    """To change, drop, repeat or swap events changes the last link."""

    def last(several: list[str]) -> str:
        link = ""
        for body in several:
            link = audit.chained(link, body)
        return link

    place = data.draw(st.integers(0, len(bodies) - 1))
    dropped = bodies[:place] + bodies[place + 1 :]
    repeated = [*bodies[: place + 1], *bodies[place:]]
    changed = [*bodies[:place], bodies[place] + "x", *bodies[place + 1 :]]
    for other in (dropped, repeated, changed, bodies[::-1]):
        assert (other == bodies) is (last(other) == last(bodies))


def test_the_audit_chain_is_linear() -> None:
    """One link is as long as the next, so a chain takes as long as its events."""
    assert 1 == len({len(audit.chained("x" * length, "body")) for length in (0, 64, 4096)})
