"""Counts that any thread, signal handler or `__del__` may add to, without a lock."""

from __future__ import annotations

from itertools import count


class Count:
    """A number that only grows, by steps that nothing can cut in two."""

    def __init__(self) -> None:
        self._steps = count()
        self.step = self._steps.__next__

    def add(self, number: int) -> None:
        """Go *number* steps."""
        for _ in range(number):
            self.step()

    @property
    def value(self) -> int:
        """How many steps have been made."""
        # The repr is the one way to look at an itertools.count without moving it on.
        return int(repr(self._steps)[len("count(") : -1])


class Tally:
    """
    What became of everything that came in: it was sent, it was dropped for a reason, or it is still waiting.

    Attributes:
        came_in: Counts what comes in, whatever becomes of it.
    """

    def __init__(self) -> None:
        self.came_in = Count()
        self._sent = Count()
        self._dropped: dict[str, Count] = {}

    def send(self, number: int) -> None:
        """Count *number* as sent."""
        self._sent.add(number)

    def drop(self, reason: str, number: int = 1) -> None:
        """Count *number* as dropped for *reason*, one of a bounded number of words."""
        count = self._dropped.get(reason) or self._dropped.setdefault(reason, Count())
        count.add(number)

    def turn_away(self, reason: str) -> None:
        """Count one that came in and is dropped at once."""
        self.came_in.step()
        self.drop(reason)

    @property
    def sent(self) -> int:
        """How many were sent."""
        return self._sent.value

    @property
    def dropped(self) -> dict[str, int]:
        """How many were dropped, by reason."""
        return {reason: number.value for reason, number in list(self._dropped.items())}

    @property
    def waiting(self) -> int:
        """How many are neither sent nor dropped; never too few."""
        # What comes in while we add must not hide what waits: so that number is read last.
        gone = self.sent + sum(self.dropped.values())
        return max(0, self.came_in.value - gone)
