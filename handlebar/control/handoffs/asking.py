"""One call of somebody who may make it, as the functions that answer see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from attrs import frozen
from sqlalchemy import Connection

from handlebar._plumbing import safe_json
from handlebar._plumbing.clock import Deadline
from handlebar.control.database import Database
from handlebar.control.handoffs import remembering
from handlebar.control.handoffs.bodies import read_as, read_object
from handlebar.control.handoffs.expiring import expire_due
from handlebar.control.handoffs.problems import misfit
from handlebar.control.handoffs.queries import Query
from handlebar.control.keys import KeyRecord
from handlebar.handoff.exchange import Call
from handlebar.handoff.models.base import Model

M = TypeVar("M", bound=Model)

IDEMPOTENCY_KEY = "idempotency-key"


@frozen
class Reply:
    """
    What a call is answered with.

    Attributes:
        body: Values that JSON has; None for an answer without a body.
    """

    status: int
    body: Any = None


@frozen(kw_only=True)
class Asked:
    """
    A call whose key is good enough.

    Attributes:
        names: What stands in the path, by the names in the route's pattern.
    """

    call: Call
    key: KeyRecord
    names: Mapping[str, str]
    database: Database
    deadline: Deadline

    @property
    def tenant(self) -> str:
        """Whose the key is."""
        return self.key.tenant

    @property
    def query(self) -> Query:
        """The query, to be read value by value."""
        return Query(self.call.query)

    def members(self) -> dict[str, Any]:
        """Return the body, a JSON object; raises `ProblemError` where it is none."""
        return read_object(self.call.body)

    def body(self, kind: type[M]) -> M:
        """Return the body as a record; raises `ProblemError` (422) where it is none, naming the field."""
        return read_as(kind, self.members(), "body")

    def uuid(self, name: str) -> str:
        """Return the UUID in the path, in its usual spelling; raises `ProblemError` (422) where it is none."""
        given = self.names[name]
        try:
            return str(UUID(given))
        except ValueError as error:
            raise misfit(("path", name), "needs a UUID", kind="uuid_parsing", given=given) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run a block in a transaction that only reads; what has run out by now, has expired in it."""
        expire_due(self.database, self.deadline, tenant=self.tenant)
        with self.database.read(self.deadline) as connection:
            yield connection

    def change(self, work: Callable[[Connection], Reply], *, secret: bool = False) -> Reply:
        """
        Do *work* in a transaction, once for each idempotency key: a call that is repeated has the same answer.

        Args:
            work: What it raises takes back all that it did, and is not remembered.

            secret: The answer holds what must not be kept; a call that is repeated is told so (409).

        Raises:
            ProblemError: The key was used for another call (422).
        """
        expire_due(self.database, self.deadline, tenant=self.tenant)
        with self.database.write(self.deadline) as connection:
            once = self._once()
            if once is None:
                return work(connection)
            known = remembering.find(connection, once)
            if known is not None:
                return Reply(*known)
            reply = work(connection)
            remembering.keep(connection, once, reply.status, None if secret else reply.body, secret=secret)
            return reply

    def _once(self) -> remembering.Once | None:
        key = self.call.headers.get(IDEMPOTENCY_KEY, "")
        if not key or self.call.method != "POST":
            return None
        what = safe_json.encode([self.call.path, sorted(self.call.query)]).encode() + b"\n" + (self.call.body or b"")
        return remembering.Once(tenant=self.tenant, key=key, digest=hashlib.sha256(what).hexdigest())


@frozen
class Route:
    """
    A way in.

    Attributes:
        pattern: The path below `/api/v1`, e.g. `packets/{packet_id}/claim`.

        role: The lowest that may take it: `reader`, `agent`, `writer` or `admin`.

        answer: Does what is asked; raises `ProblemError` or `RefusedError` where it is not done.
    """

    method: str
    pattern: str
    role: str
    answer: Callable[[Asked], Reply]

    @property
    def segments(self) -> tuple[str, ...]:
        """The pattern, segment by segment."""
        return tuple(self.pattern.split("/"))

    def names_in(self, path: tuple[str, ...]) -> Mapping[str, str] | None:
        """Return what stands in *path* where the pattern has names; None where the pattern is not its."""
        if len(path) != len(self.segments):
            return None
        pairs = list(zip(self.segments, path, strict=True))
        if not all(_is_name(pattern) or pattern == given for pattern, given in pairs):
            return None
        return {pattern[1:-1]: given for pattern, given in pairs if _is_name(pattern)}


def _is_name(segment: str) -> bool:
    return segment.startswith("{")
