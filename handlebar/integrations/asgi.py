"""An ASGI application that delivers its events before the server's process ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from handlebar._plumbing import logs
from handlebar._plumbing.awaiting import to_thread
from handlebar._plumbing.time_limits import told
from handlebar.integrations.serving.clients import drain_all

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[Any]]


class HandlebarASGI:
    """
    Wraps an application that has no lifespan of its own, such as Django's; lives as long as that.

    Uvicorn ends its process by a signal, so exit handlers never run: this answers the server's lifespan messages,
    and at shutdown waits until events are delivered.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve what the server asks for."""
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await _drain()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


async def _drain() -> None:
    """Deliver, off the loop; the server's shutdown does not fail because of us."""
    try:
        await to_thread(drain_all)
    except Exception as error:
        logs.warn_once_a_minute("asgi", "Events could not be delivered at shutdown: %s", told(error))
