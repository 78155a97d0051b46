"""Runs and events, page by page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar, get_args

from attrs import frozen
from sqlalchemy import ColumnElement, Connection, Select, and_, desc, or_, select

from handlebar.control.agents import of_tenant
from handlebar.control.audit import StoredEvent, stored_event
from handlebar.control.dialects import in_turn, unindexed
from handlebar.control.moments import microseconds
from handlebar.control.run_marks import mark
from handlebar.control.runs import RunView, has_status, view
from handlebar.control.tables import agents, events, run_marks, runs
from handlebar.core.plane import RunEndStatus
from handlebar.core.wire import timestamp
from handlebar.errors import ConfigError

T = TypeVar("T")

RUN_STATUSES = ("active", *get_args(RunEndStatus))
"""How a run may stand."""

_SCANNED = 20_000
"""So many events are looked at for one page at most, where what is asked for stands in no index."""


@frozen
class Page(Generic[T]):
    """
    Some of what was asked for.

    Attributes:
        next: What gives the next page; None where there is none.

        last: The same where there is none yet: what comes later follows it.
    """

    items: tuple[T, ...]
    next: str | None = None
    last: str | None = None


@frozen(kw_only=True)
class RunFilter:
    """
    Which runs; None asks for nothing.

    Attributes:
        agent: An agent's slug or id.

        status: `active`, `success`, `error`, `interrupted` or `timeout`.

        verdict: `ALLOW` or `BLOCK`: some call was decided so.

        rule: Some call was decided by that rule, by its id.

        tag: Some call was of a tool with that tag.

        shadow: That rule in shadow would have done something, by its id.

        since: Started then or later.

        until: Started before.
    """

    agent: str | None = None
    actor: str | None = None
    session: str | None = None
    status: str | None = None
    verdict: str | None = None
    rule: str | None = None
    tag: str | None = None
    shadow: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def marks(self) -> list[str]:
        """What the runs have to be marked with, the rarest first."""
        named = {"shadow": self.shadow, "rule": self.rule, "tag": self.tag, "verdict": self.verdict}
        return [mark(kind, value) for kind, value in named.items() if value is not None]


@frozen(kw_only=True)
class EventFilter:
    """
    Which events; None asks for nothing.

    Attributes:
        agent: An agent's slug or id.

        verdict: `ALLOW` or `BLOCK`, of decisions.

        rule: The rule that decided, by its id.

        tool: The tool's name.

        tag: One of the tool's tags.

        since: Happened then or later, as its agent says.

        until: Happened before.
    """

    agent: str | None = None
    run: str | None = None
    kind: str | None = None
    verdict: str | None = None
    rule: str | None = None
    tool: str | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def wants(self, body: Any) -> bool:
        """Whether an event of that *body* is one of those, as far as no index can tell."""
        data = _object(_object(body).get("data"))
        tool = _object(data.get("tool"))
        return (
            self.verdict in (None, data.get("verdict"))
            and self.rule in (None, data.get("finalRuleId"))
            and self.tool in (None, tool.get("name"))
            and (self.tag is None or self.tag in _list(tool.get("categories")))
        )

    @property
    def looks_inside(self) -> bool:
        """Whether events have to be read to tell."""
        return any(each is not None for each in (self.verdict, self.rule, self.tool, self.tag))


def page_of_runs(
    connection: Connection, tenant: str, wanted: RunFilter, *, limit: int, after: str | None = None
) -> Page[RunView]:
    """
    Return some runs, newest first.

    Args:
        connection: A transaction.

        tenant: Whose they are.

        wanted: Which of them.

        limit: So many at most.

        after: The `next` of the page before.

    Raises:
        ConfigError: *after* is no such thing.
    """
    found = _found(tenant, wanted)
    place = started_at, agent, run = tuple(found.selected_columns)
    if after is not None:
        started, agent_id, run_id = _position(after, (int, str, str))
        # The same order, spelled out: so that the index is entered where the page begins.
        found = found.where(
            started_at <= started,
            or_(started_at < started, and_(agent == agent_id, run < run_id), agent < agent_id),
        )
    started_at, agent, run = page = found.order_by(*map(desc, place)).limit(limit + 1).subquery("page").c
    this = and_(runs.c.agent_id == agent, runs.c.id == run)
    query = select(runs, started_at.label("place")).where(this).order_by(*map(desc, page))
    rows = list(connection.execute(query))
    last = rows[limit - 1] if len(rows) > limit else None
    following = None if last is None else _cursor(last.place, last.agent_id, last.id)
    return Page(tuple(map(view, rows[:limit])), following)


def page_of_events(
    connection: Connection, tenant: str, wanted: EventFilter, *, limit: int, after: str | None = None
) -> Page[StoredEvent]:
    """
    Return some events, in the order in which they were recorded.

    A page may hold fewer than there are, none even, and still have a next one: where it is asked for what stands
    inside events, so many are looked at for one page and no more.

    Args: and Raises: as of `page_of_runs`.
    """
    start = 0 if after is None else _position(after, (int,))[0]
    whose = _whose(events.c.agent_id, tenant, wanted.agent)
    if wanted.run is not None and wanted.agent is None:
        whose = events.c.agent_id.in_(of_tenant(tenant))
    query = select(events).where(whose, events.c.seq > start)
    query = query.where(*_of_event(wanted)).order_by(events.c.seq)
    found: list[StoredEvent] = []
    looked_at = _SCANNED if wanted.looks_inside else limit
    rows = connection.execution_options(yield_per=500).execute(query.limit(looked_at + 1))
    seen = start
    for number, row in enumerate(rows):
        if number == looked_at or len(found) == limit:
            rows.close()
            return Page(tuple(found), _cursor(seen))
        seen = row.seq
        event = stored_event(row)
        if not wanted.looks_inside or wanted.wants(event.read()):
            found.append(event)
    return Page(tuple(found), last=_cursor(seen))


def last_event(connection: Connection, tenant: str) -> str:
    """Return the cursor behind all events that there are: what comes later follows it."""
    query = select(events.c.seq).where(_whose(events.c.agent_id, tenant, None))
    return _cursor(connection.execute(query.order_by(events.c.seq.desc()).limit(1)).scalar() or 0)


def _found(tenant: str, wanted: RunFilter) -> Select[Any]:
    """Return what selects start, agent and id of the runs: where there are marks, beside the rarest of them."""
    marks = wanted.marks
    if not marks:
        whose = _whose(runs.c.agent_id, tenant, wanted.agent)
        tests = [whose, *_of_run(wanted), *_in_time(wanted, runs.c.started_at)]
        return select(runs.c.started_at, runs.c.agent_id, runs.c.id).where(*tests)
    first = run_marks.alias().c
    # The index of marks has the agents in it: through an index of agents, all runs of one would be sorted first.
    whose = _whose(unindexed(first.agent_id), tenant, wanted.agent)
    query = select(first.started_at, first.agent_id, first.run_id).where(first.mark == marks[0], whose)
    query = query.where(*(_is_marked(first, each) for each in marks[1:]), *_in_time(wanted, first.started_at))
    this, tests = and_(runs.c.agent_id == first.agent_id, runs.c.id == first.run_id), _of_run(wanted)
    if wanted.actor is not None or wanted.session is not None:
        # Those have few runs, and an index of them.
        return query.join(runs, this).where(*tests)
    return query.where(in_turn(select(runs.c.id).where(this, *tests))) if tests else query


def _is_marked(run: Any, name: str) -> ColumnElement[bool]:
    one = run_marks.alias().c
    return in_turn(select(one.mark).where(one.agent_id == run.agent_id, one.run_id == run.run_id, one.mark == name))


def _of_run(wanted: RunFilter) -> list[ColumnElement[bool]]:
    columns = {"actor_id": wanted.actor, "session_id": wanted.session}
    tests: list[ColumnElement[bool]] = [runs.c[name] == value for name, value in columns.items() if value is not None]
    if wanted.status is not None:
        tests.append(has_status(wanted.status))
    return tests


def _in_time(wanted: RunFilter, started_at: ColumnElement[int]) -> list[ColumnElement[bool]]:
    since = [] if wanted.since is None else [started_at >= microseconds(wanted.since)]
    return since if wanted.until is None else [*since, started_at < microseconds(wanted.until)]


def _of_event(wanted: EventFilter) -> list[ColumnElement[bool]]:
    columns = {"run_id": wanted.run, "kind": wanted.kind or ("tool.decision" if wanted.verdict else None)}
    tests: list[ColumnElement[bool]] = [events.c[name] == value for name, value in columns.items() if value is not None]
    # As text: all times are written in one form, in UTC.
    if wanted.since is not None:
        tests.append(events.c.ts >= _written(wanted.since))
    if wanted.until is not None:
        tests.append(events.c.ts < _written(wanted.until))
    return tests


def _whose(column: ColumnElement[str], tenant: str, agent: str | None) -> ColumnElement[bool]:
    """Return the test that keeps to a tenant, and to one agent of it, so that an index gives the order."""
    meant = of_tenant(tenant)
    if agent is None:
        return in_turn(meant.where(agents.c.id == column))
    return column == meant.where(or_(agents.c.slug == agent, agents.c.id == agent)).limit(1).scalar_subquery()


def _written(when: datetime) -> str:
    return timestamp(microseconds(when) * 1000)


def _cursor(*position: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _position(cursor: str, kinds: tuple[type, ...]) -> Any:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list) and tuple(map(type, found)) == kinds and abs(found[0]) < 2**63:
        return found
    raise ConfigError("after", cursor, "the cursor that the page before has given")


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
