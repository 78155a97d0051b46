"""
The published adapter `handlebar-langchain`, which imports our core by its documented names.

It keeps its run in a ContextVar that `before_agent` sets. LangChain runs each node in a context of its own, so that in
an agent the later hooks of version 0.2.0 find no run, on any core; its hooks are called in one context here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from importlib.metadata import PackageNotFoundError, distribution
from types import SimpleNamespace
from typing import Any

import pytest

import handlebar
from tests.integrations.frameworks.office import Office

try:
    # Beside an installed core of ours; it is the checkout's that is tested.
    handlebar.__path__.append(str(distribution("handlebar-langchain").locate_file("handlebar")))
except PackageNotFoundError:
    pytest.skip(
        "handlebar-langchain is not installed: pip install --no-deps handlebar-langchain==0.2.0",
        allow_module_level=True,
    )

from langchain_core.messages import HumanMessage

from handlebar.langchain import HandlebarCallbackHandler, HandlebarMiddleware
from tests.integrations.frameworks.test_langchain import agent_of, by_ainvoke, by_invoke, calls

ASKED = SimpleNamespace(messages=[HumanMessage("Go")])


def request_of(name: str) -> Any:
    """Return what LangChain hands over for a call."""
    return SimpleNamespace(tool_call={"name": name, "args": {"what": "it"}, "id": "c-1"}, metadata=None)


def made(office: Office) -> Callable[[Any], str]:
    """Return what makes a call."""
    return lambda request: office.work(request.tool_call["name"], "it")


def blocking(office: Office, *names: str) -> list[Any]:
    """Go through the blocking hooks of one run; return what the tools gave, and what the model said last."""
    middleware = HandlebarMiddleware(client=office.client)

    def ran() -> list[Any]:
        middleware.before_agent({}, None)
        given = [middleware.wrap_tool_call(request_of(name), made(office)) for name in names]
        given.append(middleware.wrap_model_call(ASKED, lambda _: calls("search")))
        middleware.after_agent({}, None)
        return given

    return copy_context().run(ran)


def on_a_loop(office: Office, *names: str) -> list[Any]:
    """Go through the hooks of one run on a loop."""
    middleware = HandlebarMiddleware(client=office.client)

    async def ran() -> list[Any]:
        await middleware.abefore_agent({}, None)
        given = [await middleware.awrap_tool_call(request_of(name), made(office)) for name in names]
        given.append(await middleware.awrap_model_call(ASKED, lambda _: calls("search")))
        await middleware.aafter_agent({}, None)
        return given

    return asyncio.run(ran())


ROADS = [blocking, on_a_loop]
Road = Callable[..., list[Any]]


@pytest.mark.parametrize("road", ROADS)
def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office, road: Road) -> None:
    """The model gets the reason, and the run ends well."""
    found, refused, _ = road(office, "search", "delete")
    assert ("search: it", [("search", "it")]) == (found, office.done)
    assert "Too much" in refused.content
    assert ["success"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_a_terminate_ends_the_run(office: Office, road: Road) -> None:
    """The model is not asked."""
    _, said = road(office, "wipe")
    assert ([], "paused" in said.content) == (office.done, True)
    assert ["interrupted"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_model_calls_are_recorded(office: Office, road: Road) -> None:
    """With their tokens."""
    road(office)
    assert [(10, 5)] == [(event.data.tokens.in_, event.data.tokens.out) for event in office.events("llm.result")]
    assert "Go" in office.said()


@pytest.mark.parametrize("road", [by_invoke, by_ainvoke])
def test_an_agent(office: Office, road: Any) -> None:
    """Runs with it, and its runs are started on our core."""
    agent = agent_of(office, calls("search"), middleware=HandlebarMiddleware(client=office.client))
    assert "done" == road(agent)[-1].content
    assert 1 == len(office.plane.named("start"))


def test_the_older_handler() -> None:
    """Can be imported, too."""
    assert "HandlebarCallbackHandler" == HandlebarCallbackHandler.__name__
