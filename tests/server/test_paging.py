"""Runs and events over HTTP, page by page."""

from __future__ import annotations

from tests.support.servers import Place


def test_pages_and_filters(place: Place) -> None:
    """Each page tells what gives the next one, and filters are query parameters."""
    caller = place.caller()
    agent = caller.registers("desk")
    for number in range(3):
        caller.does("POST", f"/v1/runs/run {number}/start", {"agentId": agent})
    first = caller.does("GET", "/v1/runs?limit=2&agent=desk&status=active")
    rest = caller.does("GET", f"/v1/runs?limit=2&after={first['next']}")
    assert ["run 2", "run 1", "run 0"] == [each["runId"] for each in (*first["runs"], *rest["runs"])]
    assert "next" not in rest
    assert [] == caller.does("GET", "/v1/runs?until=2000-01-01T00:00:00Z")["runs"]
    assert [] == caller.does("GET", "/v1/runs/run 0/events?verdict=BLOCK&tag=x")["events"]


def test_what_is_no_filter(place: Place) -> None:
    """A parameter that is not what is asked for is refused with its name."""
    caller = place.caller()
    for query, field in (("status=odd", "status"), ("since=noon", "since"), ("after=x", "after"), ("limit=0", "limit")):
        answer = caller.call("GET", f"/v1/runs?{query}")
        assert (400, field) == (answer.status_code, answer.json["error"]["field"])
