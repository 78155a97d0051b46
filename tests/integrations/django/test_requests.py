"""Requests to a Django project: what its runs take over, and how they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("django", reason="Django is not installed: pip install handlebar[django]")

from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from tests.integrations.django.conftest import Configure
from tests.integrations.django.project import views
from tests.support.http_server import HttpServer


def statuses() -> list[str]:
    """Return how the runs that views have opened have ended."""
    return [run.status for run in views.seen]


def test_a_request_without_agent_code_asks_nobody(
    governed: None, browser: Client, ann: Any, server: HttpServer
) -> None:
    """Check 14: no query, no `Vary: Cookie`, and nothing goes to the control plane."""
    browser.force_login(ann)
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get("/health")
    assert (b"ok", 0, []) == (answer.content, len(queries), server.requests)
    assert "Cookie" not in answer.headers.get("Vary", "")


def test_a_run_acts_for_the_user_who_is_logged_in(governed: None, browser: Client, ann: Any) -> None:
    """Check 14: the user's key, for one look-up of session and user; nobody for somebody unknown."""
    assert browser.get("/sync").json()["actor"] is None
    browser.force_login(ann)
    with CaptureQueriesContext(connection) as queries:
        said = browser.get("/sync").json()
    assert str(ann.pk) == said["actor"]
    assert {"http.method": "GET", "http.route": "sync"} == said["tags"]
    assert 2 == len(queries)


def test_an_async_view_acts_for_the_user_too(governed: None, async_browser: AsyncClient, ann: Any) -> None:
    """Check 14: the user is awaited, so there is no SynchronousOnlyOperation."""

    async def main() -> Any:
        await async_browser.aforce_login(ann)
        return (await async_browser.get("/async")).json()

    assert str(ann.pk) == asyncio.run(main())["actor"]


def test_an_async_view_under_a_wsgi_handler(governed: None, browser: Client, ann: Any) -> None:
    """The sync handler runs async views too, with the same run everywhere."""
    browser.force_login(ann)
    said = browser.get("/async").json()
    assert (str(ann.pk), {True}) == (said["actor"], set(said["same"]))


@pytest.mark.parametrize("name", ["an_actor", "an_actor_async"])
@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_loaders_of_ones_own(configured: Configure, name: str, path: str) -> None:
    """ACTOR names a function or a coroutine function, and either serves both kinds of views and handlers."""
    with configured(ACTOR=f"tests.integrations.django.project.views.{name}"):
        assert "u-1" == Client().get(path, headers={"X-User": "u-1"}).json()["actor"]

        async def main() -> Any:
            return (await AsyncClient().get(path, headers={"X-User": "u-2"})).json()

        assert "u-2" == asyncio.run(main())["actor"]


def test_a_loader_that_fails_does_not_break_the_request(configured: Configure, browser: Client) -> None:
    """Without the header that the loader needs there is no actor, and the view answers."""
    with configured(ACTOR="tests.integrations.django.project.views.an_actor"):
        assert browser.get("/sync").json()["actor"] is None


def test_a_loader_that_fails_denies_where_the_client_fails_closed(
    configured: Configure, browser: Client, server: HttpServer
) -> None:
    """Nobody knows whom the run acts for, so its calls are refused."""
    actor = "tests.integrations.django.project.views.an_actor"
    with configured(ACTOR=actor, FAIL_CLOSED=True, ERROR_RESPONSES=True):
        assert 503 == browser.get("/refund").status_code
        assert 200 == browser.get("/refund", headers={"X-User": "u-1"}).status_code


def test_excluded_paths_and_runs_of_requests(configured: Configure, browser: Client) -> None:
    """RUN_PER_REQUEST opens a run around the views that it names; an excluded path has none."""
    with configured(RUN_PER_REQUEST=True):
        assert "True" == browser.get("/current").text
    with configured(RUN_PER_REQUEST=["current"]):
        assert "True" == browser.get("/current").text
    with configured(RUN_PER_REQUEST=["health"]):
        assert "False" == browser.get("/current").text
    with configured(RUN_PER_REQUEST=True, EXCLUDE_PATHS=["/cur"]):
        assert "False" == browser.get("/current").text


def test_refusals_as_json(configured: Configure, browser: Client, server: HttpServer) -> None:
    """With ERROR_RESPONSES a blocked call is answered with 403, by either handler."""
    cause = {"kind": "RULE_VIOLATION", "ruleId": "r"}
    server.decision = {**server.decision, "verdict": "BLOCK", "cause": cause, "message": "Too much"}
    with configured(ERROR_RESPONSES=True):
        answer = browser.get("/refund")
        awaited = asyncio.run(_get("/refund"))
    expected = (403, {"error": {"code": "blocked", "message": "Too much"}})
    assert [expected] * 2 == [(each.status_code, each.json()) for each in (answer, awaited)]


class TestEnds:
    """Check 12: what is left open ends with the request, once."""

    PATHS = ("/failing-sync", "/failing-async", "/answering/500", "/answering/404", "/answering/200")
    EXPECTED = ("error", "error", "error", "success", "success")

    def test_under_the_sync_handler(self, governed: None, browser: Client, server: HttpServer) -> None:
        """Exceptions and answers of 500 are errors, others are not."""
        answers = [browser.get(path) for path in self.PATHS]
        assert list(self.EXPECTED) == statuses()
        assert b"mine" == answers[2].content
        assert b"Server Error" in answers[0].content
        assert server.wait_for(lambda: 5 == _ended(server))

    def test_under_the_async_handler(self, governed: None, async_browser: AsyncClient, server: HttpServer) -> None:
        """The same, off the loop."""

        async def main() -> None:
            for path in self.PATHS:
                await async_browser.get(path)

        asyncio.run(main())
        assert list(self.EXPECTED) == statuses()
        assert server.wait_for(lambda: 5 == _ended(server))


class TestStreams:
    """Check 9: the run is current in every chunk, and what the view left open ends after the last."""

    EXPECTED = views.FIRST_CHUNK + " True" * 3

    def test_a_sync_stream(self, governed: None, browser: Client) -> None:
        """An iterator, read by the sync handler."""
        answer = browser.get("/stream")
        assert ["active"] == statuses()
        assert self.EXPECTED.encode() == answer.getvalue()
        answer.close()
        assert ["success"] == statuses()

    def test_an_async_stream(self, governed: None) -> None:
        """An async iterator, read by the async handler."""

        async def main() -> str:
            answer = await AsyncClient().get("/stream-async")
            assert ["active"] == statuses()
            return "".join([chunk.decode() async for chunk in answer.streaming_content])

        assert self.EXPECTED == asyncio.run(main())
        assert ["success"] == statuses()

    def test_a_stream_that_raises(self, governed: None, browser: Client) -> None:
        """The run ends as an error."""
        answer = browser.get("/stream", {"raise": 1})
        with pytest.raises(ValueError, match="middle"):
            answer.getvalue()
        answer.close()
        assert ["error"] == statuses()

    def test_a_stream_that_is_left(self, governed: None, browser: Client) -> None:
        """Check 10: a response that is closed before its end was interrupted."""
        answer = browser.get("/stream")
        next(answer.streaming_content)
        answer.close()
        assert ["interrupted"] == statuses()


def _ended(server: HttpServer) -> int:
    return sum(event["kind"] == "run.ended" for event in server.events())


async def _get(path: str) -> Any:
    return await AsyncClient().get(path)
