"""
The delivery of what webhooks are to be told: leased in the database, tried six times, then a dead letter.

Any process that uses the database may deliver. A lease keeps two from delivering the same at once, and no webhook is
told two things at once, so a slow one holds up only itself. A process that dies between sending and noting that leaves
a lease that runs out: then it is sent again, under the same id.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import Connection

from handlebar._plumbing import logs
from handlebar._plumbing.clock import Deadline, time_ns
from handlebar._plumbing.daemon_threads import DaemonThreads
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.time_limits import told
from handlebar.control.database import Database
from handlebar.control.handoffs import leasing
from handlebar.control.handoffs.leasing import Job, Outcome
from handlebar.control.handoffs.sealing import SealError, opened
from handlebar.control.handoffs.signing import signed_headers
from handlebar.control.handoffs.targets import TargetError, Targets
from handlebar.errors import UnreachableError

ATTEMPT_SECONDS = 10.0
"""How long the receiver may take."""

POLL_SECONDS = 1.0
"""So often does a process look what others have left to be delivered."""

CHORE_SECONDS = 5.0
MOST_AT_ONCE = 16
_AT_ONCE = 0.01
_LONGEST_ERROR = 200
_SECONDS = 10.0
_CLOSING_SECONDS = 5.0
_SECOND = 1_000_000


def wall_microseconds() -> int:
    """Return the time as the database keeps it."""
    return time_ns() // 1000


class Deliverer:
    """
    Delivers; lives as long as its control plane, thread-safe and fork-safe.

    One daemon thread `handlebar-webhooks`, started by `wake`, looks what is due; the attempts are made on up to 16
    others. It ends when nothing is left that could become due, unless this process is there for what others leave.

    Args:
        chore: Done every few seconds; whoever gives one has a thread that stays, and looks what others leave.

        now: The time, in microseconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        targets: Targets,
        *,
        chore: Callable[[Deadline], object] | None = None,
        now: Callable[[], int] = wall_microseconds,
    ) -> None:
        self._database = database
        self._targets = targets
        self._now = now
        self._chore = chore
        self._process: PerProcess[_Process] = PerProcess(lambda: _Process(self))

    def start(self) -> None:
        """Begin to look what is due, unless that has begun."""
        self._process.get().start()

    def wake(self) -> None:
        """Look at once what is due; call it when something has been written to the outbox."""
        self._process.get().wake()

    def close(self) -> None:
        """Let what is due be delivered, for some seconds at most, and end; `wake` begins anew."""
        process = self._process.peek()
        if process is not None:
            process.close()

    @property
    def stays(self) -> bool:
        """Whether this process is there for what others leave."""
        return self._chore is not None

    def do_chore(self) -> None:
        """Do what is to be done every few seconds."""
        if self._chore is not None:
            self._chore(Deadline.after(_SECONDS))

    def deliver_due(self) -> int:
        """Deliver in this thread what is due; return how many attempts that took."""
        number = 0
        while jobs := self.lease(MOST_AT_ONCE):
            number += len(jobs)
            for job in jobs:
                self.deliver(job)
        return number

    def lease(self, most: int) -> list[Job]:
        """Take on what is due, as `leasing.lease` does."""
        with self._write() as connection:
            return leasing.lease(connection, self._now(), most)

    def next_due(self) -> int | None:
        """Return the microseconds until something is due; None where nothing waits."""
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            now = self._now()
            at = leasing.next_at(connection, now)
        return None if at is None else at - now

    def deliver(self, job: Job) -> None:
        """Make one attempt, and note what came of it."""
        outcome = self._attempt(job)
        with self._write() as connection:
            leasing.note(connection, job, outcome, self._now())

    def _write(self) -> AbstractContextManager[Connection]:
        # What we read and write is nobody else's business: as if it were an agent's, it need not hold up the others.
        return self._database.write(Deadline.after(_SECONDS), agent_id="webhooks")

    def _attempt(self, job: Job) -> Outcome:
        try:
            return self._sent(job)
        except Exception as error:  # it counts as an attempt: what fails for ever, must not be tried for ever
            if is_interrupt(error):
                raise
            return Outcome(None, f"Failed unexpectedly: {told(error)}")

    def _sent(self, job: Job) -> Outcome:
        # Loads requests and urllib3, which many a plane never needs.
        from handlebar._plumbing.pinned_sending import SendingError, post

        body = job.body.encode()
        try:
            headers = signed_headers(opened(job.secret), body, event=job.event_type, delivery_id=job.delivery_id)
            # The check looks the name up, and only what it has found is called.
            target = self._targets.check(job.url)
            status, said = post(target, body, headers, deadline=Deadline.after(ATTEMPT_SECONDS))
        except (SealError, TargetError, SendingError) as error:
            return Outcome(None, str(error))
        if 200 <= status < 300:
            return Outcome(status, None)
        return Outcome(status, f"Answered with the status {status}: {said}"[:_LONGEST_ERROR])


