"""The seam between the hand-off client and who answers it: over HTTP, or inside this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from attrs import Factory, frozen

from handlebar._plumbing.clock import Deadline

RECOGNISES_KEYS = "x-handlebar-idempotency"
"""The header by which a server says that a POST with an `idempotency-key` may be repeated."""


@frozen(kw_only=True)
class Call:
    """
    One request of the hand-off API, before it is put on a wire.

    Attributes:
        path: The segments below `/api/v1`, as they are: whoever puts them into a URL encodes each.

        query: Names and values, as they are; a name may come twice.

        body: JSON in UTF-8; None for none.

        headers: Further headers by lower-case name, such as `idempotency-key`.
    """

    method: str
    path: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    headers: Mapping[str, str] = Factory(dict)


@frozen
class Answer:
    """
    What came back.

    Attributes:
        headers: By lower-case name.

        body: Mostly JSON in UTF-8; over a network it may be anything.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@frozen
class StreamEvent:
    """
    One server-sent event.

    Attributes:
        id: What to name as last seen when reconnecting.

        name: The kind, e.g. `packet.created`.

        data: JSON text.
    """

    id: str
    name: str
    data: str


class Exchange(Protocol):
    """
    Who answers calls of the hand-off API, for one API key.

    Safe to call from any thread and after a fork.
    """

    def send(self, call: Call, *, deadline: Deadline) -> Answer:
        """Make one attempt, until *deadline* at most; raises `UnreachableError` and nothing else."""
        ...

    def listen(self, channels: tuple[str, ...], *, after: str | None) -> Iterator[StreamEvent]:
        """
        Yield events as they happen, those missed since the event *after* first.

        Ends when the other side does; raises `UnreachableError`, and `RefusedError` where it will not listen. Closing
        the iterator closes the connection.
        """
        ...

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        ...
