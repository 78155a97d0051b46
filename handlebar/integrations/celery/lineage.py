"""Where a task comes from: the conversation, whom it acts for, and the runs before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from handlebar._plumbing import logs
from handlebar._plumbing.awaiting import loop_runs_here
from handlebar._plumbing.interrupts import is_interrupt
from handlebar.core import wire
from handlebar.core.config import RunConfig
from handlebar.core.current import get_current_run, get_current_scope
from handlebar.core.request_scope import OUTSIDE
from handlebar.core.run import Run
from handlebar.core.schema.agents import Actor
from handlebar.integrations.celery.headers import Header
from handlebar.integrations.celery.sealing import Sealing

HEADER = Header("handlebar", 2048)

_PARENT = "handlebar.parent_run"
_ROOT = "handlebar.root_run"
_LONGEST_ID = 512


@frozen(kw_only=True)
class Lineage:
    """
    What a task takes over from whoever published it.

    Attributes:
        session_id: The conversation; the id of the first run, where there is none.

        actor: Whom that run acted for.

        parent_run: The run that the task was published in.

        root_run: The first run of the story.
    """

    session_id: str | None = None
    actor: Actor | None = None
    parent_run: str | None = None
    root_run: str | None = None

    @property
    def tags(self) -> Mapping[str, str]:
        """The words that each run of the task carries."""
        told = {_PARENT: self.parent_run, _ROOT: self.root_run}
        return {name: run for name, run in told.items() if run is not None}


NONE = Lineage()
"""Nobody published the task under a run, or nobody can tell."""


def lineage_here() -> Lineage:
    """Return what a task takes over that is published here."""
    run = get_current_run()
    return _of_scope() if run is None else _of_run(run)


def write(lineage: Lineage, task_id: str, sealing: Sealing) -> dict[str, Any] | None:
    """Return the header's content; None where there is nothing to tell."""
    if lineage == NONE:
        return None
    written = HEADER.written(_content(lineage), task_id, sealing)
    if written is None and lineage.actor is not None:
        # What rules may know of the actor beyond the id, the control plane knows from the runs before.
        written = HEADER.written(_content(evolve(lineage, actor=Actor(lineage.actor.external_id))), task_id, sealing)
    if written is None:
        logs.warn_once_a_minute("celery:header", "A task was published without its lineage, which is too long")
    return written


def read(headers: Mapping[str, Any], task_id: str, sealing: Sealing) -> Lineage | None:
    """Return what the header tells; None where there is none, or junk."""
    content = HEADER.read(headers, task_id, sealing)
    try:
        return None if content is None else _lineage(content)
    except Exception as error:  # untrusted values can go wrong in any way
        if is_interrupt(error):
            raise
        return None


def _of_run(run: Run) -> Lineage:
    root = run.tags.get(_ROOT, run.run_id)
    return Lineage(session_id=run.session_id or root, actor=run.actor, parent_run=run.run_id, root_run=root)


def _of_scope() -> Lineage:
    """
    Return what a run would take over that is opened here; nothing outside of a request or task.

    On an event loop only a run tells: publish in `async with client.run()` there. Asking whom a request acts for would
    block the loop, which loaders may refuse to do.
    """
    scope = get_current_scope()
    if scope is OUTSIDE or loop_runs_here():
        return NONE
    filled = scope.filled(RunConfig("nobody's"))
    tags = filled.tags
    return Lineage(
        session_id=filled.session_id, actor=filled.actor, parent_run=tags.get(_PARENT), root_run=tags.get(_ROOT)
    )


def _content(lineage: Lineage) -> dict[str, Any]:
    told = {
        "session": lineage.session_id,
        "actor": None if lineage.actor is None else wire.to_dict(lineage.actor),
        "parent_run": lineage.parent_run,
        "root_run": lineage.root_run,
    }
    return {name: value for name, value in told.items() if value is not None}


def _lineage(content: Mapping[str, Any]) -> Lineage:
    actor = content.get("actor")
    return Lineage(
        session_id=_id(content.get("session")),
        actor=None if actor is None else wire.from_dict(actor, Actor),
        parent_run=_id(content.get("parent_run")),
        root_run=_id(content.get("root_run")),
    )


def _id(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and 0 < len(value) <= _LONGEST_ID):
        return value
    raise TypeError("an id")
