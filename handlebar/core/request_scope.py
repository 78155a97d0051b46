"""The light scope of a request: what the runs that are opened in it take over, and when they end at the latest."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from attrs import evolve, frozen

from handlebar._plumbing import logs
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.time_limits import told
from handlebar.core.config import RunConfig
from handlebar.core.plane import RunEndStatus
from handlebar.core.run import Run
from handlebar.core.schema.agents import Actor
from handlebar.core.schema.events import RequestIdentity


class Scope:
    """
    Where runs are opened: here, outside of any request. It gives nothing to a run, and ends none.

    Attributes:
        client: The client that `handlebar.get_client()` finds here; None for the process's default client.

        actor_failed: Whether nobody can tell whom a run acts for, because the actor loader failed.

        outlives_runs: Whether the process goes on serving when a run has ended, so that nobody has to wait until
            its events are delivered.
    """

    client: Any = None
    actor_failed = False
    outlives_runs = False

    def filled(self, config: RunConfig) -> RunConfig:
        """Return *config* with what this scope knows in the places that it leaves open."""
        return config

    def identity(self) -> RequestIdentity | None:
        """Return which request this is."""
        return None

    async def prepare(self) -> None:
        """Ask the loaders that can be awaited; comes before a run is started by a coroutine."""

    def opened(self, run: Run, is_open: Callable[[], bool]) -> None:
        """Take note of *run*; *is_open* tells whether it has neither ended nor been parked."""


OUTSIDE = Scope()
"""Outside of any request."""


@frozen
class Loader:
    """
    A function that tells something of the request.

    Attributes:
        find: Tells it; called once, when the first run is started.

        find_async: The same for coroutines, where *find* would block the loop.
    """

    find: Callable[[], Any]
    find_async: Callable[[], Awaitable[Any]] | None = None


def _nothing() -> None:
    return None


def _no_tags() -> Mapping[str, str]:
    return {}


UNKNOWN = Loader(_nothing)
"""Nothing can be told."""


@frozen(kw_only=True)
class Sources:
    """
    Where the scope of a request finds what its runs take over.

    Attributes:
        actor: Tells whom the request acts for: an `Actor`, an id, or None.

        session: Tells the conversation's id, or None.

        tags: Gives the words that each run carries; called for every run.

        identity: Gives the request's own id and its `traceparent`.
    """

    actor: Loader = UNKNOWN
    session: Loader = UNKNOWN
    tags: Callable[[], Mapping[str, str]] = _no_tags
    identity: Callable[[], RequestIdentity | None] = _nothing


class RequestScope(Scope):
    """
    Lives as long as one request or one task. Thread-safe.

    Making one asks nobody: the loaders are called when the first run is opened. `close` ends what was left open.
    """

    outlives_runs = True

    def __init__(self, sources: Sources, *, client: Any = None) -> None:
        self.client = client
        self._sources = sources
        self._actor = _Found("actor", sources.actor, _actor)
        self._session = _Found("session", sources.session, _session_id)
        self._lock = threading.Lock()
        self._opened: list[_Opened] = []
        self._closed_as: RunEndStatus | None = None

    @property
    def actor_failed(self) -> bool:  # type: ignore[override]  # outside of a request it is a constant
        """Whether the actor loader failed."""
        return self._actor.failed

    @property
    def has_open_runs(self) -> bool:
        """Whether `close` has anything to end."""
        with self._lock:
            return any(each.is_open() for each in self._opened)

    def filled(self, config: RunConfig) -> RunConfig:
        """Return *config* with what this request tells in the places that it leaves open."""
        return evolve(
            config,
            session_id=config.session_id or self._session.get(),
            actor=config.actor or self._actor.get(),
            tags={**self._tags(), **config.tags},
        )

    def identity(self) -> RequestIdentity | None:
        """Return which request this is."""
        return self._sources.identity()

    async def prepare(self) -> None:
        """Ask the loaders that can be awaited, once."""
        await self._actor.prepare()
        await self._session.prepare()

    def opened(self, run: Run, is_open: Callable[[], bool]) -> None:
        """Take note of *run*, to end it with the request; after the request, end it at once."""
        with self._lock:
            status = self._closed_as
            self._opened = [*(each for each in self._opened if each.is_open()), _Opened(run, is_open)]
        if status is not None:
            self.close(status)

    def close(self, status: RunEndStatus) -> None:
        """End the runs that are still open, the youngest first; may be called twice."""
        with self._lock:
            self._closed_as = self._closed_as or status
            opened, self._opened = self._opened, []
        for each in reversed(opened):
            if each.is_open():
                each.run.end_sync(status)

    def _tags(self) -> Mapping[str, str]:
        try:
            return {str(name): str(value) for name, value in self._sources.tags().items()}
        except Exception as error:
            if is_interrupt(error):
                raise
            logs.warn_once_a_minute("scope:tags", "The tags of a request could not be had: %s", told(error))
            return {}


@frozen
class _Opened:
    run: Run
    is_open: Callable[[], bool]


class _Found:
    """What a loader says; it is asked once, and a failure of it is not the request's."""

    def __init__(self, name: str, loader: Loader, read: Callable[[Any], Any]) -> None:
        self._name = name
        self._loader = loader
        self._read = read
        self._value: Any = None
        self._is_asked = False
        self.failed = False

    def get(self) -> Any:
        if not self._is_asked:
            try:
                self._keep(self._loader.find())
            except Exception as error:
                self._give_up(error)
        return self._value

    async def prepare(self) -> None:
        if self._is_asked or self._loader.find_async is None:
            return
        try:
            self._keep(await self._loader.find_async())
        except Exception as error:
            self._give_up(error)

    def _keep(self, said: Any) -> None:
        self._value = self._read(said)
        self._is_asked = True

    def _give_up(self, error: Exception) -> None:
        if is_interrupt(error):
            raise error
        self.failed = self._is_asked = True
        # The class only: a message might tell whom the loader was looking for.
        logs.warn_once_a_minute(f"scope:{self._name}", "The %s loader failed with %s", self._name, type(error).__name__)


def _actor(said: Any) -> Actor | None:
    if said is None or isinstance(said, Actor):
        return said
    text = _session_id(said)
    return None if text is None else Actor(text)


def _session_id(said: Any) -> str | None:
    """Take ids as databases have them; nothing else, because the str of an object may say anything."""
    if said is None or said == "":
        return None
    if isinstance(said, (str, int, UUID)):
        return str(said)
    raise TypeError("an id is a str, an int or a UUID")
