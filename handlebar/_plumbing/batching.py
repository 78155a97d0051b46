"""A bounded queue and one thread that empties it: putting costs microseconds and never waits."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from handlebar._plumbing import exiting, logs
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.counting import Tally
from handlebar._plumbing.time_limits import told

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

_LONGEST_HOLD = 0.1
_CLOSING_NAP = 0.01
_AT_THE_DOOR = frozenset({"interrupted", "overflow"})  # no courier has seen what is dropped so

Ticket = queue.SimpleQueue[None]
"""Where somebody waits who wants to know when all that was queued before is gone."""


class Pace(Protocol):
    """How much time whoever delivers may take."""

    def pause(self, seconds: float) -> bool:
        """Wait; False if there is no time left to go on."""
        ...

    def at_most(self, seconds: float) -> float:
        """Return *seconds*, or less where less time is left."""
        ...


class Courier(Protocol[T_contra]):
    """Delivers what was queued; one thread at a time calls it."""

    @property
    def room(self) -> int:
        """How many items it takes at once."""
        ...

    @property
    def refusal(self) -> str | None:
        """Why nothing can be delivered at present, in one word; None as a rule."""
        ...

    def deliver(self, items: Sequence[T_contra], pace: Pace) -> None:
        """Deliver *items*, and count each of them as sent or dropped."""
        ...


class Batcher(Generic[T]):
    """
    Queues items for one daemon thread, which is started by the first of them; belongs to one process.

    Thread-safe. `put` may be called from signal handlers and `__del__` methods, wherever they interrupt. It waits for
    no lock: threads that wait for each other's would take a thousand times as long as what they wait for. One thread
    at a time has the door, and lets all in that has arrived; whoever finds it taken leaves his item before it, where
    the next one to come finds it, the daemon at the latest.

    Args:
        courier: Takes what was queued.

        tally: Counts what comes in and is lost here; the *courier* counts the rest.

        name: The thread's name.

        depth: So many items wait at most; the oldest make room.

        interval: Seconds after which the thread looks by itself; it is woken when a tenth of the queue is filled.

        closing: Seconds that closing may take; what is open when the interpreter exits is closed then.
    """

    def __init__(
        self, courier: Courier[T], tally: Tally, *, name: str, depth: int, interval: float, closing: float
    ) -> None:
        self._courier = courier
        self._tally = tally
        self._name = name
        self._interval = interval
        self._depth = depth
        self._enough = max(1, depth // 10)
        # A parcel is a list, so that it can be emptied when nobody knows any more whether it is in the queue.
        self._queue: queue.Queue[list[T]] = queue.Queue(depth)
        # For at least so many there is room in it.
        self._room = 0
        self._arrived: deque[list[T]] = deque()
        # Held by whoever puts into the queue or takes out of it: the queue's own lock is free then.
        self._door = threading.Lock()
        # For what it is held; None in the moments in which it is taken and given back.
        self._purpose: list[T] | list[list[T]] | None = None
        # Rung by None (there is work) or by a ticket; unlike an Event it can be rung from a signal handler.
        self._bell: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._tickets: list[Ticket] = []
        # Held for as long as the thread works.
        self._working = threading.Lock()
        self._worker: int | None = None
        self._closing = closing
        self._limit: Deadline | None = None
        exiting.close_at_exit(self)

    def put(self, item: T) -> None:
        """Queue *item*; never waits, raises nothing of its own."""
        parcel = [item]
        try:
            number = self._tally.came_in.step()
            self._arrived.append(parcel)
            self._let_in(parcel)
        except BaseException:
            self._interrupted(parcel)
            raise
        if number % self._enough == self._enough - 1:
            self._bell.put(None)
        # Mostly the thread works: to ask is quicker than to try.
        if not self._working.locked() and self._working.acquire(blocking=False):
            self._start()

    def drain(self, timeout: float) -> bool:
        """Wait until what was queued before is gone, at most *timeout* seconds; tell whether it is."""
        if not self._tally.waiting:
            return True
        if threading.get_ident() == self._worker:
            return False
        # First the ticket: either the thread finds it, or it has given *_working* back before we ask for that.
        # Not `Ticket()`: with a preloaded app, gevent replaces the class after this module was imported.
        ticket: Ticket = queue.SimpleQueue()
        self._bell.put(ticket)
        if self._working.acquire(blocking=False) and not self._start():
            return self._work_here(timeout)
        with suppress(queue.Empty):
            ticket.get(timeout=timeout)
            return True
        return False

    def close_soon(self) -> None:
        """Let the thread deliver what is queued while there is time, drop the rest, and end; do not wait."""
        if self._limit is None:
            self._limit = Deadline.after(self._closing)
            self._bell.put(None)

    def close(self) -> None:
        """Close, and wait until that is done; may be called twice."""
        self.close_soon()
        # What is still queued at the limit is dropped by the thread, which takes a moment.
        self.drain(self.at_most(self._closing) + _LONGEST_HOLD)
        # Whatever comes now is dropped at once, and counted.
        self._limit = Deadline.after(0)

    def pause(self, seconds: float) -> bool:
        """Wait, as `Pace` promises."""
        until = Deadline.after(seconds)
        while not until.passed and not self._out_of_time:
            self._listen(self.at_most(until.remaining()))
        return not self._out_of_time

    def at_most(self, seconds: float) -> float:
        """Return *seconds* or what is left, as `Pace` promises."""
        limit = self._limit
        return seconds if limit is None else min(seconds, limit.remaining())

    @property
    def _here(self) -> int:
        """How many wait, some of them perhaps twice."""
        return self._queue.qsize() + len(self._arrived)

    @property
    def _out_of_time(self) -> bool:
        return self._limit is not None and self._limit.passed

    def _let_in(self, parcel: list[T]) -> None:
        """Let in what has arrived, *parcel* too, unless somebody has the door, who does so for everybody."""
        if not self._door.acquire(blocking=False):
            self._keep_to_depth()
            return
        try:
            self._purpose = parcel
            self._move()
        except BaseException:
            self._free_the_queue()
            raise
        finally:
            self._purpose = None
            self._door.release()

    def _keep_to_depth(self) -> None:
        """Drop the oldest of too many before the door: whoever has it is held up for long."""
        if len(self._arrived) > self._depth:
            with suppress(IndexError):  # they have been let in meanwhile
                self._discard(self._arrived[-self._depth - 1], "overflow")

    def _move(self) -> None:
        """Move what has arrived into the queue, where the oldest make room; until it is there it stays in sight."""
        while self._arrived:
            if parcel := self._arrived[0]:
                if not self._room:
                    self._make_room()
                self._room -= 1
                self._queue.put(parcel, block=False)
            self._arrived.popleft()

    def _make_room(self) -> None:
        # Asked seldom: to ask each time, or to be told by an exception, takes as long as all the rest.
        self._room = self._depth - self._queue.qsize()
        if not self._room:
            self._discard(self._queue.get_nowait(), "overflow")
            self._room = 1

    def _discard(self, parcel: list[T], reason: str) -> None:
        """Drop what is in *parcel*; whoever has taken it out before has counted it."""
        try:
            parcel.pop()
        except IndexError:
            return
        self._tally.drop(reason)

    def _interrupted(self, parcel: list[T]) -> None:
        """Clean up after a signal handler that raised while we were at the door or in the queue's code."""
        self._discard(parcel, "interrupted")
        # Nobody else stops for so long between taking the door and saying for what.
        if self._purpose is parcel or self._door.acquire(timeout=_LONGEST_HOLD) or self._purpose is None:
            self._purpose = None
            self._door.release()

    def _free_the_queue(self) -> None:
        """Give back the queue's own lock, which an exception before its block leaves held for ever."""
        # Who only asks how many there are gives it back in this time; gevent's queue has no such lock.
        mutex = getattr(self._queue, "mutex", None)
        if mutex is not None:
            mutex.acquire(timeout=_LONGEST_HOLD)
            mutex.release()

    def _start(self) -> bool:
        """Start the thread, which gives *_working* back when it ends."""
        try:
            if not exiting.is_over():
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
                return True
        except RuntimeError:  # too many threads, or the interpreter is shutting down: `drain` helps itself
            pass
        except BaseException:
            self._working.release()
            raise
        self._working.release()
        return False

    def _work(self) -> None:
        self._worker = threading.get_ident()
        try:
            while self._limit is None or self._here:
                self._listen(self._nap())
                self._deliver_waiting()
        finally:
            self._leave()

    def _leave(self) -> None:
        self._listen(0.0)
        tickets, self._tickets, self._worker = self._tickets, [], None
        self._answer(tickets)
        with suppress(RuntimeError):  # an interrupted `_start` has given it back already
            self._working.release()
        # Somebody may have rung, or put an item, just before, and have seen us work.
        late = not self._bell.empty() or (self._limit is not None and self._here > 0)
        if late and self._working.acquire(blocking=False):
            self._start()

    def _work_here(self, timeout: float) -> bool:
        """Do the thread's work in the caller's, where none can be started."""
        if not self._working.acquire(blocking=False):
            return False
        before, self._limit = self._limit, Deadline.after(timeout)
        try:
            self._deliver_waiting()
        finally:
            self._limit = before
            self._working.release()
        return not self._tally.waiting

    def _nap(self) -> float:
        """How long the thread sleeps when nobody rings."""
        if self._tickets:
            return 0.0
        if self._limit is not None:
            return _CLOSING_NAP
        busy = self._tally.waiting >= self._enough and self._courier.refusal is None
        return 0.0 if busy else self._interval

    def _listen(self, seconds: float) -> None:
        """Wait for the bell, then note down everybody who has rung."""
        with suppress(queue.Empty):
            self._note(self._bell.get(timeout=seconds))
            while True:
                self._note(self._bell.get_nowait())

    def _note(self, ticket: Ticket | None) -> None:
        if ticket is not None:
            self._tickets.append(ticket)

    def _deliver_waiting(self) -> None:
        """Deliver what is here now, then answer those who had come before."""
        tickets, self._tickets = self._tickets, []
        try:
            left = self._here
            while left > 0 and (parcels := self._take(left)):
                left -= len(parcels)
                self._deliver(list(_opened(parcels)))
        finally:
            self._answer(tickets)

    def _answer(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            ticket.put(None)

    def _take(self, most: int) -> list[list[T]]:
        """Take parcels out, at most as many as the courier takes; none while it takes none."""
        if self._courier.refusal is not None and self._limit is None:
            return []
        parcels: list[list[T]] = []
        with self._door:
            self._purpose = parcels
            try:
                self._move()
                for _ in range(min(most, self._courier.room, self._queue.qsize())):
                    parcels.append(self._queue.get_nowait())
            finally:
                self._purpose = None
        return parcels

    def _deliver(self, items: list[T]) -> None:
        reason = "undelivered" if self._out_of_time else self._courier.refusal
        if reason is not None:
            self._tally.drop(reason, len(items))
            return
        before = self._settled
        try:
            self._courier.deliver(items, self)
        except Exception as error:  # the thread must outlive a fault of ours
            logs.warn_once_a_minute(f"{self._name}:bug", "Delivering failed: %s", told(error))
        finally:
            # What a failed courier has not counted would be waited for until the end of time.
            if (lost := len(items) - (self._settled - before)) > 0:
                self._tally.drop("bug", lost)

    @property
    def _settled(self) -> int:
        """How many the courier has counted; one thread at a time calls it, others lose at the door only."""
        return self._tally.sent + sum(n for reason, n in self._tally.dropped.items() if reason not in _AT_THE_DOOR)


def _opened(parcels: Iterable[list[T]]) -> Iterator[T]:
    """Take the items out; a parcel may have been emptied by whoever was interrupted when putting it."""
    for parcel in parcels:
        with suppress(IndexError):
            yield parcel.pop()
