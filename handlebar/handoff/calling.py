"""Calls of the hand-off API, made until they are through or it is clear that they will not be."""

from __future__ import annotations

import threading

from attrs import evolve

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.identifiers import uuid7
from handlebar.errors import UnreachableError
from handlebar.handoff.answers import error_of, unanswered
from handlebar.handoff.exceptions import ConnectionError  # noqa: A004  # the name is the published client's
from handlebar.handoff.exchange import RECOGNISES_KEYS, Answer, Call, Exchange
from handlebar.handoff.persistence import Persistence, may_have_arrived

_GONE = (404, 409, 410)


class Caller:
    """
    Makes calls over one exchange; lives as long as its client, thread-safe and fork-safe.

    Attributes:
        exchange: Who answers.

        used: Whether anything was ever asked.
    """

    def __init__(self, exchange: Exchange, persistence: Persistence) -> None:
        self.exchange = exchange
        self.used = False
        self._persistence = persistence
        self._recognises_keys = False
        self._closed: PerProcess[threading.Event] = PerProcess(threading.Event)

    @property
    def closed(self) -> bool:
        """Whether it was closed in this process."""
        return self._closed.get().is_set()

    def make(self, call: Call) -> Answer:
        """
        Make *call*, again where that is safe and may help, and return the 2xx that came of it.

        Raises:
            HandoffRailError: Nothing of the kind came.
        """
        self.check_open()
        if call.method == "POST":
            call = evolve(call, headers={**call.headers, "idempotency-key": uuid7()})
        deadline = Deadline.after(self._persistence.budget)
        attempt, doubtful = 0, False
        while True:
            outcome = self._attempt(call, deadline)
            repeatable = call.method != "POST" or self._recognises_keys
            wait = self._persistence.wait_after(outcome, attempt, repeatable=repeatable)
            if wait is None or wait >= deadline.remaining() or not self.pause(wait):
                return _final(call, outcome, doubtful=doubtful)
            doubtful = doubtful or may_have_arrived(outcome)
            attempt += 1

    def pause(self, seconds: float) -> bool:
        """Wait; tell whether the client is still open then."""
        # Not time.sleep: an Event can be waited for under gevent too, and closing ends it.
        return not self._closed.get().wait(seconds)

    def check_open(self) -> None:
        """
        Note that the exchange is used.

        Raises:
            ConnectionError: The client was closed.
        """
        if self.closed:
            raise ConnectionError("This client is closed; make a new one")
        self.used = True

    def close(self) -> None:
        """End what waits, and let go of connections; may be called twice."""
        self._closed.get().set()
        self.exchange.close()

    def _attempt(self, call: Call, deadline: Deadline) -> Answer | UnreachableError:
        limit = Deadline(min(deadline.at, Deadline.after(self._persistence.timeout).at))
        try:
            answer = self.exchange.send(call, deadline=limit)
        except UnreachableError as error:
            return error
        if answer.status < 500:  # what stands between may answer the rest
            self._recognises_keys = RECOGNISES_KEYS in answer.headers
        return answer


def _final(call: Call, outcome: Answer | UnreachableError, *, doubtful: bool) -> Answer:
    """
    Return the answer that *call* is left with, where it is a good one.

    Args:
        call: The call.

        outcome: What came of its last attempt.

        doubtful: Whether an earlier one may have come through.
    """
    if isinstance(outcome, UnreachableError):
        raise unanswered(outcome) from outcome
    # What is gone may be gone because of that one.
    deleted = doubtful and call.method == "DELETE" and outcome.status in _GONE
    if 200 <= outcome.status < 300 or deleted:
        return outcome
    raise error_of(call, outcome)
