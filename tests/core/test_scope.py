"""A run as a `with` block: how it ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Iterator

import pytest

from handlebar.core import get_current_run
from handlebar.core.client import HandlebarClient
from handlebar.errors import RunTerminatedError, ToolBlockedError
from tests.support.clients import client_on
from tests.support.planes import BLOCK, STOP, ScriptedPlane


@pytest.fixture(name="client")
def _client(monkeypatch: pytest.MonkeyPatch) -> Iterator[HandlebarClient]:
    client = client_on(ScriptedPlane(), monkeypatch)
    yield client
    client.shutdown_sync()


ENDS = [
    (None, "success"),
    (RunTerminatedError(STOP), "interrupted"),
    (KeyboardInterrupt(), "interrupted"),
    (SystemExit(3), "interrupted"),
    (GeneratorExit(), "interrupted"),
    (asyncio.CancelledError(), "interrupted"),
    (TimeoutError(), "timeout"),
    (asyncio.TimeoutError(), "timeout"),
    (concurrent.futures.TimeoutError(), "timeout"),
    (ToolBlockedError(BLOCK), "error"),
    (ValueError("x"), "error"),
]


@pytest.mark.parametrize(("error", "status"), ENDS, ids=range(len(ENDS)))
def test_the_exception_decides_the_status(client: HandlebarClient, error: BaseException | None, status: str) -> None:
    """Each way out has its status, and the very exception goes on to the caller."""
    caught = None
    try:
        with client.run() as run:
            if error is not None:
                raise error
    except BaseException as raised:
        caught = raised
    assert error is caught
    assert status == run.status
    assert get_current_run() is None


@pytest.mark.parametrize(("error", "status"), ENDS[:3] + ENDS[6:7] + ENDS[-1:])
def test_async_blocks_end_the_same_way(client: HandlebarClient, error: BaseException | None, status: str) -> None:
    """`async with` binds in the coroutine itself and ends like `with`."""

    async def main() -> tuple[str, BaseException | None]:
        caught = None
        try:
            async with client.run() as run:
                assert run is get_current_run()
                if error is not None:
                    raise error
        except BaseException as raised:
            caught = raised
        assert get_current_run() is None
        return run.status, caught

    assert (status, error) == asyncio.run(main())


def test_nothing_is_started_before_the_block_is_entered(client: HandlebarClient) -> None:
    """`client.run()` alone asks nobody; a block never entered cannot be left."""
    scope = client.run()
    assert 0 == len(client._active.get())
    with pytest.raises(RuntimeError, match="entered"):
        scope.__exit__(None, None, None)
