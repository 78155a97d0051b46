"""The process's default client: `handlebar.init()` makes it, `handlebar.get_client()` finds it."""

from __future__ import annotations

import difflib
from typing import Any, cast

import attrs

from handlebar._plumbing import logs
from handlebar.core.client import HandlebarClient
from handlebar.core.config import HandlebarClientConfig
from handlebar.core.current import get_current_scope
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.errors import ConfigError, NotInitialisedError

_default: list[HandlebarClient] = []


def init(agent: AgentDescriptor | str, **config: Any) -> HandlebarClient:
    """
    Make the process's default client, and return it.

    Starts no thread and opens no socket, so it may be called at import time, before a server forks. A second
    call replaces the first client, which is shut down.

    Args:
        agent: The agent, or its slug.

        config: Every other field of `HandlebarClientConfig`.

    Raises:
        ConfigError: A field is unknown, or has a value that is not allowed.

        PolicyError: A policy cannot be loaded.
    """
    client = HandlebarClient.init_sync(_config(agent, config))
    _default.append(client)
    while len(_default) > 1:
        replaced = _default.pop(0)
        replaced.shutdown_sync()
        _tell_of(replaced, client)
    return client


def get_client() -> HandlebarClient:
    """
    Return the client of the request that is served here, or else the process's default client.

    Raises:
        NotInitialisedError: `handlebar.init()` has not been called.
    """
    bound = get_current_scope().client
    if bound is not None:
        return cast(HandlebarClient, bound)
    try:
        return _default[-1]
    except IndexError:
        raise NotInitialisedError(
            'There is no default client yet: call handlebar.init("your-agent") when the process starts'
        ) from None


def _tell_of(replaced: HandlebarClient, client: HandlebarClient) -> None:
    """Warn where another agent's client was replaced, which is hardly meant."""
    old, new = replaced.config.agent.slug, client.config.agent.slug
    if old != new:
        logs.warn_once_a_minute(
            "second init",
            "handlebar.init(%r) has shut the client of %r down, whose runs record nothing any more: call init once a "
            "process, and make further clients by HandlebarClient.init_sync(HandlebarClientConfig(...))",
            new,
            old,
        )


def _config(agent: Any, fields: dict[str, Any]) -> HandlebarClientConfig:
    known = [str(attribute.alias) for attribute in attrs.fields(HandlebarClientConfig)]
    for name in fields:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            # The value may be a key, under a name with a slip in it.
            raise ConfigError(name, "(hidden)", f"one of the fields {', '.join(known)}{hint}")
    return HandlebarClientConfig(agent, **fields)
