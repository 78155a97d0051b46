"""What goes wrong in a database, as an error of the control plane."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import SQLAlchemyError

from handlebar.errors import UnreachableError

BUSY = "The database was busy for too long"


def unusable(message: str) -> UnreachableError:
    """Return the error of a database that cannot be used, for the reason that *message* tells."""
    return UnreachableError(message, reason="database")


class _Reported:
    """Is a class, because a generator would cost every decision a microsecond."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        # The last: a number that no column holds.
        if isinstance(error, (SQLAlchemyError, sqlite3.Error, OSError, OverflowError)):
            cause = getattr(error, "orig", None) or error
            raise unusable(f"The database cannot be used: {cause}") from error


reported = _Reported()
"""Raises what goes wrong in its block, in the database, as an error of the control plane."""
