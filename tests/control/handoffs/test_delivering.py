"""Deliveries: signed, retried as published, given up, replayed, and made by one of however many."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.resolving import resolved
from handlebar.control.handoffs import outbox
from handlebar.control.handoffs import webhooks_store as webhooks
from handlebar.control.handoffs.delivering import Deliverer
from handlebar.control.handoffs.leasing import LEASE_SECONDS
from handlebar.control.handoffs.targets import Targets
from handlebar.errors import RefusedError
from handlebar.handoff.models.webhooks import WebhookResponse
from tests.support.control import PATIENT, ROOT, at_once
from tests.support.forks import in_child
from tests.support.http_server import Answer, Hang, HttpServer, Redirect
from tests.support.waiting import eventually, threads_named
from tests.support.webhooks import LOOPBACK, SECRET, Post, a_post, an_event


@pytest.fixture(name="post")
def _post(tmp_path: Path) -> Iterator[Post]:
    with a_post(tmp_path / "plane.db") as made:
        yield made


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[HttpServer]:
    with HttpServer() as server:
        server.behave(Answer(200))
        yield server


def statuses(post: Post, hook: WebhookResponse) -> list[str]:
    """Return the statuses of all deliveries to *hook*, oldest first."""
    return [each.status for each in reversed(post.log(hook))]


def test_a_delivery_is_signed_over_its_very_bytes(post: Post, receiver: HttpServer) -> None:
    """The receiver finds the event in the body, and can compute the signature from the body and the secret."""
    hook = post.hook(receiver.url + "/hook?from=us")
    post.tells(an_event(details={"by": "an agent"}))
    assert 1 == post.deliverer.deliver_due()
    (request,) = receiver.requests
    assert ("POST", "/hook?from=us") == (request.method, request.path)
    body = request.json()
    assert {"event", "timestamp", "packet_id", "status", "metadata", "details"} == set(body)
    assert ("packet.created", "p-1", "created") == (body["event"], body["packet_id"], body["status"])
    assert ({"priority": "high"}, {"by": "an agent"}) == (body["metadata"], body["details"])
    expected = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert expected == request.headers["x-hr-signature"]
    assert "packet.created" == request.headers["x-hr-event"]
    delivery = post.the(hook)
    assert delivery.id == request.headers["x-hr-delivery-id"]
    assert ("delivered", 1, 200, None) == (
        delivery.status,
        delivery.attempts,
        delivery.last_status_code,
        delivery.last_error,
    )
    assert delivery.delivered_at is not None


def test_only_who_wants_to_be_told_is_told(post: Post, receiver: HttpServer) -> None:
    """An event goes to the webhooks of its tenant that have its type, and to no deleted one."""
    hook = post.hook(receiver.url)
    others = [post.hook(receiver.url, "packet.failed"), post.hook(receiver.url, tenant="other")]
    deleted = post.hook(receiver.url)
    with post.database.write(Deadline.after(PATIENT)) as connection:
        webhooks.delete(connection, "default", deleted.id)
    post.tells()
    assert 1 == post.deliverer.deliver_due()
    assert ["delivered"] == statuses(post, hook)
    assert [[], [], []] == [
        list(post.log(others[0])),
        list(post.log(others[1], tenant="other")),
        list(post.log(deleted)),
    ]


def test_what_did_not_happen_is_not_told(post: Post, receiver: HttpServer) -> None:
    """An event of a transaction that is rolled back is delivered to nobody."""
    post.hook(receiver.url)

    class ChangedMindError(Exception):
        pass

    def change_mind() -> None:
        with post.database.write(Deadline.after(PATIENT)) as connection:
            outbox.append(connection, "default", an_event())
            raise ChangedMindError

    with pytest.raises(ChangedMindError):
        change_mind()
    assert 0 == post.deliverer.deliver_due()


class TestRetries:
    """The published schedule: six attempts, five waits."""

    def test_each_wait_is_as_published(self, post: Post, receiver: HttpServer) -> None:
        """The attempts come 1, 5, 30, 300 and 3600 s apart, with one id and one body; then it is given up."""
        receiver.behave(Answer(500, b"x" * 1000))
        hook = post.hook(receiver.url)
        post.tells()
        deliverer = post.deliverer
        assert 1 == deliverer.deliver_due()
        for wait in (1, 5, 30, 300, 3600):
            assert "failed" == post.the(hook).status
            retry_at = post.the(hook).next_retry_at
            assert retry_at is not None
            assert wait == (retry_at - post.the(hook).updated_at).total_seconds()
            post.moves(wait - 0.5)
            assert 0 == deliverer.deliver_due()
            post.moves(0.5)
            assert 1 == deliverer.deliver_due()
        delivery = post.the(hook)
        assert ("dead_letter", 6, 500, None) == (
            delivery.status,
            delivery.attempts,
            delivery.last_status_code,
            delivery.next_retry_at,
        )
        assert 200 == len(delivery.last_error or "")
        post.moves(10**6)
        assert 0 == deliverer.deliver_due()
        assert 1 == len({(r.body, r.headers["x-hr-delivery-id"]) for r in receiver.requests})
        assert 6 == len(receiver.requests)

    def test_an_attempt_that_goes_well_ends_them(self, post: Post, receiver: HttpServer) -> None:
        """After two failures the third attempt succeeds, and there is no fourth."""
        receiver.behave(Answer(503), times=2)
        hook = post.hook(receiver.url)
        post.tells()
        for _ in range(6):
            post.deliverer.deliver_due()
            post.moves(5)
        assert ("delivered", 3, None) == (post.the(hook).status, post.the(hook).attempts, post.the(hook).last_error)

    def test_a_dead_receiver_is_a_dead_letter_at_last(self, post: Post) -> None:
        """Where nobody listens, the sixth attempt ends in a dead letter that says what went wrong."""
        with HttpServer() as gone:
            url = gone.url
        hook = post.hook(url)
        post.tells()
        for wait in (1, 5, 30, 300, 3600, 0):
            assert 1 == post.deliverer.deliver_due()
            post.moves(wait)
        assert ("dead_letter", None) == (post.the(hook).status, post.the(hook).last_status_code)
        assert "No answer came (ConnectionRefusedError)" == post.the(hook).last_error

    def test_a_redirection_is_not_followed(self, post: Post, receiver: HttpServer) -> None:
        """An answer that points elsewhere is a failure, and nobody is asked there."""
        with HttpServer() as elsewhere:
            receiver.behave(Redirect(elsewhere.url + "/secret", 307))
            hook = post.hook(receiver.url)
            post.tells()
            post.deliverer.deliver_due()
            assert [] == elsewhere.requests
        assert ("failed", 307) == (post.the(hook).status, post.the(hook).last_status_code)


def test_what_fails_unexpectedly_is_given_up_too(post: Post) -> None:
    """A fault of whatever kind counts as an attempt, and its words, which may tell anything, are not kept."""

    def broken(host: str, port: int) -> list[str]:
        raise ZeroDivisionError("secret")

    hook = post.hook("http://127.0.0.1:1/")
    post.tells()
    assert 1 == Deliverer(post.database, Targets(broken), now=post.now).deliver_due()
    assert ("failed", 1) == (post.the(hook).status, post.the(hook).attempts)
    assert "ZeroDivisionError" in (post.the(hook).last_error or "")
    assert "secret" not in (post.the(hook).last_error or "")


class TestDeadLetters:
    """What was given up can be delivered once more."""

    @pytest.fixture(name="dead")
    def _dead(self, post: Post, receiver: HttpServer) -> WebhookResponse:
        hook = post.hook(receiver.url)
        receiver.behave(Answer(500), times=6)
        post.tells()
        for wait in (1, 5, 30, 300, 3600, 0):
            post.deliverer.deliver_due()
            post.moves(wait)
        assert "dead_letter" == post.the(hook).status
        return hook

    def test_a_replay_begins_from_the_first_attempt(self, post: Post, dead: WebhookResponse) -> None:
        """A replayed dead letter is delivered under its id, and is no dead letter any more."""
        before = post.the(dead)
        with post.database.write(Deadline.after(PATIENT)) as connection:
            assert [before.id] == [each.id for each in webhooks.dead_letters(connection, "default", limit=9, offset=0)]
            webhooks.replay(connection, "default", before.id)
        assert ("pending", 0) == (post.the(dead).status, post.the(dead).attempts)
        assert 1 == post.deliverer.deliver_due()
        assert ("delivered", 1, before.id) == (post.the(dead).status, post.the(dead).attempts, post.the(dead).id)
        with (
            pytest.raises(RefusedError, match="no dead letter") as caught,
            post.database.write(Deadline.after(PATIENT)) as connection,
        ):
            webhooks.replay(connection, "default", before.id)
        assert 404 == caught.value.status

    def test_another_tenant_sees_and_replays_none(self, post: Post, dead: WebhookResponse) -> None:
        """Dead letters of one tenant are not there for another."""
        letter = post.the(dead).id
        with post.database.write(Deadline.after(PATIENT)) as connection:
            assert [] == webhooks.dead_letters(connection, "other", limit=9, offset=0)
            assert 0 == webhooks.retry_all(connection, "other")
            with pytest.raises(RefusedError):
                webhooks.replay(connection, "other", letter)
        assert "dead_letter" == post.the(dead).status

    def test_all_can_be_retried(self, post: Post, dead: WebhookResponse) -> None:
        """Every dead letter begins again, but for those of a deleted webhook."""
        gone = post.hook("http://127.0.0.1:1/", "packet.failed")
        post.tells(an_event("packet.failed"))
        with post.database.write(Deadline.after(PATIENT)) as connection:
            webhooks.delete(connection, "default", gone.id)
            assert 1 == webhooks.retry_all(connection, "default")
        assert 1 == post.deliverer.deliver_due()
        assert ["delivered"] == statuses(post, dead)
        assert ["dead_letter"] == statuses(post, gone)


class TestMany:
    """However many deliver, each is delivered once."""

    def test_deliverers_that_race_deliver_once(self, post: Post, receiver: HttpServer) -> None:
        """Of four that deliver at once, each of forty deliveries to four webhooks is made by exactly one."""
        for _ in range(4):
            post.hook(receiver.url)
        post.tells(*[an_event(packet_id=f"p-{number}") for number in range(10)])

        def deliver() -> int:
            return sum(post.deliverer.deliver_due() for _ in range(20))

        assert 40 == sum(at_once([deliver] * 4))
        assert 40 == len({request.headers["x-hr-delivery-id"] for request in receiver.requests})
        assert 40 == len(receiver.requests)

    def test_a_webhook_is_told_in_order_one_at_a_time(self, post: Post, receiver: HttpServer) -> None:
        """What is due is taken on one for each webhook, the oldest first."""
        hooks = [post.hook(receiver.url), post.hook(receiver.url)]
        post.tells(an_event(packet_id="p-1"), an_event(packet_id="p-2"))
        first = post.deliverer.lease(16)
        assert ["p-1", "p-1"] == [json.loads(job.body)["packet_id"] for job in first]
        assert [] == post.deliverer.lease(16)
        post.deliverer.deliver(first[0])
        assert ["p-2"] == [json.loads(job.body)["packet_id"] for job in post.deliverer.lease(16)]
        assert 4 == sum(len(post.log(hook)) for hook in hooks)

    def test_a_lease_that_ran_out_notes_nothing(self, post: Post, receiver: HttpServer) -> None:
        """Who comes back after the lease is over, and another has delivered, changes nothing."""
        hook = post.hook(receiver.url)
        post.tells()
        slow, quick = post.deliverer, post.deliverer
        (late,) = slow.lease(1)
        post.moves(LEASE_SECONDS - 1)
        assert 0 == quick.deliver_due()
        post.moves(1)
        assert 1 == quick.deliver_due()
        receiver.behave(Answer(500), times=1)
        slow.deliver(late)
        assert ("delivered", 1) == (post.the(hook).status, post.the(hook).attempts)

    @pytest.mark.slow
    def test_what_a_killed_process_was_delivering_is_delivered(self, tmp_path: Path, post: Post) -> None:
        """Kill -9 while the receiver has not answered leaves a delivery that another makes when the lease is over."""
        with HttpServer() as receiver:
            receiver.behave(Hang())
            hook = post.hook(receiver.url)
            post.tells()
            command = [sys.executable, "-W", "error", "-m", "tests.support.webhooks", str(tmp_path / "plane.db")]
            with subprocess.Popen(command, cwd=ROOT) as doomed:
                assert eventually(lambda: len(receiver.requests) == 1, seconds=30)
                os.kill(doomed.pid, signal.SIGKILL)
            receiver.behave(Answer(200))
            assert 0 == post.deliverer.deliver_due()
            post.moves(LEASE_SECONDS)
            assert 1 == post.deliverer.deliver_due()
            assert 1 == len({request.headers["x-hr-delivery-id"] for request in receiver.requests})
        assert ("delivered", 1) == (post.the(hook).status, post.the(hook).attempts)


class TestTheThread:
    """One thread looks what is due, in each process that has been woken."""

    def a_deliverer(self, post: Post, chore: Callable[[Deadline], object] | None = None) -> Deliverer:
        return Deliverer(post.database, Targets(resolved, LOOPBACK), chore=chore)

    def test_it_begins_when_woken_and_ends_when_nothing_is_left(self, post: Post, receiver: HttpServer) -> None:
        """Nothing runs before the first wake; then what is due is delivered, a failure retried, and the thread ends."""
        assert eventually(lambda: not threads_named("handlebar-webhooks"))  # that of a test before may just be ending
        deliverer = self.a_deliverer(post)
        assert [] == threads_named("handlebar-webhooks")
        receiver.behave(Answer(500), times=1)
        hook = post.hook(receiver.url)
        post.tells(an_event(), an_event())
        deliverer.wake()
        assert eventually(lambda: statuses(post, hook) == ["delivered", "delivered"])
        assert [1, 2] == sorted(each.attempts for each in post.log(hook))
        assert eventually(lambda: not threads_named("handlebar-webhooks"))
        post.tells()
        deliverer.wake()
        assert eventually(lambda: statuses(post, hook) == ["delivered"] * 3)

    def test_one_that_stays_finds_what_others_leave(self, post: Post, receiver: HttpServer) -> None:
        """A deliverer with a chore does it, and delivers what was written without waking it, until it is closed."""
        done: list[Deadline] = []
        hook = post.hook(receiver.url)
        with closing(self.a_deliverer(post, chore=done.append)) as deliverer:
            deliverer.wake()
            post.tells()
            assert eventually(lambda: statuses(post, hook) == ["delivered"])
        assert eventually(lambda: not threads_named("handlebar-webhooks"))
        assert done

    def test_closing_delivers_what_is_due(self, post: Post, receiver: HttpServer) -> None:
        """What was due when it was closed has been delivered when closing returns."""
        hook = post.hook(receiver.url)
        deliverer = self.a_deliverer(post)
        post.tells(*[an_event()] * 5)
        deliverer.wake()
        deliverer.close()
        assert ["delivered"] * 5 == statuses(post, hook)
        deliverer.close()

    def test_a_slow_receiver_holds_up_only_itself(self, post: Post, receiver: HttpServer) -> None:
        """While one receiver does not answer, others are told all there is."""
        with HttpServer() as slow:
            slow.behave(Hang())
            stuck, quick = post.hook(slow.url), post.hook(receiver.url)
            post.tells(*[an_event()] * 20)
            deliverer = self.a_deliverer(post)
            deliverer.wake()
            assert eventually(lambda: statuses(post, quick) == ["delivered"] * 20)
            assert ["pending"] * 20 == statuses(post, stuck)
            assert 1 == len(slow.requests)
            with post.database.write(Deadline.after(PATIENT)) as connection:
                webhooks.delete(connection, "default", stuck.id)
        deliverer.close()

    def test_a_child_of_a_fork_has_a_thread_of_its_own(self, post: Post, receiver: HttpServer) -> None:
        """After a fork nothing runs in the child until it is woken there, and then it delivers."""
        hook = post.hook(receiver.url)
        deliverer = self.a_deliverer(post, chore=lambda deadline: None)
        deliverer.wake()
        assert eventually(lambda: bool(threads_named("handlebar-webhooks")))
        deliverer.close()

        def child() -> str:
            assert [] == threads_named("handlebar-webhooks")
            post.tells()
            deliverer.wake()
            assert eventually(lambda: statuses(post, hook) == ["delivered"])
            return "well"

        assert "well" == in_child(child)
