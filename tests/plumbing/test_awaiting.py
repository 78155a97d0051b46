"""Between blocking code and await."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from collections.abc import Generator
from contextvars import ContextVar
from typing import Any

import pytest

from handlebar._plumbing import awaiting
from handlebar._plumbing.awaiting import awaitable, finish, settle, to_thread
from handlebar._plumbing.daemon_threads import DaemonThreads

_word: ContextVar[str] = ContextVar("word", default="none")


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


class _Later:
    """Awaitable, but no coroutine."""

    def __await__(self) -> Generator[Any, None, str]:
        yield from asyncio.sleep(0).__await__()
        return "later"


class _Lazy:
    """Complains when it is asked for its class, as lazy objects query a database then."""

    @property
    def __class__(self) -> Any:
        raise AssertionError("woken")


class TestSettle:
    @pytest.mark.parametrize("value", [None, 3, "text", [1], {"a": 1}])
    def test_plain_values_pass(self, value: object) -> None:
        """What cannot be awaited is returned as it is."""
        assert value is settle(value)

    def test_lazy_objects_are_not_woken(self) -> None:
        """A value is not asked for its class, which a lazy object would answer with a query."""
        lazy = _Lazy()

        assert settle(lazy) is lazy

    def test_coroutine(self) -> None:
        """A coroutine is run to its result where no loop is running."""
        assert 42 == settle(_double(21))

    def test_awaitable_that_is_no_coroutine(self) -> None:
        """Any object with `__await__` is run to its result."""
        assert "later" == settle(_Later())

    def test_inside_a_running_loop(self) -> None:
        """It works, and blocks, where a loop is running in this thread."""

        async def caller() -> int:
            return settle(_double(4)) + settle(_double(5))

        assert 18 == asyncio.run(caller())

    def test_context(self) -> None:
        """What is awaited sees the caller's context variables."""

        async def look() -> str:
            return _word.get()

        _word.set("bound")
        assert "bound" == settle(look())

    def test_exception(self) -> None:
        """What it raises goes on to the caller."""

        async def fail() -> None:
            raise LookupError("gone")

        with pytest.raises(LookupError, match="gone"):
            settle(fail())

    def test_cancellation_is_an_ordinary_error(self) -> None:
        """A coroutine that is cancelled from inside does not end the caller with a BaseException."""

        async def cancel() -> None:
            raise asyncio.CancelledError

        with pytest.raises(RuntimeError, match="cancelled"):
            settle(cancel())

    def test_callers_loop_is_left_alone(self) -> None:
        """The loop that was set in the caller's thread is still set afterwards."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            settle(_double(1))
            assert 2 == loop.run_until_complete(_double(1))
            assert loop is asyncio.get_event_loop_policy().get_event_loop()
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def test_no_thread_to_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no thread can be started, that is said, and the coroutine is closed without a warning."""
        monkeypatch.setattr(awaiting, "HOOK_THREADS", DaemonThreads("t-none", most=0))
        coroutine = _double(1)

        with pytest.raises(RuntimeError, match="No thread"):
            settle(coroutine)
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


class TestFinish:
    def test_in_time(self) -> None:
        """What is done in time gives its result."""
        assert 6 == finish(_double(3), 10)

    def test_too_late(self) -> None:
        """What takes too long is cancelled, and the caller gets the builtin TimeoutError."""
        cancelled = []

        async def dawdle() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.append(True)

        with pytest.raises(TimeoutError):
            finish(dawdle(), 0.02)
        assert [True] == cancelled


class Base:
    """Has a blocking method and its twin."""

    def greet_sync(self, name: str, greeting: str = "Hello", *, loud: bool = False) -> str:
        """Greet *name*."""
        text = f"{greeting}, {name}"
        return text.upper() if loud else text

    greet = awaitable(greet_sync)

    def where_sync(self) -> tuple[str, int]:
        """Tell the context and the thread."""
        return _word.get(), threading.get_ident()

    where = awaitable(where_sync)


class Louder(Base):
    """Overrides the blocking method only."""

    def greet_sync(self, name: str, greeting: str = "Hello", *, loud: bool = True) -> str:
        """Greet *name* loudly."""
        return super().greet_sync(name, greeting, loud=loud)


class TestAwaitable:
    def test_same_result(self) -> None:
        """The twin returns what the method returns, for positional and keyword arguments."""
        assert "Hi, Ada" == asyncio.run(Base().greet("Ada", greeting="Hi"))
        assert Base().greet_sync("Ada", loud=True) == asyncio.run(Base().greet("Ada", loud=True))

    def test_same_exception(self) -> None:
        """What the method raises goes through the twin."""
        with pytest.raises(TypeError, match="unexpected keyword"):
            asyncio.run(Base().greet("Ada", volume=3))  # type: ignore[call-arg]  # that is the point

    def test_same_signature(self) -> None:
        """Signature and docstring are the method's, bound and unbound."""
        assert inspect.signature(Base.greet_sync) == inspect.signature(Base.greet)
        assert inspect.signature(Base().greet_sync) == inspect.signature(Base().greet)
        assert Base.greet_sync.__doc__ == Base.greet.__doc__

    def test_own_name(self) -> None:
        """The twin bears its own name."""
        assert ("greet", "Base.greet") == (Base.greet.__name__, Base.greet.__qualname__)

    def test_is_a_coroutine_function(self) -> None:
        """Frameworks that ask see a coroutine function."""
        assert inspect.iscoroutinefunction(Base.greet)
        assert inspect.iscoroutinefunction(Base().greet)

    def test_overriding_the_method_overrides_the_twin(self) -> None:
        """The method is looked up on the instance, so a subclass overrides both at once."""
        assert "HELLO, ADA" == asyncio.run(Louder().greet("Ada"))

    def test_another_thread_same_context(self) -> None:
        """The method runs in another thread with the awaiting task's context."""

        async def caller() -> tuple[str, int]:
            _word.set("task's")
            return await Base().where()

        word, thread = asyncio.run(caller())
        assert "task's" == word
        assert threading.get_ident() != thread

    def test_loop_stays_free(self) -> None:
        """While the method blocks, other tasks of the loop go on."""
        go = threading.Event()

        class Slow:
            def wait_sync(self) -> bool:
                """Wait until the loop has done something."""
                return go.wait(20)

            wait = awaitable(wait_sync)

        async def caller() -> bool:
            waiting = asyncio.create_task(Slow().wait())
            await asyncio.sleep(0.01)
            go.set()
            return await waiting

        assert asyncio.run(caller())


class TestToThread:
    def test_result(self) -> None:
        """It returns what the function returns."""
        assert 8 == asyncio.run(to_thread(pow, 2, exp=3))


class TestImport:
    def test_asyncio_is_not_imported(self) -> None:
        """Nothing here imports asyncio before something is awaited."""
        code = (
            "import sys, handlebar._plumbing.awaiting as a, handlebar._plumbing.time_limits as t;"
            "a.settle(1); t.call_within(int, timeout_seconds=5); print('asyncio' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

        assert ("False\n", "") == (done.stdout, done.stderr)
