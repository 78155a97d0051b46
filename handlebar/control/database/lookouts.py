"""Connections to a SQLite file that only look whether anything has changed."""

from __future__ import annotations

import sqlite3

from handlebar.control.database.spares import Spares


class Lookouts:
    """
    Asks a file for numbers outside any transaction; thread-safe, as long as what has it open is.

    Each thread that asks has a connection to itself meanwhile: on one of all, each would wait for the others to have
    looked.
    """

    def __init__(self, file: str) -> None:
        self._spares = Spares(lambda: _Lookout(file), _Lookout.close)

    def number(self, query: str) -> int:
        """Return the number that *query* asks for; raises sqlite3.Error where it cannot be had at once."""
        with self._spares.lend() as lookout:
            return lookout.number(query)

    def close(self) -> None:
        """Close all connections; those that somebody uses just now, when he is done."""
        self._spares.close()


class _Lookout:
    """One connection, which looks again only where somebody has written since; for one thread at a time."""

    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
        self._cursor = self._connection.cursor()
        self._seen: dict[str, tuple[int, int]] = {}

    def number(self, query: str) -> int:
        """Return the number that *query* asks for."""
        # The version is read first: what is written in between is looked at once more, and never overlooked.
        version = self._asked("PRAGMA data_version")
        seen = self._seen.get(query)
        if seen is None or seen[0] != version:
            self._seen[query] = seen = (version, self._asked(query))
        return seen[1]

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def _asked(self, query: str) -> int:
        return int(self._cursor.execute(query).fetchone()[0])
