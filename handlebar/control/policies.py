"""Policies that a client or a server is started with, where they come from, and what has become of them there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from handlebar._plumbing import logs
from handlebar._plumbing.clock import monotonic
from handlebar._plumbing.forking import PerProcess
from handlebar.core.schema.rules import Policy
from handlebar.errors import PolicyError
from handlebar.policy import load_policies
from handlebar.policy.loading.documents import DocumentError
from handlebar.policy.loading.sources import files_in

LOOK_SECONDS = 1.0
"""Files are not looked at again for so long."""

_Signature = tuple[tuple[str, int, int, int], ...]


@frozen
class PolicySource:
    """
    Policies that come from one place, and go together when that place has them no more.

    Attributes:
        name: The file or folder, or the agent whose config holds them.
    """

    name: str
    policies: tuple[Policy, ...]


@frozen
class Reading:
    """
    What the sources held when they were read.

    Attributes:
        number: Counts the readings of one process in which they could be read.
    """

    number: int
    sources: tuple[PolicySource, ...]


@frozen
class _Place:
    """Where policies are: *given* as one path, or as values."""

    name: str
    given: Sequence[Any]

    def read(self) -> PolicySource:
        return PolicySource(self.name, load_policies(self.given))


class _Process:
    """What one process has seen; only the thread that has the lock looks."""

    def __init__(self, signature: _Signature, reading: Reading) -> None:
        self.looking = threading.Lock()
        self.look_at = 0.0
        self.signature = signature
        self.reading = reading


class PolicySources:
    """
    Keeps what `policies=` names; files that have changed are read again.

    Where something in them cannot be loaded then, all stays as it was, and the log says why, once. Lives as long as
    its control plane, thread-safe and fork-safe; made by `read_sources`.
    """

    def __init__(self, places: Sequence[_Place], sources: tuple[PolicySource, ...], signature: _Signature) -> None:
        self._places = places
        self._paths = tuple(each for place in places for each in place.given if _is_path(each))
        self._first = first = Reading(0, sources)
        # Who was forked long after the sources were read must not put in force what they held then.
        self._process: PerProcess[_Process] = PerProcess(lambda: _Process(signature, first))

    @property
    def may_change(self) -> bool:
        """Whether there is a file, or a folder, among what `policies=` names."""
        return bool(self._paths)

    def latest(self) -> Reading:
        """Return what they hold, as it was a second ago at most, unless another thread is just reading it."""
        if not self.may_change:
            return self._first
        process = self._process.get()
        if monotonic() >= process.look_at and process.looking.acquire(blocking=False):
            try:
                self._look(process)
            finally:
                process.looking.release()
        return process.reading

    def _look(self, process: _Process) -> None:
        process.look_at = monotonic() + LOOK_SECONDS
        # Before the files are read: what is written meanwhile is seen the next time.
        signature = _signature(self._paths)
        if signature == process.signature:
            return
        process.signature = signature
        try:
            load_policies([each for place in self._places for each in place.given])
            read = tuple(each.read() for each in self._places)
        except PolicyError as error:
            logs.warn("Policies were changed, but stay in force as they were, for they cannot be loaded: %s", error)
            return
        process.reading = Reading(process.reading.number + 1, read)


def read_sources(configured: Any, *, owner: str) -> PolicySources:
    """
    Read what a client's config gives as `policies=`.

    Args:
        configured: A path, or a list of paths and policies.

        owner: The agent whose config it is.

    Raises:
        PolicyError: Something in it cannot be loaded.
    """
    if configured is None:
        return NOTHING_CONFIGURED
    given = [configured] if _is_path(configured) or not isinstance(configured, Sequence) else configured
    paths = [os.path.abspath(each) for each in given if _is_path(each)]
    signature = _signature(paths)
    # All at once first: so all problems are told, and ids that two sources share are found.
    load_policies(configured)
    places = [_Place(str(Path(path).resolve()), (path,)) for path in paths]
    written = [each for each in given if not _is_path(each)]
    if written:
        # As they are now: what becomes of somebody's dict later, he has told nobody.
        places.append(_Place(f"config of {owner}", load_policies(written)))
    return PolicySources(places, tuple(each.read() for each in places), signature)


def _signature(paths: Iterable[str]) -> _Signature:
    """Return what differs when a file has been changed, added or removed."""
    return tuple(each for path in paths for each in _marks(path))


def _marks(path: str) -> Iterator[tuple[str, int, int, int]]:
    try:
        for file in files_in(path):
            found = file.stat()
            yield str(file), found.st_mtime_ns, found.st_size, found.st_ino
    except (OSError, DocumentError):  # gone, or not to be read: the loader will say so
        yield path, 0, 0, 0


def _is_path(each: Any) -> bool:
    return isinstance(each, (str, os.PathLike))


NOTHING_CONFIGURED = PolicySources((), (), ())
"""Of clients that have no policies in their config."""
