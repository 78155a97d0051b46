"""The client for asyncio: the blocking one's twin in every method."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest

from handlebar.handoff import AsyncHandoffRailClient, HandoffRailClient, NotFoundError, ValidationError
from tests.handoff.packets import KEY, PACKET_ID, packet, page_of, says, stored
from tests.handoff.test_streaming import CONNECTED, PING, Stream, frame
from tests.support.http_server import Hang, HttpServer

ITERATORS = {"iter_packets", "stream_events"}
PUBLIC = sorted(
    name for name, part in inspect.getmembers(HandoffRailClient, inspect.isfunction) if not name.startswith("_")
)


@pytest.mark.parametrize("name", PUBLIC)
def test_each_method_has_a_twin(name: str) -> None:
    """With the same signature and docstring; a coroutine, or for iterators an async iterator."""
    blocking, twin = getattr(HandoffRailClient, name), getattr(AsyncHandoffRailClient, name)
    assert inspect.signature(blocking) == inspect.signature(twin)
    assert (name, blocking.__doc__) == (twin.__name__, twin.__doc__)
    assert (name not in ITERATORS) == inspect.iscoroutinefunction(twin)
    assert f"AsyncHandoffRailClient.{name}" == twin.__qualname__


def test_the_arguments_are_the_same() -> None:
    """Whichever client one makes."""
    assert inspect.signature(HandoffRailClient) == inspect.signature(AsyncHandoffRailClient)


def test_there_are_no_others() -> None:
    """The twin adds nothing but the blocking client that it works with."""
    public = {name for name, _ in inspect.getmembers(AsyncHandoffRailClient) if not name.startswith("_")}
    assert set(PUBLIC) | {"base_url"} == public


def test_calls_are_awaited(server: HttpServer) -> None:
    """Several at once, on threads of their own, with the same results and errors."""
    server.behave(says(stored()))

    async def work() -> None:
        async with AsyncHandoffRailClient(server.url, KEY, retry_delay=0.01) as client:
            found = await asyncio.gather(*(client.get_packet("p") for _ in range(4)), client.create_packet(packet()))
            assert {PACKET_ID} == {str(each.id) for each in found}
            server.behave(says({"detail": "no"}, 404))
            with pytest.raises(NotFoundError):
                await client.get_packet("p")
            with pytest.raises(ValidationError):
                await client.get_packet("")
            assert server.url == client.base_url
        await client.close()

    asyncio.run(work())
    assert 6 == len(server.requests)


def test_the_loop_is_not_held_up(server: HttpServer) -> None:
    """While one call waits, others go on."""
    server.behave(Hang())

    async def work() -> None:
        async with AsyncHandoffRailClient(server.url, KEY, timeout=1, max_retries=0) as client:
            waiting = asyncio.ensure_future(client.get_packet("p"))
            while not server.requests:
                await asyncio.sleep(0.01)
            assert not waiting.done()
            with pytest.raises(Exception, match="in time"):
                await waiting

    asyncio.run(work())


def test_pages_and_events_are_iterated(server: HttpServer) -> None:
    """By `async for`; leaving the block ends the stream."""
    server.behave(says(page_of(stored(), next_cursor="c")), path="/packets", times=1)
    server.behave(says(page_of(stored())), path="/packets", times=1)
    server.behave(Stream((CONNECTED, frame("packet.created"), PING, frame("packet.failed"))), path="/events")

    async def work() -> None:
        async with AsyncHandoffRailClient(server.url, KEY) as client:
            assert [PACKET_ID] * 2 == [str(each.id) async for each in client.iter_packets(limit=1)]
            seen: list[str] = []
            async with client.stream_events("agent:a") as stream:
                async for event in stream:
                    seen.append(event.type)
                    if len(seen) == 2:
                        break
            assert ["packet.created", "packet.failed"] == seen
            await stream.aclose()
            assert [] == [event async for event in stream]

    asyncio.run(work())


def test_waiting_can_be_cancelled(server: HttpServer) -> None:
    """The stream is closed then, and no thread is left waiting in it."""
    server.behave(Stream((CONNECTED,)))

    async def work() -> None:
        async with AsyncHandoffRailClient(server.url, KEY) as client:
            stream = client.stream_events()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(stream), 0.2)
            assert [] == [event async for event in stream]

    asyncio.run(work())
    assert server.wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("handlebar-handoff")])


def test_a_subclass_overrides_both(server: HttpServer) -> None:
    """The twin looks the method up on the blocking client that it has."""

    class Own(HandoffRailClient):
        def get_packet(self, packet_id: Any) -> Any:
            return f"my {packet_id}"

    async def work() -> Any:
        client = AsyncHandoffRailClient(server.url, KEY)
        client.blocking = Own(server.url, KEY)
        return await client.get_packet("p")

    assert "my p" == asyncio.run(work())
