"""What a server does now and then: what nobody needs is thrown away, what somebody may need stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, func, select, update

from handlebar._plumbing.clock import Deadline
from handlebar.control.handoffs.housekeeping import DAY, KEPT_DELIVERIES, KEPT_EVENTS, keep_house
from handlebar.control.tables import handoff_deliveries, handoff_outbox
from tests.support.control import PATIENT
from tests.support.webhooks import Post, a_post


@pytest.fixture(name="post")
def _post(tmp_path: Path) -> Iterator[Post]:
    with a_post(tmp_path / "plane.db") as made:
        yield made


def ages(post: Post, table: Table, column: Any, by: int, **more: Any) -> None:
    """Let what is in *table* have happened earlier."""
    with post.database.write(Deadline.after(PATIENT)) as connection:
        connection.execute(update(table).values({column.name: column - by, **more}))


def number(post: Post, table: Table) -> int:
    """Return how many rows there are."""
    with post.database.read(Deadline.after(PATIENT)) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_old_events_are_thrown_away(post: Post) -> None:
    """Once some are a day too old, all that are too old go; the others stay."""
    post.tells()
    ages(post, handoff_outbox, handoff_outbox.c.at, KEPT_EVENTS + DAY // 2)
    post.tells()
    keep_house(post.database, Deadline.after(PATIENT))
    assert 2 == number(post, handoff_outbox)
    ages(post, handoff_outbox, handoff_outbox.c.at, DAY)
    keep_house(post.database, Deadline.after(PATIENT))
    assert 1 == number(post, handoff_outbox)


@pytest.mark.parametrize(("status", "left"), [("delivered", 0), ("dead_letter", 1), ("failed", 1)])
def test_old_deliveries_are_thrown_away_if_they_were_made(post: Post, status: str, left: int) -> None:
    """What was never delivered stays, however old."""
    post.hook("http://127.0.0.1:1/")
    post.tells()
    ages(post, handoff_deliveries, handoff_deliveries.c.updated_at, KEPT_DELIVERIES + 2 * DAY, status=status)
    keep_house(post.database, Deadline.after(PATIENT))
    assert left == number(post, handoff_deliveries)
