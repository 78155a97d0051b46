"""Functions of the user's, called so that they can harm nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from handlebar._plumbing import time_limits
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.time_limits import MOST_HANGING, CallError, call_within, told
from tests.support.forks import in_child
from tests.support.waiting import eventually

_word: ContextVar[str] = ContextVar("word", default="none")


@pytest.fixture(name="gate")
def _gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What hanging functions wait for; the test leaves none behind and counts from zero."""
    monkeypatch.setattr(time_limits, "_hanging", PerProcess(time_limits._Hanging))
    gate = threading.Event()
    yield gate
    gate.set()


def _hang_up_to(number: int, gate: threading.Event) -> None:
    for _ in range(number):
        with pytest.raises(CallError, match="took longer"):
            call_within(gate.wait, 60, timeout_seconds=0.01)


async def _ask(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


class TestResults:
    @pytest.mark.parametrize("limit", [None, 20.0])
    def test_sync(self, limit: float | None) -> None:
        """A function's result is returned, with a limit and without."""
        assert 9 == call_within(pow, 3, 2, timeout_seconds=limit)

    @pytest.mark.parametrize("limit", [None, 20.0])
    def test_async(self, limit: float | None) -> None:
        """A coroutine function's result is returned, with a limit and without."""
        assert 2 == call_within(_ask, 1, timeout_seconds=limit)

    @pytest.mark.parametrize("limit", [None, 20.0])
    def test_inside_a_running_loop(self, limit: float | None) -> None:
        """Both work where a loop is running in the caller's thread."""

        async def caller() -> tuple[int, int]:
            return call_within(int, "3", timeout_seconds=limit), call_within(_ask, 1, timeout_seconds=limit)

        assert (3, 2) == asyncio.run(caller())

    @pytest.mark.parametrize("limit", [None, 20.0])
    def test_exceptions_pass(self, limit: float | None) -> None:
        """What the function raises reaches the caller, TimeoutError too."""

        def fail() -> None:
            raise TimeoutError("the function's own")

        with pytest.raises(TimeoutError, match="the function's own"):
            call_within(fail, timeout_seconds=limit)

    def test_thread(self) -> None:
        """Without a limit it runs in the caller's thread, with one on a daemon thread of ours."""
        here = threading.current_thread()
        there = call_within(threading.current_thread, timeout_seconds=20)

        assert here is call_within(threading.current_thread)
        assert there.name.startswith("handlebar-hook-")
        assert there.daemon

    def test_context(self) -> None:
        """With a limit, too, it sees the caller's context."""
        _word.set("the caller's")

        assert "the caller's" == call_within(_word.get, timeout_seconds=20)


class TestLimit:
    def test_sync_function_that_hangs(self, gate: threading.Event) -> None:
        """The caller goes on after the time limit."""
        began = time.monotonic()
        with pytest.raises(CallError, match=r"took longer than 0\.05 s"):
            call_within(gate.wait, 60, timeout_seconds=0.05)

        assert time.monotonic() - began < 10

    def test_async_function_that_hangs(self, gate: threading.Event) -> None:
        """A coroutine is cancelled, so it does not go on in the background."""
        cancelled = threading.Event()

        async def hang() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()

        with pytest.raises(CallError, match="took longer"):
            call_within(hang, timeout_seconds=0.05)
        assert cancelled.wait(10)

    def test_many_that_hang(self, gate: threading.Event) -> None:
        """When 16 calls hang, the next one is not made, and that is said at once."""
        _hang_up_to(MOST_HANGING, gate)
        called: list[int] = []

        with pytest.raises(CallError, match="16 calls hang"):
            call_within(called.append, 1, timeout_seconds=60)
        assert [] == called

    def test_recovery(self, gate: threading.Event) -> None:
        """When hanging calls end after all, calls are made again."""
        _hang_up_to(MOST_HANGING, gate)
        gate.set()

        def works() -> bool:
            try:
                return bool(call_within(lambda: True, timeout_seconds=20))
            except CallError:
                return False

        assert eventually(works)

    def test_without_limit_not_affected(self, gate: threading.Event) -> None:
        """Functions without a limit are called, however many others hang."""
        _hang_up_to(MOST_HANGING, gate)

        assert 5 == call_within(int, "5")

    def test_many_callers(self, gate: threading.Event) -> None:
        """Forty threads that call slow functions in time are all served: being busy is not hanging."""
        results: list[int] = []

        def slow(number: int) -> int:
            time.sleep(0.05)
            return number

        def call(number: int) -> None:
            results.append(call_within(slow, number, timeout_seconds=30))

        threads = [threading.Thread(target=call, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert list(range(40)) == sorted(results)

    def test_fork(self, gate: threading.Event) -> None:
        """A child of a process in which calls hang starts afresh."""
        _hang_up_to(MOST_HANGING, gate)

        assert "7" == in_child(lambda: str(call_within(int, "7", timeout_seconds=20)))


class TestRecursion:
    @pytest.mark.parametrize("limit", [None, 20.0])
    def test_never_inside_itself(self, limit: float | None) -> None:
        """A function that comes back to us is not called a second time, in any thread of its own."""
        calls: list[str] = []

        def recurse() -> str:
            calls.append("called")
            with pytest.raises(CallError, match="inside itself"):
                call_within(recurse, timeout_seconds=limit)
            return "outer"

        assert "outer" == call_within(recurse, timeout_seconds=limit)
        assert ["called"] == calls

    def test_async_never_inside_itself(self) -> None:
        """The same holds for coroutine functions."""

        async def recurse() -> str:
            try:
                return str(call_within(recurse))
            except CallError as error:
                return str(error)

        assert "not called from inside itself" == call_within(recurse)

    def test_others_may_be_called(self) -> None:
        """Another function may be called from inside one, and the same one again afterwards."""

        def outer() -> int:
            return int(call_within(int, "4")) + 1

        assert [5, 5] == [call_within(outer), call_within(outer)]


class TestTold:
    def test_class_and_place(self) -> None:
        """An exception is told by its class and place, without its words, which may be secret."""

        def fail() -> None:
            raise ValueError("the secret is 1234")

        with pytest.raises(ValueError, match="secret") as caught:
            fail()
        words = told(caught.value)

        assert words.startswith("ValueError in fail (test_time_limits.py, line ")
        assert "1234" not in words

    def test_never_raised(self) -> None:
        """An exception without a traceback is told by its class."""
        assert "KeyError" == told(KeyError("x"))

    def test_own_words(self) -> None:
        """Our own words are told as they are."""
        assert "returned no str" == told(CallError("returned no str"))
