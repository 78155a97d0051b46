"""Tool loops of Anthropic's client that are governed, on a loopback API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from handlebar.core.current import get_current_run
from handlebar.core.schema.events import TokenCounts
from handlebar.core.schema.governance import Decision
from handlebar.errors import ConfigError, UnreachableError
from handlebar.integrations.governing.settings import STOPPED as LAST_WORDS
from tests.integrations.frameworks.model_apis import Api, anthropic_api
from tests.integrations.frameworks.office import ASK, REFUSED, Office, in_turn
from tests.support.clients import client_on
from tests.support.loopback import listening
from tests.support.planes import ALLOW, BLOCK, ScriptedPlane

pytest.importorskip("anthropic.lib.tools", reason="anthropic is not installed")

from anthropic import Anthropic, AsyncAnthropic, BadRequestError, beta_async_tool, beta_tool

from handlebar.integrations.anthropic import HandlebarToolRunner

NAMES = ("search", "fail", "delete", "wipe", "pay")


def params_of(tools: list[Any], **more: Any) -> dict[str, Any]:
    """Return what a loop is given."""
    asked = [{"role": "user", "content": "Go"}]
    return {"model": "a-model", "max_tokens": 99, "system": "Be kind.", "messages": asked, "tools": tools, **more}


def connected(kind: Any, url: str) -> Any:
    """Return one of the SDK's clients."""
    return kind(base_url=url, api_key="key", max_retries=0)


def by_run(office: Office, api: Api, runner: Any, **more: Any) -> Any:
    """Run a loop the blocking way; return its last words."""
    params = params_of([beta_tool(office.body(name)) for name in NAMES], **more)
    with listening(api) as url, connected(Anthropic, url) as client:
        return runner.run(client, **params).content[0].text


def by_run_async(office: Office, api: Api, runner: Any, **more: Any) -> Any:
    """Run a loop on a loop."""
    params = params_of([beta_async_tool(office.async_body(name)) for name in NAMES], **more)

    async def ran(url: str) -> Any:
        async with connected(AsyncAnthropic, url) as client:
            return (await runner.run_async(client, **params)).content[0].text

    with listening(api) as url:
        return asyncio.run(ran(url))


def by_stream(office: Office, api: Api, runner: Any, **more: Any) -> Any:
    """Run a loop as its answers are written."""
    params = params_of([beta_tool(office.body(name)) for name in NAMES], stream=True, **more)
    text = ""
    with listening(api) as url, connected(Anthropic, url) as client:
        for stream in runner.iterate(client, **params):
            text = "".join(stream.text_stream)
    return text or LAST_WORDS


def by_stream_async(office: Office, api: Api, runner: Any, **more: Any) -> Any:
    """As above, on a loop."""
    params = params_of([beta_async_tool(office.async_body(name)) for name in NAMES], stream=True, **more)

    async def ran(url: str) -> Any:
        text = ""
        async with connected(AsyncAnthropic, url) as client:
            async for stream in runner.iterate_async(client, **params):
                text = "".join([piece async for piece in stream.text_stream])
        return text or LAST_WORDS

    with listening(api) as url:
        return asyncio.run(ran(url))


ROADS = [by_run, by_run_async, by_stream, by_stream_async]
Road = Callable[..., Any]


def results(api: Api) -> list[tuple[bool, Any]]:
    """Return what the model got from the tools of the last step, and whether it was an error."""
    blocks = api.seen[-1]["messages"][-1]["content"]
    return [(block.get("is_error", False), block["content"]) for block in blocks]