class _Process:
    """The threads of one process."""

    def __init__(self, deliverer: Deliverer) -> None:
        self._deliverer = deliverer
        self._changed = threading.Condition()
        self._threads = DaemonThreads("webhook", most=MOST_AT_ONCE)
        self._running = False
        self._woken = False
        self._closing = False
        self._under_way = 0
        self._chore_at = Deadline.after(0.0)

    def start(self) -> None:
        if not self._running:
            self.wake()

    def wake(self) -> None:
        with self._changed:
            start, self._running = not self._running, True
            self._woken = True
            self._closing = False
            self._changed.notify_all()
        if start:
            self._start()

    def close(self) -> None:
        with self._changed:
            self._closing = self._woken = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._running, _CLOSING_SECONDS)

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, name="handlebar-webhooks", daemon=True).start()
        except RuntimeError:  # too many threads (the next wake tries again), or the interpreter is shutting down
            self._ended()

    def _work(self) -> None:
        try:
            while self._rest(self._look(self._free())):
                pass
        except BaseException:
            self._ended()
            raise

    def _free(self) -> int:
        """Take note that what there is will be looked at; return how much may be begun."""
        with self._changed:
            self._woken = False
            return MOST_AT_ONCE - self._under_way

    def _look(self, free: int) -> float | None:
        """Begin what is due, and return the seconds until something will be; None where nothing waits."""
        try:
            if self._chore_at.passed:
                self._chore_at = Deadline.after(CHORE_SECONDS)
                self._deliverer.do_chore()
            # Who only looks holds up nobody who writes.
            due = self._deliverer.next_due()
            if due is None or due > 0:
                return None if due is None else due / _SECOND
            for job in self._deliverer.lease(free) if free else ():
                self._begin(job)
        except UnreachableError as error:
            logs.warn_once_a_minute("webhooks", "What webhooks are to be told could not be looked up: %s", error.reason)
            # Who does not stay, looks again when woken again.
            return POLL_SECONDS if self._deliverer.stays else None
        return _AT_ONCE if free else POLL_SECONDS

    def _begin(self, job: Job) -> None:
        with self._changed:
            self._under_way += 1
        if self._threads.submit(self._deliver, job) is None:
            # Its lease runs out, and somebody takes it on again.
            self._end()

    def _deliver(self, job: Job) -> None:
        try:
            self._deliverer.deliver(job)
        except UnreachableError as error:
            logs.warn_once_a_minute("webhooks", "What came of a delivery could not be noted: %s", error.reason)
        finally:
            self._end()

    def _end(self) -> None:
        with self._changed:
            self._under_way -= 1
            self._woken = True
            self._changed.notify_all()

    def _rest(self, due: float | None) -> bool:
        """Wait until there may be something to do; return whether to go on."""
        with self._changed:
            if not (self._closing and self._may_end(due)):
                self._changed.wait_for(lambda: self._woken, POLL_SECONDS if due is None else min(due, POLL_SECONDS))
            if self._woken or not self._may_end(due):
                return True
            self._ended()
            return False

    def _may_end(self, due: float | None) -> bool:
        nothing_left = due is None and not self._deliverer.stays
        nothing_now = self._closing and (due is None or due > _AT_ONCE)
        return not self._under_way and (nothing_left or nothing_now)

    def _ended(self) -> None:
        with self._changed:
            self._running = False
            self._changed.notify_all()
