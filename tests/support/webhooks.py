"""Webhooks for tests: a database with some, a clock that a test moves, and a deliverer that delivers when told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.resolving import resolved
from handlebar.control.database import Database
from handlebar.control.handoffs import outbox
from handlebar.control.handoffs import webhooks_store as webhooks
from handlebar.control.handoffs.delivering import Deliverer, wall_microseconds
from handlebar.control.handoffs.outbox import Event
from handlebar.control.handoffs.targets import Targets, read_networks
from handlebar.handoff.models.webhooks import WebhookDelivery, WebhookResponse
from tests.support.control import PATIENT, url_of

SECRET = "a secret of sixteen or more"
LOOPBACK = read_networks("127.0.0.1/32, ::1/128")


def an_event(kind: str = "packet.created", **more: Any) -> Event:
    """Return an event about a packet."""
    known = {"packet_id": "p-1", "status": "created", "agents": ("intake", "refunds"), "metadata": {"priority": "high"}}
    return Event(type=kind, **{**known, **more})


@define
class Post:
    """A database with webhooks, and who delivers; time stands still until it is moved."""

    database: Database
    later: int = field(default=0, init=False)

    def now(self) -> int:
        """Return the time by this post's clock."""
        return wall_microseconds() + self.later

    def moves(self, seconds: float) -> None:
        """Let time pass."""
        self.later += int(seconds * 1_000_000)

    @property
    def deliverer(self) -> Deliverer:
        """Somebody else who delivers, by the same clock."""
        return Deliverer(self.database, Targets(resolved, LOOPBACK), now=self.now)

    def hook(self, url: str, *events: str, tenant: str = "default", secret: str = SECRET) -> WebhookResponse:
        """Register a webhook; without *events* for packets that are created."""
        with self.database.write(Deadline.after(PATIENT)) as connection:
            return webhooks.register(connection, tenant, url=url, events=events or ("packet.created",), secret=secret)

    def tells(self, *events: Event, tenant: str = "default") -> None:
        """Let something have happened."""
        with self.database.write(Deadline.after(PATIENT)) as connection:
            for event in events or (an_event(),):
                outbox.append(connection, tenant, event)

    def log(self, hook: WebhookResponse, *, tenant: str = "default") -> Sequence[WebhookDelivery]:
        """Return what became of all that *hook* was to be told, newest first."""
        with self.database.read(Deadline.after(PATIENT)) as connection:
            return webhooks.deliveries(connection, tenant, hook.id, status=None, limit=200, offset=0)

    def the(self, hook: WebhookResponse) -> WebhookDelivery:
        """Return the one delivery that there is."""
        (only,) = self.log(hook)
        return only


@contextmanager
def a_post(file: Path) -> Iterator[Post]:
    """Open the database *file*; close it at the end."""
    with closing(Database(url_of(file))) as database:
        yield Post(database)


def _deliver_until_killed(file: Path) -> None:
    """Deliver what is due, again and again."""
    with a_post(file) as post:
        deliverer = post.deliverer
        sys.stdout.write(json.dumps("ready") + "\n")
        sys.stdout.flush()
        while True:
            deliverer.deliver_due()


if __name__ == "__main__":
    _deliver_until_killed(Path(sys.argv[1]))
