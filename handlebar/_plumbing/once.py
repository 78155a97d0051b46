"""Something that can be done once only, whoever comes first."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """
    Holds the first value it is given.

    Thread-safe without a lock (`dict.setdefault` is atomic), so that a fork cannot inherit a lock that is held.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, T]] = {}

    def claim(self, value: T) -> bool:
        """Keep *value* if nothing is kept yet; tell whether it is."""
        mine = (object(), value)
        return self._kept.setdefault("first", mine) is mine

    def release(self, value: T) -> bool:
        """Keep nothing any more, if what is kept is *value*; tell whether it was."""
        kept = self._kept.get("first")
        return kept is not None and kept[1] is value and self._kept.pop("first", None) is kept

    @property
    def value(self) -> T | None:
        """The value that is kept."""
        kept = self._kept.get("first")
        return None if kept is None else kept[1]
