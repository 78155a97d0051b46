"""What is in force at a control plane elsewhere, kept in this process and fetched again while it is in use."""

from __future__ import annotations

import random
import threading
from typing import Protocol

from handlebar._plumbing import logs
from handlebar._plumbing.clock import monotonic
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.timers import schedule
from handlebar.control.policy_snapshot import Snapshot, read_snapshot
from handlebar.core.plane import PolicySnapshot
from handlebar.errors import ControlPlaneError

REFRESH_SECONDS = 5.0
"""How often it is asked whether anything has changed, give or take a fifth: so long a change may take to be felt."""

STALE_SECONDS = 15.0
"""What nobody has confirmed for so long is not gone by any more."""

_BUDGET = 5.0
_NEVER = float("-inf")


class SnapshotSource(Protocol):
    """Where snapshots come from."""

    def policy_snapshot(self, agent_id: str, known: str | None, *, budget: float) -> PolicySnapshot | None:
        """Return what is in force for an agent; None where that is the version that is *known*."""
        ...


class _Held:
    """What one process holds for one agent."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.version: str | None = None
        self.snapshot: Snapshot | None = None
        self.confirmed_at = _NEVER
        self.distrusted_at = _NEVER
        self.in_use = False
        self.is_watched = False


class Snapshots:
    """
    Keeps the latest snapshot for each agent; lives as long as its control plane.

    Thread-safe and fork-safe. Nothing is fetched before the first use; after it a timer looks for changes, until
    nobody has asked for a while.
    """

    def __init__(self, source: SnapshotSource) -> None:
        self._source = source
        self._held: PerProcess[dict[str, _Held]] = PerProcess(dict)
        self._closed = False

    def current(self, agent_id: str) -> Snapshot | None:
        """Return what is in force, None where that was not confirmed lately; see to it that it will be."""
        held = self._of(agent_id)
        held.in_use = True
        age = monotonic() - held.confirmed_at
        if not held.is_watched:
            self._watch(agent_id, held, max(0.0, REFRESH_SECONDS - age))
        return held.snapshot if age < STALE_SECONDS else None

    def fetch(self, agent_id: str, *, budget: float) -> Snapshot | None:
        """
        Ask for what is in force, and keep it; None where meanwhile something newer was heard of.

        Raises:
            ControlPlaneError: It cannot be had, or it is none that this version of the package can decide by.
        """
        held = self._of(agent_id)
        # What is confirmed is what was in force when it was asked for, not when the answer came.
        asked_at, known = monotonic(), held.version
        found = self._source.policy_snapshot(agent_id, known, budget=budget)
        read = None if found is None else read_snapshot(found)
        with held.lock:
            if asked_at < held.distrusted_at:
                return None
            if asked_at < held.confirmed_at:
                return held.snapshot
            if found is not None:
                held.version, held.snapshot = found.version, read
            if found is not None or held.version == known:
                held.confirmed_at = asked_at
            return held.snapshot if held.confirmed_at == asked_at else None

    def distrust(self, agent_id: str) -> None:
        """Go no more by what is held, and fetch it anew: somebody has been told of a change."""
        held = self._of(agent_id)
        with held.lock:
            # An answer that is still under way may know nothing of the change.
            held.confirmed_at, held.distrusted_at = _NEVER, monotonic()
        schedule(0.0, lambda: self._refresh(agent_id))

    def close(self) -> None:
        """Look for no more changes."""
        self._closed = True

    def _of(self, agent_id: str) -> _Held:
        return self._held.get().setdefault(agent_id, _Held())

    def _watch(self, agent_id: str, held: _Held, seconds: float) -> None:
        with held.lock:
            if held.is_watched or self._closed:
                return
            held.is_watched = True
        schedule(seconds, lambda: self._look(agent_id, held))

    def _look(self, agent_id: str, held: _Held) -> None:
        """Fetch, and look again later, for as long as somebody goes by it."""
        held.is_watched = False
        if self._closed or not held.in_use:
            return
        held.in_use = False
        self._refresh(agent_id)
        jitter = random.uniform(0.8, 1.2)  # noqa: S311  # spreads load, keeps no secret
        self._watch(agent_id, held, REFRESH_SECONDS * jitter)

    def _refresh(self, agent_id: str) -> None:
        if self._closed:
            return
        try:
            self.fetch(agent_id, budget=_BUDGET)
        except ControlPlaneError as error:
            logs.warn_once_a_minute(f"snapshot:{error.reason}", "The policies in force could not be had: %s", error)
