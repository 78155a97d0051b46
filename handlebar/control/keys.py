"""API keys: shown once, kept as digests; each belongs to a tenant and has a role."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any, Literal, get_args

from attrs import frozen
from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from handlebar._plumbing.clock import Deadline, time_ns
from handlebar._plumbing.identifiers import uuid7
from handlebar.control.database import Database
from handlebar.control.moments import moment
from handlebar.control.tables import api_keys, tenants
from handlebar.errors import ConfigError, RefusedError

THE_TENANT = "default"
"""Whose everything is in a database that has but one tenant; its admins may make further ones."""

Role = Literal["agent", "viewer", "admin", "reader", "writer"]
"""
What a key may do: what an SDK needs; that and read everything; that and change everything.

The last two are good for hand-offs only: to read packets; to make them, too.
"""

_START = "hb_"
_SHOWN = 8
_SECONDS = 10.0


@frozen(kw_only=True)
class KeyRecord:
    """A key, without the key itself."""

    id: str
    tenant: str
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None


@frozen
class NewKey:
    """
    A key that has just been made.

    Attributes:
        secret: The key itself; it is kept nowhere, so show it now or never.
    """

    record: KeyRecord
    secret: str

    def __repr__(self) -> str:
        return f"NewKey(record={self.record!r})"


class KeyRing:
    """
    Makes, finds and revokes the keys in a database; thread-safe and fork-safe.

    A key has 256 random bits, so a plain digest of it gives nothing away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, *, role: Role, tenant: str) -> NewKey:
        """
        Make a key.

        Args:
            name: What it is for, for people.

            role: `agent`, `viewer` or `admin`.

            tenant: Whose it is.

        Raises:
            ConfigError: One of them has a value that is not allowed.

            UnreachableError: The database cannot be used.
        """
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            return add_key(connection, name, role=role, tenant=tenant)

    def create_first(self, name: str) -> NewKey | None:
        """
        Make the first admin key of a database that has no key yet; of all who try at once, one gets it.

        Args:
            name: What it is for, for people.

        Raises:
            UnreachableError: The database cannot be used.
        """
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            if connection.execute(select(api_keys.c.id).limit(1)).first() is not None:
                return None
            return add_key(connection, name, role="admin", tenant=THE_TENANT)

    def find(self, secret: str) -> KeyRecord | None:
        """Return the key that *secret* is, None where it is none, has been revoked, or its tenant deleted."""
        return self._good(api_keys.c.digest == _digest(secret))

    def of_id(self, key_id: str) -> KeyRecord | None:
        """Return the key of that id, None where `find` would not find it either."""
        return self._good(api_keys.c.id == key_id)

    def listed(self, tenant: str | None = None) -> list[KeyRecord]:
        """Return the keys of a tenant, or of all, oldest first; revoked ones too."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        if tenant is not None:
            query = query.where(api_keys.c.tenant == tenant)
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return [_record(row) for row in connection.execute(query)]

    def revoke(self, key_id: str, *, tenant: str | None = None) -> KeyRecord:
        """
        Let a key be good for nothing from now on.

        Args:
            key_id: The key's id.

            tenant: Whose key it has to be; None for anybody's.

        Raises:
            RefusedError: There is none of that id (404).

            UnreachableError: The database cannot be used.
        """
        this = (api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            _row(connection, key_id, tenant)
            connection.execute(update(api_keys).where(*this).values(revoked_at=time_ns() // 1000))
            return _record(_row(connection, key_id))

    def _good(self, this: ColumnElement[bool]) -> KeyRecord | None:
        deleted = select(tenants.c.id).where(tenants.c.deleted_at.is_not(None))
        query = select(api_keys).where(this, api_keys.c.revoked_at.is_(None), api_keys.c.tenant.not_in(deleted))
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            row = connection.execute(query).first()
        return None if row is None else _record(row)


def add_key(connection: Connection, name: str, *, role: Role, tenant: str, start: str = _START) -> NewKey:
    """Make a key that begins with *start*, as `KeyRing.create` does."""
    _check(name, role, tenant)
    secret = start + secrets.token_urlsafe(32)
    made = uuid7()
    row = {"id": made, "tenant": tenant, "name": name, "role": role, "created_at": time_ns() // 1000}
    known = {**row, "prefix": secret[:_SHOWN], "digest": _digest(secret)}
    connection.execute(insert(api_keys).values(known))
    return NewKey(_record(_row(connection, made)), secret)


def _check(name: str, role: str, tenant: str) -> None:
    if role not in get_args(Role):
        raise ConfigError("role", role, f"one of {', '.join(map(repr, get_args(Role)))}")
    for field, value in (("name", name), ("tenant", tenant)):
        if not value.strip():
            raise ConfigError(field, value, "a str that is not empty")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="backslashreplace")).hexdigest()


def _row(connection: Connection, key_id: str, tenant: str | None = None) -> Row[Any]:
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).first()
    if row is None or tenant not in (None, row.tenant):
        raise RefusedError(f"There is no key with the id {key_id!r}", status=404)
    return row


def _record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        tenant=row.tenant,
        name=row.name,
        role=row.role,
        created_at=moment(row.created_at),
        revoked_at=None if row.revoked_at is None else moment(row.revoked_at),
    )
