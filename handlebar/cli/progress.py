"""Progress of what takes long: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_EVERY = 256
"""So many steps are drawn at once: to draw takes longer than most steps."""


def followed(things: Iterable[T], *, title: str, total: int | None = None) -> Iterator[T]:
    """Yield *things*, with a bar on stderr where that is a terminal; without *total* it tells only how many."""
    return _drawn(things, title, total) if sys.stderr.isatty() else iter(things)


def _drawn(things: Iterable[T], title: str, total: int | None) -> Iterator[T]:
    # Slow to import, and needed on terminals only.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        number = 0
        for number, thing in enumerate(things, 1):
            if number % _EVERY == 0:
                progress.update(task, completed=number)
            yield thing
        progress.update(task, completed=number)