@pytest.mark.parametrize("road", ROADS)
def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office, road: Road) -> None:
    """Also side by side; the model gets the refusals, and goes on."""
    api = anthropic_api("search delete search delete")
    assert "done" == road(office, api, HandlebarToolRunner(office.client))
    assert [("search", "it")] * 2 == office.done
    assert [(False, "search: it"), (True, REFUSED)] * 2 == results(api)
    assert ["success"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_a_terminate_ends_the_loop(office: Office, road: Road) -> None:
    """The model is not asked again, and what comes later in the batch does not run."""
    api = anthropic_api("wipe search", "search")
    assert LAST_WORDS == road(office, api, HandlebarToolRunner(office.client))
    assert ([], 1, ["wipe"]) == (office.done, len(api.seen), office.asked())
    assert ["interrupted"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_only_new_messages_are_recorded(office: Office, road: Road) -> None:
    """Instructions, question, the tools' results, the last word: each once."""
    road(office, anthropic_api("search", "search"), HandlebarToolRunner(office.client))
    said = office.said()
    assert (1, 1, 1) == (said.count("Be kind."), said.count("Go"), said.count("done"))
    assert 2 == len([text for text in said if "search: it" in text])


@pytest.mark.parametrize("road", ROADS)
def test_tokens_are_counted(office: Office, road: Road) -> None:
    """Those of each answer, with what came from the cache."""
    road(office, anthropic_api("search"), HandlebarToolRunner(office.client))
    assert [TokenCounts(10, 5)] * 2 == [event.data.tokens for event in office.events("llm.result")]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_a_tool(office: Office, road: Road) -> None:
    """Is recorded; the SDK tells the model, which goes on."""
    assert "done" == road(office, anthropic_api("fail"), HandlebarToolRunner(office.client))
    assert ["no it"] == [event.data.error.message for event in office.events("tool.result")]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_the_model(office: Office, road: Road) -> None:
    """Reaches the caller unchanged, and ends the run."""
    with pytest.raises(BadRequestError, match="no model"):
        road(office, anthropic_api("broken"), HandlebarToolRunner(office.client))
    assert ["error"] == office.ends()


def test_a_loop_that_is_left(office: Office) -> None:
    """Ends the run; the tools of the message at hand do not run, and nothing stays bound."""
    params = params_of([beta_tool(office.body("search"))])
    with listening(anthropic_api("search")) as url, connected(Anthropic, url) as client:
        loop = HandlebarToolRunner(office.client).iterate(client, **params)
        next(loop)
        assert get_current_run() is None
        loop.close()
    assert (["interrupted"], []) == (office.ends(), office.done)


@pytest.mark.parametrize("road", ROADS)
def test_the_callers_run(office: Office, road: Road) -> None:
    """A loop within it belongs to it, and leaves its end to the caller."""
    with office.client.run("mine"):
        road(office, anthropic_api("search"), HandlebarToolRunner(office.client))
        assert [] == office.ends()
    assert {"mine"} == {request.run_id for request in office.plane.named("evaluate")}


def test_actor_and_tags(office: Office) -> None:
    """Come from the parameters, and from the table."""
    runner = HandlebarToolRunner(
        office.client, actor=lambda params: params["metadata"]["user_id"], tool_tags={"search": ["read"]}
    )
    by_run(office, anthropic_api("search"), runner, metadata={"user_id": "user-7"})
    request = office.plane.named("evaluate")[0]
    told = (request.actor.external_id, request.tool_tags, request.args.value())
    assert ("user-7", ("read",), {"what": "it"}) == told


def test_a_conversation_goes_on(office: Office) -> None:
    """The next run records only what is new in it."""
    history = [
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Second"},
    ]
    by_run(office, anthropic_api(), HandlebarToolRunner(office.client), messages=history)
    assert ["Be kind.", "Second", "done"] == office.said()


def test_tools_that_run_elsewhere(office: Office) -> None:
    """Pass as they are; what cannot be governed is not taken, and ends the run."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    api = anthropic_api()
    with listening(api) as url, connected(Anthropic, url) as client:
        HandlebarToolRunner(office.client).run(client, **params_of([search]))
        with pytest.raises(ConfigError, match="beta_tool"):
            HandlebarToolRunner(office.client).run(client, **params_of([object()]))
    assert ([search], ["success", "error"]) == (api.seen[0]["tools"], office.ends())


@pytest.mark.parametrize("road", ROADS)
def test_redactors_change_what_the_model_gets(monkeypatch: pytest.MonkeyPatch, road: Road) -> None:
    """The question, and the tools' results."""
    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, redactors=[lambda text: text.replace("it", "[it]")]))
    api = anthropic_api("search")
    road(office, api, HandlebarToolRunner(office.client), messages=[{"role": "user", "content": "Find it"}])
    assert "Find [it]" == api.seen[0]["messages"][0]["content"]
    assert [(False, "search: [it]")] == results(api)


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
@pytest.mark.parametrize("road", ROADS)
def test_waiting_for_a_person(office: Office, status: Any, then: Decision, road: Road) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    assert "done" == road(office, anthropic_api("pay"), HandlebarToolRunner(office.client, wait_for_approval=30))
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("road", ROADS)
def test_a_control_plane_that_is_down(monkeypatch: pytest.MonkeyPatch, fail_closed: bool, road: Road) -> None:
    """The call is answered as the client's fail mode says."""
    plane = ScriptedPlane(UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))
    road(office, anthropic_api("search"), HandlebarToolRunner(office.client))
    assert ([] if fail_closed else [("search", "it")]) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("road", ROADS)
def test_a_bug_of_ours(monkeypatch: pytest.MonkeyPatch, fail_closed: bool, road: Road) -> None:
    """Is as if the control plane were down; the loop goes on, or ends, without an exception."""
    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))

    def broken(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    monkeypatch.setattr("handlebar.core.run.Run.before_tool_sync", broken)
    said = road(office, anthropic_api("search"), HandlebarToolRunner(office.client))
    assert (LAST_WORDS if fail_closed else "done") == said
    assert ([] if fail_closed else [("search", "it")]) == office.done


def test_sixteen_at_once(office: Office) -> None:
    """Loops of one runner share nothing: each has a run of its own, and its own actor."""
    runner = HandlebarToolRunner(office.client, actor=lambda params: params["metadata"]["user_id"])

    def one(number: int) -> None:
        api = anthropic_api("search", what=f"user-{number}")
        by_run(office, api, runner, metadata={"user_id": f"user-{number}"})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(16)))
    asked = [each for each in office.plane.named("evaluate") if each.phase == "tool.before"]
    assert 16 == len({each.run_id for each in asked})
    assert all(each.actor.external_id == each.args.value()["what"] for each in asked)
    assert ["success"] * 16 == office.ends()
