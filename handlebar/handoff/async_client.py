"""The client of the hand-off API for asyncio: the blocking client's methods, made awaitable."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from handlebar._plumbing.awaiting import to_thread
from handlebar._plumbing.daemon_threads import DaemonThreads
from handlebar.handoff.client import HandoffRailClient
from handlebar.handoff.exceptions import HandoffRailError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_NO_MORE: Any = object()

# Whoever waits for an event may wait long, and must not take a thread from the loop's few.
_WAITING = DaemonThreads("handoff-events")


class AsyncIteration(AsyncIterator[T], Generic[T]):
    """Gives what a blocking iterator gives, each in its turn; lives until that ends or it is closed."""

    def __init__(self, blocking: Iterator[T]) -> None:
        self._blocking = blocking

    async def __aenter__(self) -> AsyncIteration[T]:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def __anext__(self) -> T:
        """Wait for the next; being cancelled meanwhile closes the iterator."""
        import asyncio

        future = _WAITING.submit(next, self._blocking, _NO_MORE)
        if future is None:
            raise HandoffRailError("No thread could be started to wait in")
        try:
            found: T = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self._close()
            raise
        if found is _NO_MORE:
            raise StopAsyncIteration
        return found

    async def aclose(self) -> None:
        """Close the iterator; may be called twice."""
        await to_thread(self._close)

    def _close(self) -> None:
        try:
            getattr(self._blocking, "close", bool)()
        except ValueError:
            pass  # a generator that a thread still works in


def _awaitable(
    blocking: Callable[Concatenate[HandoffRailClient, P], R],
) -> Callable[Concatenate[AsyncHandoffRailClient, P], Coroutine[Any, Any, R]]:
    name = blocking.__name__

    @functools.wraps(blocking)
    async def twin(self: AsyncHandoffRailClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        method: Callable[P, R] = getattr(self.blocking, name)
        return await to_thread(method, *args, **kwargs)

    twin.__qualname__ = f"AsyncHandoffRailClient.{name}"
    twin.__module__ = __name__
    return twin


def _iterable(
    blocking: Callable[Concatenate[HandoffRailClient, P], Iterator[T]],
) -> Callable[Concatenate[AsyncHandoffRailClient, P], AsyncIteration[T]]:
    name = blocking.__name__

    @functools.wraps(blocking)
    def twin(self: AsyncHandoffRailClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIteration[T]:
        method: Callable[P, Iterator[T]] = getattr(self.blocking, name)
        return AsyncIteration(method(*args, **kwargs))

    twin.__qualname__ = f"AsyncHandoffRailClient.{name}"
    twin.__module__ = __name__
    return twin


class AsyncHandoffRailClient:
    """
    `HandoffRailClient` for asyncio: the same arguments and methods, which are awaited, or iterated by `async for`.

    Lives until `close` is awaited, or as long as an `async with` block. Each call runs in a worker thread.

    Attributes:
        blocking: The client that does the work.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        timeout: float = 30.0,
        max_retries: int = 3,
        retry_delay: float = 0.5,
        *,
        total_timeout: float | None = None,
        session: Any = None,
    ) -> None:
        self.blocking = HandoffRailClient(
            base_url, api_key, timeout, max_retries, retry_delay, total_timeout=total_timeout, session=session
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    async def __aenter__(self) -> AsyncHandoffRailClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    @property
    def base_url(self) -> str:
        """Where the client goes."""
        return self.blocking.base_url

    close = _awaitable(HandoffRailClient.close)
    create_packet = _awaitable(HandoffRailClient.create_packet)
    get_packet = _awaitable(HandoffRailClient.get_packet)
    list_packets = _awaitable(HandoffRailClient.list_packets)
    iter_packets = _iterable(HandoffRailClient.iter_packets)
    search_packets = _awaitable(HandoffRailClient.search_packets)
    get_awaiting = _awaitable(HandoffRailClient.get_awaiting)
    get_history = _awaitable(HandoffRailClient.get_history)
    claim_packet = _awaitable(HandoffRailClient.claim_packet)
    update_packet = _awaitable(HandoffRailClient.update_packet)
    complete_packet = _awaitable(HandoffRailClient.complete_packet)
    delete_packet = _awaitable(HandoffRailClient.delete_packet)
    respond_to_hitl = _awaitable(HandoffRailClient.respond_to_hitl)
    chain_handoff = _awaitable(HandoffRailClient.chain_handoff)
    batch_create_packets = _awaitable(HandoffRailClient.batch_create_packets)
    batch_claim_packets = _awaitable(HandoffRailClient.batch_claim_packets)
    batch_complete_packets = _awaitable(HandoffRailClient.batch_complete_packets)
    register_webhook = _awaitable(HandoffRailClient.register_webhook)
    list_webhooks = _awaitable(HandoffRailClient.list_webhooks)
    delete_webhook = _awaitable(HandoffRailClient.delete_webhook)
    list_webhook_deliveries = _awaitable(HandoffRailClient.list_webhook_deliveries)
    list_dead_letters = _awaitable(HandoffRailClient.list_dead_letters)
    replay_dead_letter = _awaitable(HandoffRailClient.replay_dead_letter)
    retry_dead_letters = _awaitable(HandoffRailClient.retry_dead_letters)
    list_audit_log = _awaitable(HandoffRailClient.list_audit_log)
    create_schema = _awaitable(HandoffRailClient.create_schema)
    list_schemas = _awaitable(HandoffRailClient.list_schemas)
    get_schema = _awaitable(HandoffRailClient.get_schema)
    create_api_key = _awaitable(HandoffRailClient.create_api_key)
    list_api_keys = _awaitable(HandoffRailClient.list_api_keys)
    rotate_api_key = _awaitable(HandoffRailClient.rotate_api_key)
    revoke_api_key = _awaitable(HandoffRailClient.revoke_api_key)
    create_tenant = _awaitable(HandoffRailClient.create_tenant)
    list_tenants = _awaitable(HandoffRailClient.list_tenants)
    get_tenant = _awaitable(HandoffRailClient.get_tenant)
    update_tenant = _awaitable(HandoffRailClient.update_tenant)
    delete_tenant = _awaitable(HandoffRailClient.delete_tenant)
    list_tenant_keys = _awaitable(HandoffRailClient.list_tenant_keys)
    get_stats = _awaitable(HandoffRailClient.get_stats)
    stream_events = _iterable(HandoffRailClient.stream_events)
