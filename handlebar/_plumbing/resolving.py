"""Hosts and the addresses that their names mean."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial

from attrs import frozen

from handlebar._plumbing.time_limits import CallError, NoThreadError, call_within

_RESOLVING_SECONDS = 5.0
"""So long a look-up may take by default."""


@frozen(kw_only=True)
class Target:
    """
    Where to send a request.

    Attributes:
        scheme: `http` or `https`.

        host: The name that goes into the request, and that the certificate has to be for.

        path: With the query.

        addresses: Of the host, tried in this order until one lets us connect.
    """

    scheme: str
    host: str
    port: int
    path: str
    addresses: Sequence[str]


def resolved(host: str, port: int, *, seconds: float = _RESOLVING_SECONDS) -> list[str]:
    """Return the addresses of *host*, within so many *seconds*; raises OSError where it has none."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = call_within(look_up, timeout_seconds=seconds)
    except NoThreadError:
        # Better late than never: what is sent at the exit may need a connection yet.
        found = look_up()
    except CallError as error:
        raise TimeoutError(f"the name was not looked up: {error}") from error
    return [str(each[4][0]) for each in found]
