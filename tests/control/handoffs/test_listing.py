"""Many packets: filters, pages, times, figures."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import event

from handlebar._plumbing.clock import Deadline
from handlebar.control.handoffs.listing import of_run
from tests.support.handoffs import QUESTION, Office, Somebody, a_draft

DAY = timedelta(days=1)


FILTERS = [
    ("", "seven six five four three two one"),
    ("status=created", "three two one"),
    ("status=created,%20failed,invented", "seven three two one"),
    ("status=invented", ""),
    ("status=%00&tags=%00&priority=%00&source_agent=%00", ""),
    ("tags=b", "three two one"),
    ("tags=b,a", "one"),
    ("tags=b,x", ""),
    ("target_agent=ann", "six five two"),
    ("source_agent=intake-7&priority=critical", "three"),
    ("source_agent=intake", ""),
    ("priority=normal&status=awaiting_human&target_agent=ann", "five"),
    ("limit=2&offset=1", "six five"),
    ("status=&tags=,", "seven six five four three two one"),
]


@pytest.fixture(name="crowd")
def _crowd(agent: Somebody) -> list[Any]:
    """Seven packets, oldest first."""
    return [
        agent.makes("one", tags=["a", "b"], priority="low"),
        agent.makes("two", tags=["b"], to="ann"),
        agent.makes("three", tags=["b", "c"], priority="critical"),
        agent.makes("four", hitl=QUESTION),
        agent.makes("five", hitl=QUESTION, to="ann"),
        agent.claims(agent.makes("six"), "ann"),
        agent.moves(agent.makes("seven"), "failed"),
    ]


@pytest.mark.usefixtures("crowd")
class TestFilters:
    def test_filters(self, agent: Somebody) -> None:
        """Newest first; several statuses are one or the other, several tags are all of them."""
        assert FILTERS == [(query, " ".join(agent.finds(query))) for query, _ in FILTERS]

    def test_totals(self, agent: Somebody) -> None:
        """However many are asked for."""
        page = agent.does("GET", "packets?limit=2&offset=1&tags=b")
        assert (3, 2, 1, None) == (page["total"], page["limit"], page["offset"], page["next_cursor"])

    def test_awaiting(self, agent: Somebody) -> None:
        """Oldest first, without a cursor."""
        page = agent.does("GET", "packets/awaiting?limit=1&offset=1")
        assert ["five"] == [each["context"]["summary"] for each in page["packets"]]
        assert (2, None) == (page["total"], page["next_cursor"])

    def test_bad_queries(self, agent: Somebody) -> None:
        """A 422 names the parameter."""
        for query in ("limit=0", "limit=201", "limit=x", "offset=-1", "limit=٣", "created_after=soon"):
            status, detail = agent.refused("GET", f"packets?{query}")
            assert (422, ["query", query.partition("=")[0]]) == (status, detail[0]["loc"])

    def test_figures(self, office: Office) -> None:
        """How many there are, and how they fare."""
        figures = office.somebody().does("GET", "stats")
        assert {"created": 3, "awaiting_human": 2, "claimed": 1, "failed": 1} == figures["packets_by_status"]
        assert (7, 7, 2) == tuple(figures[name] for name in ("total_packets", "packets_last_24h", "hitl_queue_depth"))
        assert 0 < figures["avg_claim_time_seconds"] < 60

    def test_nothing_is_loaded_but_the_page(self, office: Office, agent: Somebody) -> None:
        """Whatever is filtered by, the database hands out no more packets than the page has."""
        fetched: list[str] = []
        with office.database.read(Deadline.after(10)) as connection:
            engine = connection.engine
        event.listen(engine, "before_cursor_execute", lambda *args: fetched.append(args[2]))
        agent.finds("tags=b&priority=low&target_agent=refunds-2&limit=1")
        selects = [each for each in fetched if "body" in each]
        assert selects
        assert all("LIMIT" in each for each in selects)


class TestCursors:
    def test_every_packet_comes_once(self, agent: Somebody, crowd: list[Any]) -> None:
        """Page by page, though new ones come in between."""
        seen: list[str] = []
        query = "limit=3"
        totals = []
        while query:
            page = agent.does("GET", f"packets?{query}")
            seen += [each["context"]["summary"] for each in page["packets"]]
            totals.append(page["total"])
            query = page["next_cursor"] and f"limit=3&offset=5&cursor={quote(page['next_cursor'])}"
            agent.makes("new")
        assert ["seven", "six", "five", "four", "three", "two", "one"] == seen
        assert [7, 4, 1] == totals

    def test_garbage_is_no_cursor(self, agent: Somebody) -> None:
        """A 400 in words."""
        for cursor in ("x", "e30", "bnVsbA", "W10", "%00", "é", "a" * 5000, "eyJjcmVhdGVkX2F0IjozLCJpZCI6MX0"):
            status, detail = agent.refused("GET", f"packets?cursor={quote(cursor)}")
            assert 400 == status
            assert "cursor" in detail


class TestTimes:
    def test_an_instant_is_one_however_it_is_written(self, agent: Somebody) -> None:
        """UTC, five hours before, five and a half after: the same packets; without a zone it is UTC."""
        for number in range(4):
            agent.makes(str(number))
        made = agent.does("GET", "packets")["packets"][2]["created_at"]
        instant = datetime.fromisoformat(made).replace(tzinfo=timezone.utc)
        zones = [timezone.utc, timezone(-timedelta(hours=5)), timezone(timedelta(hours=5, minutes=30))]
        written = [made, made + "Z", *(instant.astimezone(zone).isoformat() for zone in zones)]
        for text in [*map(quote, written), *written]:  # a plus that is not encoded arrives as a blank
            assert ["3", "2", "1"] == agent.finds(f"created_after={text}")
            assert ["1", "0"] == agent.finds(f"created_before={text}")

    def test_far_times_are_times(self, agent: Somebody) -> None:
        """At the end of the calendar too."""
        agent.makes("now")
        for text in ("0001-01-01T00:00:00%2B14:00", "2026-01-01"):
            assert (["now"], []) == (agent.finds(f"created_after={text}"), agent.finds(f"created_before={text}"))


def test_the_packets_of_a_run(office: Office, agent: Somebody) -> None:
    """By the run that our own client has noted in them, whatever else stands there."""
    for noted in ({"run_id": "r-1"}, {"run_id": "r-2"}, "r-1", {"run_id": 1}, {"run_id": "r-1"}):
        agent.does("POST", "packets", a_draft(str(noted), context={"custom": {"handlebar": noted}}))
    with office.database.read(Deadline.after(10)) as connection:
        found = [of_run(connection, tenant, "r-1") for tenant in ("default", "other")]
    assert [2, 0] == [len(each) for each in found]
