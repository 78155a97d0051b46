"""The search: any text, best first, all that a packet says."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.handoffs import QUESTION, WHOLE, Somebody


def found(agent: Somebody, text: str, more: str = "") -> list[str]:
    """Return the summaries of what is found."""
    page = agent.does("GET", f"packets/search?q={quote(text)}{more}")
    return [each["context"]["summary"] for each in page["packets"]]


CASES = [
    ("parcel", True),
    ("PARCELS lost", True),
    ("Cafe", True),
    ("it's", True),
    ("multi-tenant", True),
    ("multi* tenant", True),
    ("par*", True),
    ("parcel nothing", False),
    ("Where is it?", True),
    ("carrier confirmed", True),
    ("no answer", True),
    ("Payment provider", True),
    ("81", True),
    ("vip", True),
    ("Above limit", True),
    ("Refunds", True),
    ("true AND", False),
    ('"""', False),
    ("-- ;", False),
    ("summary:parcel", False),
    ("NEAR(parcel lost)", False),
    ("日本", True),
]


def test_the_whole_packet_is_searched(agent: Somebody) -> None:
    """Words of every part, in any case, accent and form; what looks like a search language is just text."""
    summary = "It's a parcel of the multi-tenant Café: lost, 日本"
    agent.does("POST", "packets", {**WHOLE, "hitl": QUESTION, "context": {**WHOLE["context"], "summary": summary}})
    assert CASES == [(text, [summary] == found(agent, text)) for text, _ in CASES]


def test_best_first(agent: Somebody) -> None:
    """What is about it before what mentions it."""
    agent.makes("Other", context={"conversation_state": [{"role": "user", "content": "a refund, I said"}]})
    agent.makes("Refund: the refund of a refund")
    agent.makes("Something long that says many things and somewhere among them the word refund too")
    assert ["Refund", "Something", "Other"] == [each.split()[0].strip(":") for each in found(agent, "refund")]


def test_totals_and_pages(agent: Somebody) -> None:
    """The total counts all that there are; pages do not overlap."""
    for number in range(5):
        agent.makes(f"refund {number}")
    pages = [agent.does("GET", f"packets/search?q=refund&limit=2&offset={offset}") for offset in (0, 2, 4)]
    assert [5, 5, 5] == [page["total"] for page in pages]
    assert [2, 2, 1] == [len(page["packets"]) for page in pages]
    assert 5 == len({each["id"] for page in pages for each in page["packets"]})
    assert {None} == {page["next_cursor"] for page in pages}


def test_filters(agent: Somebody) -> None:
    """By one status and one priority; what was deleted is found only among what has expired."""
    agent.makes("refund low", priority="low")
    agent.claims(agent.makes("refund claimed"))
    gone = agent.makes("refund deleted")
    agent.does("DELETE", f"packets/{gone['id']}")
    assert {"refund low", "refund claimed"} == set(found(agent, "refund"))
    assert ["refund low"] == found(agent, "refund", "&priority=low")
    assert ["refund claimed"] == found(agent, "refund", "&status=claimed")
    assert ["refund deleted"] == found(agent, "refund", "&status=expired")
    assert [] == found(agent, "refund", "&status=%00&priority=%F0%9F%98%80")


def test_changes_are_found(agent: Somebody) -> None:
    """By what the packet says now, and no more by what it said."""
    packet = agent.makes("before")
    agent.does("PATCH", f"packets/{packet['id']}", {"context": {"summary": "after"}})
    assert ([], ["after"]) == (found(agent, "before"), found(agent, "after"))


def test_a_huge_packet_is_found(agent: Somebody) -> None:
    """By what it is about, though it says more than an index holds."""
    said = [{"role": "user", "content": " ".join(str(number**3) for number in range(60_000))}]
    agent.makes("huge", context={"conversation_state": said})
    assert ["huge"] == found(agent, "huge")


def test_nothing_is_there_yet(agent: Somebody) -> None:
    """A search before the first packet finds nothing."""
    assert {"packets": [], "total": 0, "limit": 50, "offset": 0, "next_cursor": None} == agent.does(
        "GET", "packets/search?q=refund"
    )


def test_too_short_is_422(agent: Somebody) -> None:
    """And too long; the parameter is named."""
    for query in ("", "q=", "q=a", f"q={'a' * 1001}"):
        status, detail = agent.refused("GET", f"packets/search?{query}")
        assert (422, ["query", "q"]) == (status, detail[0]["loc"])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=2, max_size=30), other=st.text("\"*^:(){}+-\\'&|!<> aAND", min_size=2, max_size=20))
def test_any_text_may_be_searched_for(agent: Somebody, text: str, other: str) -> None:
    """Whatever a person types is answered."""
    for each in (text, other):
        if len(each.encode(errors="ignore").decode()) >= 2:
            pages: Any = agent.asks("GET", f"packets/search?q={quote(each, errors='ignore')}")
            assert 200 == pages.status, pages.body
