"""The hand-off API inside a process: whose key is good, and for what."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from handlebar._plumbing.clock import Deadline
from handlebar.control.database import Database
from handlebar.control.handoff_exchange import open_exchange
from handlebar.control.keys import KeyRing
from handlebar.errors import RefusedError
from handlebar.handoff.exceptions import ValidationError
from handlebar.handoff.exchange import Answer, Call
from tests.support.control import url_of
from tests.support.handoffs import a_draft


def sends(file: Path | None, key: str | None, *calls: Call) -> list[Answer]:
    """Make calls with a *key*; return the answers."""
    with closing(open_exchange(url_of(file), key)) as exchange:
        return [exchange.send(call, deadline=Deadline.after(30)) for call in calls]


def creates(summary: str = "s") -> Call:
    """Return the call that makes a packet."""
    return Call(method="POST", path=("packets",), body=json.dumps(a_draft(summary)).encode())


LIST = Call(method="GET", path=("packets",))
STATS = Call(method="GET", path=("stats",))


def test_before_there_are_keys_any_is_good(tmp_path: Path) -> None:
    """And none too: all is the tenant default's."""
    file = tmp_path / "plane.db"
    assert [201, 200] == [each.status for each in sends(file, "invented", creates(), STATS)]
    assert 1 == json.loads(sends(file, None, LIST)[0].body)["total"]


def test_once_there_are_keys_it_must_be_a_good_one(tmp_path: Path) -> None:
    """Another is 401; each sees its own tenant; who has none has the file, and may everything."""
    file = tmp_path / "plane.db"
    with closing(Database(url_of(file))) as database:
        keys = KeyRing(database)
        one, other = (keys.create("k", role="agent", tenant=tenant) for tenant in ("default", "other"))
        assert [201, 403] == [each.status for each in sends(file, one.secret, creates(), STATS)]
        assert 0 == json.loads(sends(file, other.secret, LIST)[0].body)["total"]
        assert [201, 200] == [each.status for each in sends(file, None, creates(), STATS)]
        keys.revoke(one.record.id)
        for bad in ("invented", "", one.secret):
            (answer,) = sends(file, bad, LIST)
            assert (401, {"detail"}) == (answer.status, set(json.loads(answer.body)))
            with closing(open_exchange(url_of(file), bad)) as exchange, pytest.raises(RefusedError):
                next(exchange.listen((), after=None))


def test_a_database_in_memory() -> None:
    """Is one for each exchange."""
    assert [201, 200] == [each.status for each in sends(None, None, creates(), LIST)]
    assert 0 == json.loads(sends(None, None, LIST)[0].body)["total"]


@pytest.mark.parametrize("url", ["sqlite:/", "mysql://x/y", "x"])
def test_bad_urls(url: Any) -> None:
    """Are told before anything is opened."""
    with pytest.raises(ValidationError) as told:
        open_exchange(url, None)
    assert "base_url" == told.value.field
