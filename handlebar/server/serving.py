"""The control plane on a port of its own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from handlebar.control.browser_access import BrowserAccess
from handlebar.control.database import Database
from handlebar.control.database.urls import is_in_this_process
from handlebar.control.keys import KeyRing
from handlebar.control.service import THE_TENANT
from handlebar.server.app import create_app
from handlebar.server.dispatching import TaskDispatcher

_THREADS = 16
_SWITCH_INTERVAL = 0.001
"""Seconds after which a thread that computes lets another go on. With Python's usual five times as many, waitress's
loop looks again and again at a connection that a thread has begun to write to, and keeps that one from going on."""
_MOST_BYTES = 16 * 1024 * 1024
"""Waitress itself refuses more, in plain text; the app refuses less already, in JSON."""


def serve(
    database: str, *, host: str = "127.0.0.1", port: int = 8700, policies: Any = None, show_link: bool = False
) -> None:
    """
    Serve the control plane over HTTP until the process is told to stop; prints where it is.

    Where the database has no key yet, an admin key is made and printed, this once.

    Args:
        database: The URL of the database.

        host: The address to listen on.

        port: The port to listen on; 0 for any that is free.

        policies: A file, a folder, or a list of files and policies, to be in force for the tenant `default`.

        show_link: Whether to print a link that logs in to the dashboard as an admin, once, within ten minutes.

    Raises:
        ConfigError: *database* is no such URL.

        PolicyError: A policy cannot be loaded.

        UnreachableError: The database cannot be used.

        OSError: The address cannot be listened on.
    """
    from waitress.server import create_server

    # It tells of every request that finds all threads busy, which under load is most: dearer than to answer them.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    app = create_app(database, policies=policies)
    with closing(app.extensions["handlebar"]), _dispatching(database) as dispatcher:
        server = create_server(
            app,
            host=host,
            port=port,
            threads=_THREADS,
            ident=None,
            max_request_body_size=_MOST_BYTES,
            _dispatcher=dispatcher,
        )
        with closing(server):
            _show_first_key(database)
            app.extensions["handlebar"].start()
            address = f"http://{_shown(host)}:{_port(server)}"
            if show_link:
                _say(f"Open the dashboard: {address}/dashboard/link/{_new_link(database)}")
            _say(f"Handlebar listens on {address}")
            server.run()


@contextmanager
def _dispatching(database: str) -> Iterator[TaskDispatcher | None]:
    """Give what hands requests to threads; None for waitress's own, where they wait for a database side by side."""
    if not is_in_this_process(database):
        yield None
        return
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    dispatcher = TaskDispatcher(_THREADS)
    try:
        yield dispatcher
    finally:
        dispatcher.shutdown(timeout=0)
        sys.setswitchinterval(usual)


def _show_first_key(url: str) -> None:
    with closing(Database(url)) as database:
        if made := KeyRing(database).create_first("first"):
            _say(f"Made an admin key, which is shown only this once: {made.secret}")


def _new_link(url: str) -> str:
    """Return the secret of a link that logs in with the first admin key, or with one that nobody knows."""
    with closing(Database(url)) as database:
        keys = KeyRing(database)
        admins = [key.id for key in keys.listed(THE_TENANT) if key.role == "admin" and key.revoked_at is None]
        key_id = admins[0] if admins else keys.create("dashboard", role="admin", tenant=THE_TENANT).record.id
        return BrowserAccess(database).make_link(key_id)


def _port(server: Any) -> int:
    """Return the port of a server; a name like localhost may stand for several addresses, and so for several."""
    listening = getattr(server, "effective_listen", None) or [(server.effective_host, server.effective_port)]
    return int(listening[0][1])


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
