"""Figures in a table: as Markdown for people, as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

Cell = str | int | float


@frozen
class Table:
    """
    Figures, a row for each thing that was measured.

    Attributes:
        columns: Their names; the first is what the table is about.

        rows: What was measured, and its figures in the order of the columns.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __str__(self) -> str:
        """Return it as Markdown."""
        line = "|---|" + "---:|" * (len(self.columns) - 1)
        shown = [[_shown(*pair) for pair in zip(self.columns, row, strict=True)] for row in self.rows]
        return "\n".join([_line(self.columns), line, *(_line(row) for row in shown)])

    def as_json(self) -> list[dict[str, Cell]]:
        """Return its rows by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def compared(title: str, figures: Mapping[str, float], *, unit: str = "µs", base: str) -> Table:
    """Return the table of *figures*, each with its ratio to that of *base*."""
    return Table((title, unit, "ratio"), tuple((name, value, value / figures[base]) for name, value in figures.items()))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(column: str, cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    digits = 0 if isinstance(cell, int) else 2 if column == "ratio" else 1
    return f"{cell:,.{digits}f}"
