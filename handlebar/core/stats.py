"""The numbers of a client: decisions by verdict, events by fate."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from attrs import frozen

from handlebar.core.schema.governance import Decision, Verdict


@frozen(kw_only=True)
class ClientStats:
    """
    What a client has done in this process so far.

    Attributes:
        events_queued: Events that wait to be sent.

        events_sent: Events that a sink has delivered.

        events_dropped: Events that were lost, by reason; `ended` for calls of a run that had ended already.

        events_failed: Deliveries that were given up.

        decisions: Decisions by verdict, `ALLOW` and `BLOCK`; in shadow mode what would have been.

        last_error: The last failure to deliver, in words.
    """

    events_queued: int
    events_sent: int
    events_dropped: Mapping[str, int]
    events_failed: int
    decisions: Mapping[str, int]
    last_error: str | None


class DecisionCounts:
    """Counts decisions by verdict; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Verdict] = Counter()

    def add(self, decision: Decision) -> None:
        """Count *decision*."""
        with self._lock:
            self._counts[decision.verdict] += 1

    def by_verdict(self) -> dict[str, int]:
        """Return the counts so far."""
        with self._lock:
            return {verdict.value: number for verdict, number in self._counts.items()}
