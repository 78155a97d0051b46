"""What people look through in a control plane's database, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from handlebar._plumbing.clock import Deadline
from handlebar.control import audit, browsing, retention
from handlebar.control.audit import StoredEvent
from handlebar.control.browsing import EventFilter, Page, RunFilter
from handlebar.control.moments import microseconds
from handlebar.control.policy_administration import PolicyAdministration
from handlebar.control.retention import Pruned
from handlebar.control.runs import RunView
from handlebar.core.wire import timestamp

_SECONDS = 10.0
"""How long one of these calls may wait for the database."""

_PRUNED_AT_ONCE = 200
"""So many runs are looked at in one transaction: those who record meanwhile have to wait."""

_EVERY_RUN = RunFilter()
_EVERY_EVENT = EventFilter()


class BrowsingAdministration(PolicyAdministration):
    """Reads what the tenant's agents have done; thread-safe and fork-safe."""

    def page_of_runs(
        self, wanted: RunFilter = _EVERY_RUN, *, limit: int = 100, after: str | None = None
    ) -> Page[RunView]:
        """
        Return some runs, newest first.

        Args:
            wanted: Which of them.

            limit: So many at most.

            after: The `next` of the page before.

        Raises:
            ConfigError: *after* is no such thing.

            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return browsing.page_of_runs(connection, self._tenant, wanted, limit=limit, after=after)

    def page_of_events(
        self, wanted: EventFilter = _EVERY_EVENT, *, limit: int = 100, after: str | None = None
    ) -> Page[StoredEvent]:
        """
        Return some events, in the order in which they were recorded; otherwise as `page_of_runs`.

        A page may be shorter than *limit*, empty even, and still have a next one.

        Raises:
            ConfigError: *after* is no cursor.

            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return browsing.page_of_events(connection, self._tenant, wanted, limit=limit, after=after)

    def has_run(self, run_id: str) -> bool:
        """
        Tell whether there is any trace of a run of that id.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return bool(audit.runs_to_verify(connection, self._tenant, run_id))

    def last_event(self) -> str:
        """
        Return what to give as `after`, to see only what is recorded from now on.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return browsing.last_event(connection, self._tenant)

    def number_of_events(self, run_id: str | None = None) -> int:
        """
        Return how many events there are, of a run or of all.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return audit.number_of_stored(connection, self._tenant, run_id)

    def prune_events(self, before: datetime, *, dry: bool = False) -> Iterator[Pruned]:
        """
        Delete the events of runs whose events are all older than *before*; yield what was done, some runs at a time.

        The chains of those runs can still be verified, and go on where they were. A run whose chain is broken is left.

        Args:
            before: The time.

            dry: Delete nothing, only count.

        Raises:
            UnreachableError: The database cannot be used.
        """
        written, last = timestamp(microseconds(before) * 1000), None
        while True:
            with self._database.write(Deadline.after(_SECONDS)) as connection:
                done = retention.prune_some(
                    connection, self._tenant, written, after=last, limit=_PRUNED_AT_ONCE, dry=dry
                )
            yield done
            last = done.last
            if last is None:
                return
