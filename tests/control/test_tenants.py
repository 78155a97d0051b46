"""Tenants on one database, and the keys by which they are told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from handlebar.control.database import Database
from handlebar.control.host import Host
from handlebar.control.keys import KeyRing
from handlebar.control.policies import read_sources
from handlebar.control.service import EmbeddedControlPlane
from handlebar.core.plane import StartRequest
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.errors import ConfigError, RefusedError
from tests.support.control import PATIENT, Desk, a_limit, a_policy, a_rule, an_event, url_of

ASKING = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "refund"}, "hitl"))
NO_CALLS = a_policy(a_rule(a_limit(0)))


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    database = Database(url_of(tmp_path / "plane.db"))
    yield database
    database.close()


def desk_of(database: Database, tenant: str, *policies: Any) -> Desk:
    """Return the agent `desk` of a tenant."""
    sources = read_sources(list(policies) or None, owner="desk")
    plane = EmbeddedControlPlane(database, sources, host=Host({}, {}), tenant=tenant)
    return Desk(plane, plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT))


def test_one_slug_is_an_agent_of_each_tenant(database: Database) -> None:
    """Their policies are apart, and so is what is counted."""
    ours, theirs = desk_of(database, "ours", NO_CALLS), desk_of(database, "theirs")
    assert ours.agent_id != theirs.agent_id
    assert [False, True] == [ours.may(), theirs.may()]


def test_another_tenants_id_is_told_from_none_by_nothing(database: Database) -> None:
    """Each call that names a foreign id is refused in the very words that an id of nobody's is."""
    ours, theirs = desk_of(database, "ours", ASKING), desk_of(database, "theirs")
    question = ours.asks().cause.approval_id
    plane = theirs.plane
    calls: list[tuple[Callable[[str], Any], str]] = [
        (lambda agent: Desk(plane, agent).asks(), ours.agent_id),
        (lambda agent: plane.register_tools(agent, [], budget=PATIENT), ours.agent_id),
        (lambda agent: plane.start_run(StartRequest(run_id="r", agent_id=agent), budget=PATIENT), ours.agent_id),
        (lambda agent: plane.record(agent, "b", [an_event("r", "x")], budget=PATIENT), ours.agent_id),
        (lambda agent: plane.end_run(agent, "r", "success", budget=PATIENT), ours.agent_id),
        (lambda one: plane.approval_status(one, budget=PATIENT), question),
        (lambda one: plane.respond(one, "approved", responded_by="eve"), question),
        (plane.approval, question),
    ]
    for call, foreign in calls:
        told = []
        for each in (foreign, "nobodys"):
            with pytest.raises(RefusedError) as refused:
                call(each)
            assert 404 == refused.value.status
            told.append(str(refused.value).replace(each, "…"))
        assert told[0] == told[1]


def test_people_see_what_is_their_tenants(database: Database) -> None:
    """Runs, events, approvals and lockdowns of others are not there."""
    ours, theirs = desk_of(database, "ours", ASKING), desk_of(database, "theirs")
    ours.asks(run="r")
    ours.plane.start_run(StartRequest(run_id="r", agent_id=ours.agent_id), budget=PATIENT)
    ours.tells("b", an_event("r", "x"))
    ours.plane.lock_down("desk", "stop")
    here, there = ours.plane, theirs.plane
    assert [1, 1, 1, 1] == [len(here.runs()), len(here.events("r")), len(here.approvals()), len(here.lockdowns())]
    assert [0, 0, 0, 0] == [len(there.runs()), len(there.events("r")), len(there.approvals()), len(there.lockdowns())]
    assert theirs.may()


def test_a_batch_id_of_another_agent_is_another_batch(database: Database) -> None:
    """Nobody can keep others' events out by guessing their batch ids."""
    ours, theirs = desk_of(database, "ours"), desk_of(database, "theirs")
    theirs.tells("b", an_event("r", "x"))
    ours.tells("b", an_event("r", "x"))
    assert 1 == len(ours.plane.events("r"))


def test_a_key_is_found_until_it_is_revoked(database: Database) -> None:
    """By its secret, which is shown once and kept nowhere."""
    ring = KeyRing(database)
    key = ring.create("ci", role="agent", tenant="ours")
    assert key.record == ring.find(key.secret)
    assert key.secret not in repr(key)
    other = ring.create("boss", role="admin", tenant="theirs")
    assert [key.record] == ring.listed("ours")
    assert [key.record, other.record] == ring.listed()
    assert ring.revoke(key.record.id).revoked_at is not None
    assert ring.find(key.secret) is None
    with pytest.raises(RefusedError, match="no key"):
        ring.revoke("nothing")


@pytest.mark.parametrize("secret", ["", "hb_", "hb_nothing", "\ud800", "x" * 100_000])
def test_what_is_no_key_finds_none(database: Database, secret: str) -> None:
    """Whatever it looks like."""
    assert KeyRing(database).find(secret) is None


@pytest.mark.parametrize("bad", [{"role": "root"}, {"name": " "}, {"tenant": ""}])
def test_bad_keys_are_refused_at_the_door(database: Database, bad: Any) -> None:
    """The error names the field."""
    (field,) = bad
    with pytest.raises(ConfigError, match=field):
        KeyRing(database).create(**{"name": "ci", "role": "agent", "tenant": "ours", **bad})
