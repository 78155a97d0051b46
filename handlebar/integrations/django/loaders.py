"""Whom a request acts for, and which conversation it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.http import HttpRequest

from handlebar.core.request_scope import UNKNOWN, Loader


def logged_in_user(request: HttpRequest) -> Loader:
    """Return a loader of the user's key; nobody looks the user up before it is called."""

    def find() -> str | None:
        return _key(getattr(request, "user", None))

    async def find_async() -> str | None:
        auser = getattr(request, "auser", None)
        return _key(await auser()) if auser else None

    return Loader(find, find_async)


def loader_of(find: Callable[..., Any] | None, request: HttpRequest) -> Loader:
    """Return *find* of the *request* as a loader, whether it is a coroutine function or may block."""
    if find is None:
        return UNKNOWN
    if iscoroutinefunction(find):
        return Loader(lambda: async_to_sync(find)(request), lambda: find(request))
    return Loader(lambda: find(request), lambda: sync_to_async(find)(request))


def _key(user: Any) -> str | None:
    return None if user is None or user.is_anonymous else str(user.pk)
