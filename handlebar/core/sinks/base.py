"""The base class of sinks, and what a sink tells of itself."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence

from attrs import Factory, frozen

from handlebar.core.schema.events import AuditEvent


class Sink:
    """
    Somewhere that audit events go; derive from it for one of your own, and override `write_batch` at least.

    A client calls a sink of yours from a background thread, one batch at a time, in each process that uses the
    client. Whatever it raises is counted and logged, and reaches neither the agent nor other sinks. Lives as
    long as its client. Its methods may be coroutine functions.
    """

    def init(self) -> Awaitable[None] | None:
        """Get ready; called once in each process before the first batch."""
        return None

    def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> Awaitable[None] | None:
        """Take *events*, in order; they are immutable."""
        raise NotImplementedError(f"{type(self).__name__} has to define write_batch")

    def drain(self) -> Awaitable[None] | None:
        """Bring all that was written to where it belongs; called when a run ends."""
        return None

    def close(self) -> Awaitable[None] | None:
        """Let go of resources; called once, nothing is written afterwards."""
        return None


@frozen(kw_only=True)
class SinkStats:
    """
    What became of events.

    Attributes:
        queued: How many wait.

        sent: How many were delivered.

        dropped: How many were lost, by reason.

        failed: How many deliveries were given up.

        last_error: The last failure, in words.
    """

    queued: int = 0
    sent: int = 0
    dropped: Mapping[str, int] = Factory(dict)
    failed: int = 0
    last_error: str | None = None
