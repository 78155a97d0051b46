"""Every fault of the table has a test that causes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
NUMBER_OF_ROWS = 26
_CLAIM = re.compile(r"^Rows? (\d+(?:, \d+)*(?: and \d+)?)\b")


def rows_claimed_by(docstring: str) -> list[int]:
    """Return the rows that a test says it causes: `Row 3: …`, `Rows 1, 2 and 4: …`."""
    claim = _CLAIM.match(docstring)
    return [int(row) for row in re.findall(r"\d+", claim[1])] if claim else []


def _docstrings_of_tests() -> Iterator[str]:
    for file in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield ast.get_docstring(node) or ""


def test_claims_are_read() -> None:
    """One row, several rows, and none."""
    assert [3] == rows_claimed_by("Row 3.")
    assert [1, 2, 14] == rows_claimed_by("Rows 1, 2 and 14: so it is.")
    assert [] == rows_claimed_by("The row 3 of the table.")


def test_every_row_is_claimed() -> None:
    """No row is left out, and no test claims one that is not there."""
    claimed = {row for docstring in _docstrings_of_tests() for row in rows_claimed_by(docstring)}
    assert set(range(1, NUMBER_OF_ROWS + 1)) == claimed
