"""Audit events in the database: once for each batch, and a chain that shows what was done to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from handlebar._plumbing.clock import Deadline
from handlebar.control import ChainReport
from tests.support.control import Desk, a_desk, all_do, an_event, at_once, url_of, workers


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


@pytest.fixture(name="desk")
def _desk(file: Path) -> Iterator[Desk]:
    with a_desk(file) as desk:
        yield desk


def tampered(file: Path, statement: str) -> None:
    """Do to the file what nobody should."""
    engine = create_engine(url_of(file))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def said(desk: Desk, run: str = "run") -> list[str]:
    """Return what the events of a run say, in order."""
    return [event["said"] for event in desk.plane.events(run)]


def checked(desk: Desk, run: str = "run") -> ChainReport:
    """Check the chain of a run."""
    return desk.plane.verify_chain(desk.agent_id, run)


def filled(desk: Desk, run: str = "run", *, number: int = 5) -> None:
    """Record so many events, each in a batch of its own."""
    for each in range(number):
        desk.tells(f"{run}-{each}", an_event(run, f"event {each}"))


def test_a_batch_is_stored_once(desk: Desk) -> None:
    """A batch id that was seen before is taken without an error, and stored no second time."""
    batch = [an_event("run", "a"), an_event("other", "b"), an_event("run", "c")]
    for _ in range(3):
        desk.tells("batch", *batch)
    desk.tells("batch", an_event("run", "something else"))
    assert (["a", "c"], ["b"]) == (said(desk), said(desk, "other"))
    assert ChainReport(intact=True, length=2) == checked(desk)


def test_an_empty_batch_is_taken(desk: Desk) -> None:
    """A batch without events is no error, and adds nothing."""
    desk.tells("batch")
    assert ChainReport(intact=True, length=0) == checked(desk)


def test_a_batch_is_stored_once_though_many_send_it(file: Path, desk: Desk) -> None:
    """Of threads of two planes that send one batch at the same moment, one stores it."""
    batch = [an_event("run", "a"), an_event("run", "b")]
    with a_desk(file) as other:
        at_once([lambda: desk.tells("batch", *batch), lambda: other.tells("batch", *batch)] * 6)
    assert ["a", "b"] == said(desk)
    assert checked(desk).intact


@pytest.mark.slow
def test_a_chain_that_many_processes_write(file: Path, desk: Desk) -> None:
    """Four processes that record in one run leave one chain, with each batch in one piece and once."""
    with workers(4, file) as crowd:
        for number, worker in enumerate(crowd):
            worker.tell("record", run="run", batches=20, prefix=f"p{number}")
        assert ["done"] * 4 == [worker.hear() for worker in crowd]
        all_do(crowd, "record", run="run", batches=20, prefix="p0")
    told = said(desk)
    assert ChainReport(intact=True, length=240) == checked(desk)
    assert 240 == len(set(told))
    assert all(told[place + 1] == told[place][:-1] + "1" for place in range(0, 240, 3))


def test_an_unknown_run_is_an_empty_chain(desk: Desk) -> None:
    """A run without events has nothing that could be wrong."""
    assert ChainReport(intact=True, length=0) == checked(desk, "unknown")


def test_events_of_two_agents_have_two_chains(file: Path, desk: Desk) -> None:
    """One run id with two agents is two chains."""
    with a_desk(file, slug="other") as other:
        filled(desk, number=2)
        other.tells("batch", an_event("run", "theirs"))
        assert ChainReport(intact=True, length=2) == checked(desk)
        assert ChainReport(intact=True, length=1) == checked(other)


def test_events_come_back_as_they_were_sent(desk: Desk) -> None:
    """`events` gives back any JSON that was recorded, in order."""

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.text(st.characters(exclude_categories=[])), min_size=1, max_size=4))
    def check(texts: list[str]) -> None:
        run = uuid4().hex
        desk.tells(run, *[an_event(run, each) for each in texts])
        assert texts == said(desk, run)
        assert ChainReport(intact=True, length=len(texts)) == checked(desk, run)

    check()


TAMPERED = {
    "changed": ("UPDATE events SET body = replace(body, 'event 2', 'nothing') WHERE seq = 3", 2),
    "changed with its hash": ("UPDATE events SET body = '{}', hash = '" + "0" * 64 + "' WHERE seq = 3", 2),
    "first removed": ("DELETE FROM events WHERE seq = 1", 0),
    "removed from the middle": ("DELETE FROM events WHERE seq = 3", 2),
    "removed at the end": ("DELETE FROM events WHERE seq = 5", 4),
    "all removed": ("DELETE FROM events WHERE run_id = 'run'", 0),
    "moved to the front": ("UPDATE events SET seq = -1 WHERE seq = 3", 0),
    "reordered": (
        "UPDATE events SET body = (SELECT body FROM events e WHERE e.seq = 5 - events.seq) WHERE seq IN (2, 3)",
        1,
    ),
    "said twice": (
        "INSERT INTO events (agent_id, run_id, kind, ts, body, hash) "
        "SELECT agent_id, run_id, kind, ts, body, hash FROM events WHERE seq = 5",
        5,
    ),
    "moved to another run": ("UPDATE events SET run_id = 'other' WHERE seq = 4", 3),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_done_to_a_chain_is_found(file: Path, desk: Desk, what: str) -> None:
    """An event that was changed, removed, moved or added shows, with the place; the other runs stay intact."""
    filled(desk)
    filled(desk, "bystander")
    statement, place = TAMPERED[what]
    tampered(file, statement)
    report = checked(desk)
    assert (False, place) == (report.intact, report.broken_at)
    assert checked(desk, "bystander").intact


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 4), st.data())
def test_any_changed_letter_is_found(place: int, data: st.DataObject) -> None:
    """Whichever letter of whichever event is changed, that event is where the chain breaks."""
    with a_desk(None) as desk:
        filled(desk)
        body = json.dumps({"said": f"event {place}"})
        at = data.draw(st.integers(0, len(body) - 1))
        changed = body[:at] + chr(ord(body[at]) ^ 1) + body[at + 1 :]
        with desk.plane._database.write(Deadline.after(5)) as connection:
            connection.execute(
                text("UPDATE events SET body = :body WHERE seq = :seq"), {"body": changed, "seq": place + 1}
            )
        assert ChainReport(intact=False, length=place + 1, broken_at=place) == checked(desk)


def test_hashes_are_no_secret(file: Path, desk: Desk) -> None:
    """Each hash is 64 hexadecimal digits, and the same event twice in a run has two."""
    for batch in ("a", "b"):
        desk.tells(batch, an_event("run", "same"))
    engine = create_engine(url_of(file))
    with engine.connect() as connection:
        hashes = connection.execute(text("SELECT hash FROM events")).scalars().all()
    engine.dispose()
    assert 2 == len(set(hashes))
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in hashes)
