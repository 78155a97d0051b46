"""Among thousands of packets and deliveries one is found without reading the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from handlebar._plumbing.clock import Deadline, time_ns
from handlebar.control.handoffs import leasing, webhooks_store
from handlebar.control.handoffs.listing import of_run
from handlebar.control.tables import handoff_deliveries, handoff_happenings, handoff_packets
from tests.support.control import PATIENT
from tests.support.handoffs import QUESTION, Office, Somebody, an_office
from tests.support.sqlite_steps import Steps, counted
from tests.support.webhooks import SECRET

MANY = 2_000
HOOK = "https://desk.example/hook"


@pytest.fixture(scope="module", name="crowded")
def _crowded(tmp_path_factory: pytest.TempPathFactory, database_kind: str) -> Iterator[tuple[Office, Steps]]:
    """Open a database with 2,000 packets that are done, each with something that happened, and as many deliveries."""
    file = tmp_path_factory.mktemp(f"many-{database_kind}") / "plane.db"
    with counted() as steps, an_office(file) as office:
        somebody = office.somebody()
        with office.database.write(Deadline.after(PATIENT)) as connection:
            webhooks_store.register(connection, "default", url=HOOK, events=("packet.created",), secret=SECRET)
        somebody.moves(somebody.claims(somebody.makes()), "in_progress", "completed")
        _multiply(office)
        yield office, steps


def _multiply(office: Office) -> None:
    with office.database.write(Deadline.after(PATIENT)) as connection:
        for table in (handoff_packets, handoff_happenings, handoff_deliveries):
            number = next(iter(table.primary_key.columns)).name
            row = dict(connection.execute(select(table).limit(1)).one()._mapping)
            del row[number]
            if table is handoff_deliveries:
                row |= {"status": "delivered", "next_at": None}
            copies = [{**row, "id": str(uuid4())} for _ in range(MANY)]
            if table is handoff_happenings:
                copies = [{**each, "packet_id": str(uuid4())} for each in copies]
            connection.execute(insert(table), copies)


@pytest.fixture(name="steps")
def _steps(crowded: tuple[Office, Steps]) -> Steps:
    return crowded[1]


@pytest.fixture(name="office")
def _office(crowded: tuple[Office, Steps]) -> Office:
    return crowded[0]


@pytest.fixture(name="agent")
def _agent(office: Office) -> Somebody:
    return office.somebody()


CALLS: dict[str, Callable[[Somebody, Any], object]] = {
    "get": lambda agent, packet: agent.does("GET", f"packets/{packet['id']}"),
    "history": lambda agent, packet: agent.history(packet),
    "claim": lambda agent, packet: agent.claims(packet, "ann"),
    "update": lambda agent, packet: agent.does("PATCH", f"packets/{packet['id']}", {"context": {"summary": "New"}}),
    "fail": lambda agent, packet: agent.moves(packet, "failed"),
    "awaiting": lambda agent, packet: agent.does("GET", "packets/awaiting"),
    "those for one": lambda agent, packet: agent.finds("target_agent=ann"),
    "those that wait": lambda agent, packet: agent.finds("status=awaiting_human"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_does_not_read_the_other_packets(agent: Somebody, steps: Steps, call: str) -> None:
    """What is asked about one packet, or about few, takes fewer steps than there are packets."""
    packet = agent.makes(to="ann", hitl=QUESTION if call in ("awaiting", "those that wait") else None)
    assert steps.of(lambda: CALLS[call](agent, packet)) < MANY


def test_making_one_does_not_read_the_others(agent: Somebody, steps: Steps) -> None:
    """A new packet takes fewer steps than there are packets."""
    assert steps.of(agent.makes) < MANY


def test_a_runs_packets_are_found_among_many(office: Office, steps: Steps) -> None:
    """A run that has handed nothing over is told so in fewer steps than there are packets."""
    with office.database.read(Deadline.after(PATIENT)) as connection:
        assert steps.of(lambda: of_run(connection, "default", "no such run")) < MANY


def test_what_is_due_is_found_among_all_that_was_delivered(office: Office, agent: Somebody, steps: Steps) -> None:
    """To look for what webhooks are to be told, and to lease it, does not read what they have been told."""
    agent.makes()
    now = time_ns() // 1000 + 1_000_000
    with office.database.write(Deadline.after(PATIENT)) as connection:
        assert steps.of(lambda: leasing.next_at(connection, now)) < MANY
        jobs: list[leasing.Job] = []
        assert steps.of(lambda: jobs.extend(leasing.lease(connection, now, 10))) < MANY
    assert 1 == len(jobs)
