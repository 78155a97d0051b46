"""The hand-off API inside this process, on a database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from sqlalchemy import select

from handlebar._plumbing.clock import Deadline
from handlebar.control.database import Database
from handlebar.control.handoffs.api import SECONDS, HandoffApi, refusal
from handlebar.control.handoffs.delivering import Deliverer
from handlebar.control.handoffs.streams import Stream
from handlebar.control.handoffs.targets import usual_targets
from handlebar.control.keys import THE_TENANT, KeyRecord, KeyRing
from handlebar.control.tables import api_keys
from handlebar.errors import ConfigError, RefusedError
from handlebar.handoff.exceptions import invalid
from handlebar.handoff.exchange import Answer, Call, Exchange, StreamEvent

_REFUSED = "The API key is not valid"
# Whoever can open the file can do everything anyway.
_OWNER = KeyRecord(
    id="embedded",
    tenant=THE_TENANT,
    name="embedded",
    role="admin",
    created_at=datetime(1970, 1, 1, tzinfo=timezone.utc),
    revoked_at=None,
)


class EmbeddedExchange:
    """
    Implements `Exchange` on a database; lives as long as its client.

    Thread-safe, fork-safe, and safe beside other processes on the same database. Opens nothing before it is used.
    """

    def __init__(self, database: Database, api_key: str | None) -> None:
        self._database = database
        self._api_key = api_key
        self._deliverer = Deliverer(database, usual_targets())
        self._api = HandoffApi(database, on_change=self._deliverer.wake)

    def send(self, call: Call, *, deadline: Deadline) -> Answer:
        """Answer, as `Exchange` says."""
        key = self._key(deadline)
        return refusal(401, _REFUSED) if key is None else self._api.answer(call, key, deadline=deadline)

    def listen(self, channels: tuple[str, ...], *, after: str | None) -> Iterator[StreamEvent]:
        """Listen, as `Exchange` says; the iterator may be closed from any thread."""
        key = self._key(Deadline.after(SECONDS))
        if key is None:
            raise RefusedError(_REFUSED, status=401)
        return Stream(self._database, key.tenant, channels, after=after)

    def close(self) -> None:
        """Close this process's connections; what webhooks are to be told now is told before."""
        self._deliverer.close()
        self._database.close()

    def _key(self, deadline: Deadline) -> KeyRecord | None:
        """Return what this exchange may do; None where its key is no good."""
        if self._api_key is None:
            return _OWNER
        found = KeyRing(self._database).find(self._api_key)
        return found or (None if self._has_keys(deadline) else _OWNER)

    def _has_keys(self, deadline: Deadline) -> bool:
        with self._database.read(deadline) as connection:
            return connection.execute(select(api_keys.c.id).limit(1)).first() is not None


def open_exchange(url: str, api_key: str | None) -> Exchange:
    """
    Return the hand-off API on the database at *url*; opens nothing yet.

    Args:
        url: As an endpoint of the control plane names it.

        api_key: Whose tenant is meant; None for the tenant `default` with all rights. While the database has no
            keys at all, any will do.

    Raises:
        ValidationError: *url* is no such URL.
    """
    try:
        return EmbeddedExchange(Database(url), api_key)
    except ConfigError as error:
        raise invalid("base_url", f"needs {error.allowed}") from error
