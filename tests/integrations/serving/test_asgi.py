"""The ASGI wrapper: lifespan, and everything else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from handlebar.core.config import RunConfig
from handlebar.integrations import asgi
from handlebar.integrations.asgi import HandlebarASGI
from handlebar.integrations.serving import clients
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane


async def a_lifespan(application: HandlebarASGI) -> list[str]:
    """Start and stop *application* as a server does; return what it answers."""
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    said: list[str] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        said.append(message["type"])

    await application({"type": "lifespan"}, receive, send)
    return said


def test_events_are_delivered_at_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lifespan is answered here, and what was emitted is delivered when it ends."""
    plane = ScriptedPlane()
    client = clients.remember(client_on(plane, monkeypatch))
    run = client.start_run_sync(RunConfig("r"))

    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no lifespan here")

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == asyncio.run(
        a_lifespan(HandlebarASGI(refuses))
    )
    assert ["run.started"] == plane.kinds()
    run.end_sync()


def test_a_failure_does_not_fail_the_shutdown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The server's shutdown goes on, and the log says where it failed, in none of the failure's own words."""

    def fails() -> None:
        raise ValueError("of somebody\nelse's choice")

    monkeypatch.setattr(asgi, "drain_all", fails)
    assert "lifespan.shutdown.complete" == asyncio.run(a_lifespan(HandlebarASGI(_never)))[-1]
    assert "at shutdown: ValueError in fails" in caplog.text
    assert "choice" not in caplog.text


async def _never(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("the lifespan is ours")


def test_everything_else_is_the_applications() -> None:
    """Requests go to the application as they are."""
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    asyncio.run(HandlebarASGI(application)({"type": "http"}, None, None))  # type: ignore[arg-type]  # not called
    assert [{"type": "http"}] == seen
