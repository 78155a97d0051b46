"""The clients that the web applications of this process have made."""

from __future__ import annotations

import weakref

from handlebar.core.client import HandlebarClient
from handlebar.core.front import get_client
from handlebar.errors import NotInitialisedError

_made: weakref.WeakSet[HandlebarClient] = weakref.WeakSet()


def remember(client: HandlebarClient) -> HandlebarClient:
    """Let `drain_all` find *client*, and return it."""
    _made.add(client)
    return client


def drain_all() -> None:
    """Wait until the events of every client are delivered, as long as their sinks allow."""
    for client in {*_made, *_default()}:
        client.drain_sync()


def _default() -> list[HandlebarClient]:
    try:
        return [get_client()]
    except NotInitialisedError:
        return []
