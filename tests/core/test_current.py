"""The current run, in threads, tasks and nested blocks."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from handlebar.core import Run, RunConfig, bind, get_current_run, with_run
from handlebar.core.client import HandlebarClient
from handlebar.errors import ConfigError
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane


@pytest.fixture(name="client")
def _client(monkeypatch: pytest.MonkeyPatch) -> Iterator[HandlebarClient]:
    client = client_on(ScriptedPlane(), monkeypatch)
    yield client
    client.shutdown_sync()


def test_a_block_makes_its_run_current_and_nesting_restores_the_outer(client: HandlebarClient) -> None:
    """Inside is the inner run, after it the outer one, after that none."""
    assert get_current_run() is None
    with client.run() as outer:
        with client.run() as inner:
            assert inner is get_current_run()
        assert outer is get_current_run()
    assert get_current_run() is None


def test_leaving_out_of_order_takes_away_only_ones_own(client: HandlebarClient) -> None:
    """Blocks that overlap, as in generators, do not take each other's run."""
    first, second = client.run("1"), client.run("2")
    first.__enter__()
    inner = second.__enter__()
    first.__exit__(None, None, None)
    assert inner is get_current_run()
    second.__exit__(None, None, None)
    assert get_current_run() is None


def test_a_new_thread_starts_with_none(client: HandlebarClient) -> None:
    """A thread sees no run that it was not given."""
    seen: list[Run | None] = []
    with client.run():
        thread = threading.Thread(target=lambda: seen.append(get_current_run()))
        thread.start()
        thread.join()
    assert [None] == seen


def test_bind_carries_the_run_into_a_thread_and_leaves_nothing_there(client: HandlebarClient) -> None:
    """A pool thread has the run while it works on the bound function, and none afterwards."""
    with ThreadPoolExecutor(1) as pool, client.run() as run:
        assert run is pool.submit(bind(get_current_run)).result()
        assert pool.submit(get_current_run).result() is None


def test_bind_works_on_coroutine_functions(client: HandlebarClient) -> None:
    """The coroutine has the run although it is awaited where none is current."""

    async def look() -> Run | None:
        await asyncio.sleep(0)
        return get_current_run()

    with client.run() as run:
        bound = bind(look)
    assert run is asyncio.run(bound())


def test_bind_without_a_run_changes_nothing(client: HandlebarClient) -> None:
    """What is current at the call stays current."""
    bound = bind(get_current_run)
    with client.run() as run:
        assert run is bound()


def test_bind_refuses_generators() -> None:
    """Their body would run outside the binding."""

    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(ConfigError, match="generator"):
        bind(numbers)


def test_a_copied_context_carries_the_run(client: HandlebarClient) -> None:
    """Agent frameworks hand their thread pools a copied context."""
    with ThreadPoolExecutor(1) as pool, client.run() as run:
        assert run is pool.submit(contextvars.copy_context().run, get_current_run).result()


def test_with_run_binds_and_returns_the_result(client: HandlebarClient) -> None:
    """The function's result comes back, and the run is not ended."""
    run = client.start_run_sync(RunConfig("r"))
    assert run is with_run(run, get_current_run)
    assert get_current_run() is None
    assert not run.is_ended


def test_with_run_is_awaited_for_coroutine_functions(client: HandlebarClient) -> None:
    """Also for functions that return an awaitable."""
    run = client.start_run_sync(RunConfig("r"))

    async def look() -> Run | None:
        await asyncio.sleep(0)
        return get_current_run()

    async def main() -> tuple[Run | None, Run | None]:
        return await with_run(run, look), await with_run(run, lambda: look())

    assert (run, run) == asyncio.run(main())


def test_no_task_sees_anothers_run(client: HandlebarClient) -> None:
    """64 tasks on one loop each keep their own run over their awaits."""

    async def work(number: int) -> bool:
        async with client.run(f"run-{number}") as run:
            for _ in range(5):
                await asyncio.sleep(0)
                if get_current_run() is not run or run.run_id != f"run-{number}":
                    return False
            return True

    async def main() -> list[bool]:
        return await asyncio.gather(*(work(number) for number in range(64)))

    assert asyncio.run(main()) == [True] * 64


def test_no_thread_sees_anothers_run(client: HandlebarClient) -> None:
    """64 blocks over 8 threads each keep their own run."""

    def work(number: int) -> bool:
        with client.run(f"run-{number}") as run:
            return get_current_run() is run

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(64))) == [True] * 64
