"""The shop's database: SQLite, with customers, orders, refunds and an outbox."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from refund_desk_parts.stock import ORDERS, PEOPLE

_TABLES = """
CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT, email TEXT UNIQUE, date_of_birth TEXT, postcode TEXT, role TEXT);
CREATE TABLE "order" (id TEXT PRIMARY KEY, person_id TEXT REFERENCES person, item TEXT, cents INTEGER, status TEXT);
CREATE TABLE identity_check (ticket_id TEXT, person_id TEXT REFERENCES person, PRIMARY KEY (ticket_id, person_id));
CREATE TABLE refund (
    id INTEGER PRIMARY KEY, ticket_id TEXT, order_id TEXT REFERENCES "order", cents INTEGER CHECK (cents > 0)
);
CREATE TABLE outbox (id INTEGER PRIMARY KEY, ticket_id TEXT, recipient TEXT, subject TEXT, body TEXT);
"""

_ORDERS = """
SELECT "order".id, email, item, cents, status,
       cents - (SELECT coalesce(sum(cents), 0) FROM refund WHERE order_id = "order".id) AS open_cents
FROM "order" JOIN person ON person.id = person_id
"""


class ShopError(Exception):
    """The shop cannot do what it was asked to; the message says why."""


class Shop:
    """
    One shop in one SQLite file; lives as long as the file, and is safe to use from several threads.

    What policy cannot know, the shop checks itself: whether an identity check succeeded, whose order it is, and
    how much of it has been paid back already.

    Args:
        path: The file; a new one is filled with made-up people and orders.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # SQLite lets writers wait unfairly; threads of one process take turns here instead.
        self._turn = threading.Lock()
        with self._transaction() as shop:
            if not shop.execute("SELECT 1 FROM sqlite_master WHERE name = 'person'").fetchone():
                _fill(shop)

    def person(self, email: str) -> dict[str, Any] | None:
        """Return id, name and role of whom that address belongs to."""
        return self._first("SELECT id, name, role FROM person WHERE email = ?", email.lower())

    def look_up_order(self, order_id: str) -> dict[str, Any]:
        """Return the order; ShopError where there is none."""
        row = self._first(f'{_ORDERS} WHERE "order".id = ?', order_id)
        if row is None:
            raise ShopError(f"There is no order {order_id[:40]!r}.")
        return _in_euros(row)

    def orders_of(self, email: str) -> list[dict[str, Any]]:
        """Return all orders of a customer, by number."""
        return [_in_euros(row) for row in self._all(f'{_ORDERS} WHERE email = ? ORDER BY "order".id', email.lower())]

    def verify(self, ticket_id: str, email: str, date_of_birth: str, postcode: str) -> None:
        """Note that somebody has proved who they are; ShopError where the answers are wrong."""
        with self._transaction() as shop:
            row = shop.execute(
                "SELECT id FROM person WHERE email = ? AND date_of_birth = ? AND postcode = ?",
                (email.lower(), date_of_birth, postcode.upper()),
            ).fetchone()
            if row is None:
                raise ShopError("These answers do not match our records.")
            shop.execute("INSERT OR IGNORE INTO identity_check VALUES (?, ?)", (ticket_id, row["id"]))

    def refund(self, ticket_id: str, order_id: str, amount: float) -> None:
        """Pay *amount* euros back; ShopError where it is not the verified person's, or more than is left."""
        cents = round(amount * 100)
        with self._transaction() as shop:
            order = shop.execute(
                f'{_ORDERS} JOIN identity_check USING (person_id) WHERE "order".id = ? AND ticket_id = ?',
                (order_id, ticket_id),
            ).fetchone()
            if order is None:
                raise ShopError("Nobody on this ticket has proved that the order is theirs.")
            if not 0 < cents <= order["open_cents"]:
                raise ShopError(f"{order['open_cents'] / 100:.2f} EUR of this order can be refunded.")
            shop.execute(
                "INSERT INTO refund (ticket_id, order_id, cents) VALUES (?, ?, ?)", (ticket_id, order_id, cents)
            )

    def send_email(self, ticket_id: str, recipient: str, subject: str, body: str) -> None:
        """Put a letter into the outbox."""
        with self._transaction() as shop:
            shop.execute(
                "INSERT INTO outbox (ticket_id, recipient, subject, body) VALUES (?, ?, ?, ?)",
                (ticket_id, recipient, subject, body),
            )

    def export(self, whose: str) -> list[dict[str, Any]]:
        """Return the data of one customer, by address, or of `all`."""
        people = "SELECT name, email, date_of_birth, postcode FROM person WHERE role = 'customer'"
        return self._all(people) if whose == "all" else self._all(f"{people} AND email = ?", whose.lower())

    def refunds(self) -> list[dict[str, Any]]:
        """Return all refunds, oldest first."""
        return self._all("SELECT ticket_id, order_id, cents / 100.0 AS amount FROM refund ORDER BY id")

    def outbox(self) -> list[dict[str, Any]]:
        """Return all letters, oldest first."""
        return self._all("SELECT ticket_id, recipient, subject, body FROM outbox ORDER BY id")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a connection of this thread's own, and hold the file's write lock until the block is left."""
        with self._turn, closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as shop:
            shop.row_factory = sqlite3.Row
            shop.execute("BEGIN IMMEDIATE")
            try:
                yield shop
            except BaseException:
                shop.execute("ROLLBACK")
                raise
            shop.execute("COMMIT")

    def _all(self, question: str, *values: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.path, timeout=30)) as shop:
            shop.row_factory = sqlite3.Row
            return [dict(row) for row in shop.execute(question, values)]

    def _first(self, question: str, *values: str) -> dict[str, Any] | None:
        return next(iter(self._all(question, *values)), None)


def _fill(shop: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        shop.execute(statement)
    shop.executemany("INSERT INTO person VALUES (?, ?, ?, ?, ?, ?)", PEOPLE)
    shop.executemany('INSERT INTO "order" VALUES (?, ?, ?, ?, ?)', ORDERS)


def _in_euros(row: dict[str, Any]) -> dict[str, Any]:
    """Say sums in euros, as letters and rules do."""
    euros = {"total": row["cents"] / 100, "refundable": row["open_cents"] / 100}
    return {key: value for key, value in row.items() if not key.endswith("cents")} | euros
