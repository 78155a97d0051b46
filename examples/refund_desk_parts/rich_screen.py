"""A terminal that draws tables and a progress bar, with rich."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable
from rich.text import Text

from refund_desk_parts.screens import Advance
from refund_desk_parts.summary import Table

_COLOURS = {"stopped": "red", "blocked": "yellow", "asked": "cyan", "would block": "dim", "would ask": "dim"}


class RichScreen:
    """Shows tables and a progress bar on the terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    @contextmanager
    def progress(self, total: int) -> Iterator[Advance]:
        """Draw a bar while the block lasts."""
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task("", total=total)
            yield lambda ticket: progress.update(task, advance=1, description=escape(ticket))

    def table(self, table: Table) -> None:
        """Draw the table; what customers wrote is shown as it is, never read as markup."""
        drawn = RichTable(title=table.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for column in table.columns:
            drawn.add_column(
                column, justify="right" if column in table.numbers else "left", header_style="dim", overflow="fold"
            )
        for row in table.rows:
            drawn.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
        self._console.print()
        self._console.print(drawn)

    def line(self, text: str = "") -> None:
        """Print a line."""
        self._console.print(Text(text))
