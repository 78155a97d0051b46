"""Time: what is measured goes by the monotonic clock, what is written down by the wall clock."""

from __future__ import annotations

from time import monotonic, time_ns

from attrs import frozen

__all__ = ["Deadline", "monotonic", "time_ns"]


@frozen
class Deadline:
    """
    A moment on the monotonic clock by which something has to be over.

    Attributes:
        at: The moment, in seconds as `time.monotonic()` counts them.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that lies *seconds* from now."""
        return cls(monotonic() + seconds)

    def remaining(self) -> float:
        """Return the seconds that are left, never less than zero."""
        return max(0.0, self.at - monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return monotonic() >= self.at
