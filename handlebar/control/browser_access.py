"""People in browsers: how their sessions are signed, ended everywhere at once, and begun by a link."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Connection, insert, select, update

from handlebar._plumbing.clock import Deadline, time_ns
from handlebar.control.database import Database
from handlebar.control.keys import KeyRecord, KeyRing
from handlebar.control.tables import browser_logouts, login_links, server_secrets

LINK_SECONDS = 600
"""How long a link that logs in may be used."""

_SECONDS = 10.0
_SIGNING = "browser sessions"


class BrowserAccess:
    """Keeps what browser sessions depend on, for every process on one database; thread-safe and fork-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys = KeyRing(database)

    def signing_key(self) -> str:
        """Return what cookies are signed with; it is made once for the database."""
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            known = _secret(connection)
        if known is not None:
            return known
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            known = _secret(connection)
            if known is None:
                known = secrets.token_urlsafe(32)
                connection.execute(insert(server_secrets).values(name=_SIGNING, value=known))
        return known

    def key_for_login(self, secret: str) -> KeyRecord | None:
        """Return the key that *secret* is, None where it is none that is good."""
        return self._keys.find(secret)

    def key_of_session(self, key_id: str, begun_at: int) -> KeyRecord | None:
        """
        Return the key of a session that began at that time, in microseconds since 1970.

        None where the key was revoked, or its sessions were ended everywhere since.
        """
        over = select(browser_logouts.c.at).where(browser_logouts.c.key_id == key_id)
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            ended_at = connection.execute(over).scalar()
        return self._keys.of_id(key_id) if ended_at is None or begun_at > ended_at else None

    def log_out_everywhere(self, key_id: str) -> None:
        """End every session of the key that has begun by now."""
        now = time_ns() // 1000
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            changed = update(browser_logouts).where(browser_logouts.c.key_id == key_id).values(at=now)
            if not connection.execute(changed).rowcount:
                connection.execute(insert(browser_logouts).values(key_id=key_id, at=now))

    def make_link(self, key_id: str) -> str:
        """Return the secret of a link that logs in with that key, once, within ten minutes."""
        secret = secrets.token_urlsafe(32)
        expires_at = time_ns() // 1000 + LINK_SECONDS * 10**6
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            connection.execute(insert(login_links).values(digest=_digest(secret), key_id=key_id, expires_at=expires_at))
        return secret

    def use_link(self, secret: str) -> KeyRecord | None:
        """Return the key that a link logs in with, and let it be good for nothing from now on."""
        now = time_ns() // 1000
        this = (
            login_links.c.digest == _digest(secret),
            login_links.c.used_at.is_(None),
            login_links.c.expires_at > now,
        )
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            key_id = connection.execute(select(login_links.c.key_id).where(*this)).scalar()
            connection.execute(update(login_links).where(*this).values(used_at=now))
        return None if key_id is None else self.key_of_session(key_id, now)


def _secret(connection: Connection) -> str | None:
    value: str | None = connection.execute(
        select(server_secrets.c.value).where(server_secrets.c.name == _SIGNING)
    ).scalar()
    return value


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="backslashreplace")).hexdigest()
