"""Server-sent events: from the bytes of a stream to what they say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from handlebar.handoff.exchange import StreamEvent

MAX_EVENT_BYTES = 8 * 1024 * 1024

_LINE_END = re.compile(rb"\r\n|\n|\r(?!$)")


def events_in(pieces: Iterable[bytes]) -> Iterator[StreamEvent]:
    """
    Yield the events that the *pieces* of a stream hold; one that has no end is left out.

    Raises:
        ValueError: An event is too large.
    """
    name, seen, data = "message", "", list[str]()
    for line in _lines(pieces):
        field, value = _split(line)
        if not line:
            if data:
                yield StreamEvent(seen, name, "\n".join(data))
            name, data = "message", []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id" and "\0" not in value:
            seen = value
        if sum(map(len, data)) > MAX_EVENT_BYTES:
            raise ValueError("an event is too large")


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    held, size, half = list[bytes](), 0, b""
    for piece in pieces:
        *ends, rest = _LINE_END.split(half + piece)
        for end in ends:
            yield b"".join([*held, end]).decode("utf-8", "replace")
            held, size = [], 0
        # A CR at the end may be half of a line end, so it waits for what follows.
        half = rest[-1:] if rest.endswith(b"\r") else b""
        held.append(rest.removesuffix(half))
        size += len(rest)
        if size > MAX_EVENT_BYTES:
            raise ValueError("a line is too large")


def _split(line: str) -> tuple[str, str]:
    field, _, value = line.partition(":")
    return field, value.removeprefix(" ")
