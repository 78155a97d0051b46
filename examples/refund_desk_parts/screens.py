"""Where progress and summary are shown: a terminal with rich, or plain text."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from refund_desk_parts.summary import Table

Advance = Callable[[str], None]
"""Tells that one more ticket is done, and which."""


class Screen(Protocol):
    """Shows what it is given."""

    def progress(self, total: int) -> AbstractContextManager[Advance]:
        """Show how far the work is while the block lasts."""
        ...

    def table(self, table: Table) -> None:
        """Show a table."""
        ...

    def line(self, text: str = "") -> None:
        """Show a line."""
        ...


def screen() -> Screen:
    """Return the screen for this output: rich where it is installed and somebody watches, else plain text."""
    if sys.stdout.isatty():
        try:
            from refund_desk_parts.rich_screen import RichScreen
        except ImportError:
            return PlainScreen()
        return RichScreen()
    return PlainScreen()


class PlainScreen:
    """Plain text, aligned, for files, pipes and terminals without rich."""

    @contextmanager
    def progress(self, total: int) -> Iterator[Advance]:
        """Print a line for every tenth ticket and the last."""
        done = 0

        def advance(ticket: str) -> None:
            nonlocal done
            done += 1
            if done % 10 == 0 or done == total:
                self.line(f"{done:>4} of {total} tickets done, last {ticket}")

        yield advance

    def table(self, table: Table) -> None:
        """Print the rows under their title, columns aligned."""
        rows = [table.columns, *table.rows]
        widths = [max(_width(row[n]) for row in rows) for n in range(len(table.columns))]
        self.line(f"\n{table.title}")
        for row in rows:
            cells = [
                _set(text, width, flush_right=column in table.numbers)
                for text, width, column in zip(row, widths, table.columns, strict=True)
            ]
            self.line(f"  {'  '.join(cells)}".rstrip())

    def line(self, text: str = "") -> None:
        """Print a line at once."""
        print(text, flush=True)


def _set(text: str, width: int, *, flush_right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if flush_right else text + space


def _width(text: str) -> int:
    """Return how many columns *text* takes; letters of East Asian scripts take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
