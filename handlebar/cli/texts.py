"""Text for terminals: what agents and files say may hold anything, so none of it reaches the terminal raw."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timezone

import click

_LONGEST_CELL = 200


def safe(text: str) -> str:
    r"""Show what is no visible character (control, direction, half a surrogate pair) as an escape such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def shown(value: object) -> str:
    """Show one value on one line."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    return safe(", ".join(map(str, value)) if isinstance(value, tuple) else str(value))


def show_fields(fields: dict[str, object]) -> None:
    """Print values under each other, each with its name."""
    width = max(map(len, fields)) + 2
    for name, value in fields.items():
        click.echo(f"{name + ':':<{width}}{shown(value)}")


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print a table: drawn on a terminal, plain otherwise; *empty* says on stderr that there is nothing."""
    cells = [[_cut(shown(value)) for value in row] for row in rows]
    if not cells:
        click.echo(empty, err=True)
    elif sys.stdout.isatty():
        _draw(columns, cells)
    else:
        _align([[each.upper() for each in columns], *cells])


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"


def _align(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _draw(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    # Slow to import, and needed on terminals only.
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD)
    for number, column in enumerate(columns):
        # The first is what is copied into the next command.
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in cells:
        # As Text, in which nothing is markup.
        table.add_row(*map(Text, row))
    Console().print(table)
