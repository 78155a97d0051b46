"""Packets that are looked for by what is said in them."""

from __future__ import annotations

from handlebar.control.handoffs import searching
from handlebar.control.handoffs.asking import Asked, Reply, Route
from handlebar.control.handoffs.listing import Page, by_numbers
from handlebar.control.handoffs.problems import misfit
from handlebar.control.handoffs.queries import Query
from handlebar.control.handoffs.searching import Wanted

_SHORTEST = 2
_LONGEST = 1000


def _search(asked: Asked) -> Reply:
    wanted = _wanted(asked.query)
    with asked.read() as connection:
        found = searching.search(connection, asked.tenant, wanted)
        page = Page(rows=by_numbers(connection, found.numbers), total=found.total)
    return Reply(200, page.on_wire(asked.query))


def _wanted(query: Query) -> Wanted:
    text = query.text("q") or ""
    if not _SHORTEST <= len(text) <= _LONGEST:
        raise misfit(("query", "q"), f"needs {_SHORTEST} to {_LONGEST} characters", kind="string_length", given=text)
    given = {name: query.text(name) for name in ("status", "priority")}
    return Wanted(
        words=searching.words_in(text),
        filters={name: value for name, value in given.items() if value is not None},
        with_deleted=given["status"] == "expired",
        limit=query.limit,
        offset=query.offset,
    )


ROUTES = (Route("GET", "packets/search", "reader", _search),)
