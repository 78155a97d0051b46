"""What goes wrong in a database, as an error of the control plane."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from handlebar.errors import UnreachableError

BUSY = "The database was busy for too long"


def unusable(message: str) -> UnreachableError:
    """Return the error of a database that cannot be used, for the reason that *message* tells."""
    return UnreachableError(message, reason="database")


@contextmanager
def reported() -> Iterator[None]:
    """Raise what goes wrong in the database as an error of the control plane."""
    try:
        yield
    # The last: a number that no column holds.
    except (SQLAlchemyError, sqlite3.Error, OSError, OverflowError) as error:
        cause = getattr(error, "orig", None) or error
        raise unusable(f"The database cannot be used: {cause}") from error
