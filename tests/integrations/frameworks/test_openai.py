"""Tool loops of OpenAI's client that are governed, on a loopback API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest

from handlebar.core.current import get_current_run
from handlebar.core.schema.events import TokenCounts
from handlebar.core.schema.governance import Decision
from handlebar.errors import RunTerminatedError, UnreachableError
from handlebar.integrations.governing.settings import STOPPED as LAST_WORDS
from tests.integrations.frameworks.model_apis import Api, openai_api, responses_api
from tests.integrations.frameworks.office import ASK, REFUSED, Office, in_turn
from tests.support.clients import client_on
from tests.support.loopback import listening
from tests.support.planes import ALLOW, BLOCK, ScriptedPlane

pytest.importorskip("openai.lib.responses_tool_runner", reason="openai 3 is not installed")

from openai import AsyncOpenAI, BadRequestError, OpenAI
from openai.lib.responses_tool_runner import (
    AsyncRegisteredFunction,
    AsyncResponsesToolLedger,
    AsyncResponsesToolRunner,
    RegisteredFunction,
    ResponsesToolLedger,
    ResponsesToolRunner,
    ToolRunnerError,
)

from handlebar.integrations.openai import HandlebarToolLoop
from handlebar.integrations.openai.items import message_of

NAMES = ("search", "fail", "delete", "wipe", "pay")
SCHEMA = {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in NAMES]
ASKED = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Go"}]


def params_of(functions: Any, **more: Any) -> dict[str, Any]:
    """Return what a loop is given."""
    return {"model": "a-model", "messages": ASKED, "tools": TOOLS, "functions": functions, **more}


def connected(kind: Any, url: str) -> Any:
    """Return one of the SDK's clients."""
    return kind(base_url=url, api_key="key", max_retries=0)


def by_run(office: Office, api: Api, loop: Any, **more: Any) -> Any:
    """Run a loop the blocking way; return its last words."""
    params = params_of({name: office.body(name) for name in NAMES}, **more)
    with listening(api) as url, connected(OpenAI, url) as client:
        return loop.run(client, **params).choices[0].message.content


def by_run_async(office: Office, api: Api, loop: Any, **more: Any) -> Any:
    """Run a loop on a loop; some functions are coroutine functions."""
    functions = {name: (office.async_body if name != "fail" else office.body)(name) for name in NAMES}

    async def ran(url: str) -> Any:
        async with connected(AsyncOpenAI, url) as client:
            return (await loop.run_async(client, **params_of(functions, **more))).choices[0].message.content

    with listening(api) as url:
        return asyncio.run(ran(url))


def text_of(chunks: list[Any]) -> str:
    """Return what chunks say together."""
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    return "".join(piece for piece in pieces if piece) or LAST_WORDS


def by_stream(office: Office, api: Api, loop: Any, **more: Any) -> Any:
    """Run a loop as its answers are written."""
    params = params_of({name: office.body(name) for name in NAMES}, stream=True, **more)
    with listening(api) as url, connected(OpenAI, url) as client:
        return text_of(list(loop.iterate(client, **params)))


def by_stream_async(office: Office, api: Api, loop: Any, **more: Any) -> Any:
    """As above, on a loop."""
    params = params_of({name: office.async_body(name) for name in NAMES}, stream=True, **more)

    async def ran(url: str) -> Any:
        async with connected(AsyncOpenAI, url) as client:
            return text_of([chunk async for chunk in loop.iterate_async(client, **params)])

    with listening(api) as url:
        return asyncio.run(ran(url))


ROADS = [by_run, by_run_async, by_stream, by_stream_async]
Road = Callable[..., Any]


def results(api: Api) -> list[Any]:
    """Return what the model got from the tools."""
    return [message["content"] for message in api.seen[-1]["messages"] if message["role"] == "tool"]


@pytest.mark.parametrize("road", ROADS)
def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office, road: Road) -> None:
    """Also side by side; the model gets the refusals, and goes on."""
    api = openai_api("search delete search delete")
    assert "done" == road(office, api, HandlebarToolLoop(office.client))
    assert [("search", "it")] * 2 == office.done
    assert ["search: it", REFUSED] * 2 == results(api)
    assert ["success"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_a_terminate_ends_the_loop(office: Office, road: Road) -> None:
    """The model is not asked again, and what comes later in the batch does not run."""
    api = openai_api("wipe search", "search")
    assert LAST_WORDS == road(office, api, HandlebarToolLoop(office.client))
    assert ([], 1, ["wipe"]) == (office.done, len(api.seen), office.asked())
    assert ["interrupted"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_only_new_messages_are_recorded(office: Office, road: Road) -> None:
    """Instructions, question, the tools' results, the last word: each once."""
    road(office, openai_api("search", "search"), HandlebarToolLoop(office.client))
    said = office.said()
    assert (1, 1, 1) == (said.count("Be kind."), said.count("Go"), said.count("done"))
    assert 2 == len([text for text in said if "search: it" in text])


@pytest.mark.parametrize("road", ROADS)
def test_tokens_are_counted(office: Office, road: Road) -> None:
    """Those of each answer."""
    road(office, openai_api("search"), HandlebarToolLoop(office.client))
    assert [TokenCounts(10, 5)] * 2 == [event.data.tokens for event in office.events("llm.result")]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_a_tool(office: Office, road: Road) -> None:
    """Is recorded, reaches the caller unchanged, and ends the run."""
    with pytest.raises(ValueError, match="no it"):
        road(office, openai_api("fail"), HandlebarToolLoop(office.client))
    assert ["error"] == office.ends()
    assert ["no it"] == [event.data.error.message for event in office.events("tool.result")]


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_the_model(office: Office, road: Road) -> None:
    """Reaches the caller unchanged, and ends the run."""
    with pytest.raises(BadRequestError, match="no model"):
        road(office, openai_api("broken"), HandlebarToolLoop(office.client))
    assert ["error"] == office.ends()


def test_a_loop_that_is_left(office: Office) -> None:
    """Ends the run; the tools of the message at hand do not run, and nothing stays bound."""
    params = params_of({"search": office.body("search")})
    with listening(openai_api("search")) as url, connected(OpenAI, url) as client:
        loop = HandlebarToolLoop(office.client).iterate(client, **params)
        next(loop)
        assert get_current_run() is None
        loop.close()
    assert (["interrupted"], []) == (office.ends(), office.done)


@pytest.mark.parametrize("road", ROADS)
def test_the_callers_run(office: Office, road: Road) -> None:
    """A loop within it belongs to it, and leaves its end to the caller."""
    with office.client.run("mine"):
        road(office, openai_api("search"), HandlebarToolLoop(office.client))
        assert [] == office.ends()
    assert {"mine"} == {request.run_id for request in office.plane.named("evaluate")}


def test_actor_and_tags(office: Office) -> None:
    """Come from the parameters, and from the table."""
    runner = HandlebarToolLoop(office.client, actor=lambda params: params["user"], tool_tags={"search": ["read"]})
    by_run(office, openai_api("search"), runner, user="user-7")
    request = office.plane.named("evaluate")[0]
    told = (request.actor.external_id, request.tool_tags, request.args.value())
    assert ("user-7", ("read",), {"what": "it"}) == told


def test_a_conversation_goes_on(office: Office) -> None:
    """The next run records only what is new in it."""
    history = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Second"},
    ]
    by_run(office, openai_api(), HandlebarToolLoop(office.client), messages=history)
    assert ["Be kind.", "Second", "done"] == office.said()


@pytest.mark.parametrize("road", ROADS)
def test_calls_that_cannot_be_made(office: Office, road: Road) -> None:
    """Go back to the model, and nobody is asked."""
    api = openai_api("nothing")
    assert "done" == road(office, api, HandlebarToolLoop(office.client))
    assert (["There is no tool 'nothing'"], []) == (results(api), office.asked())


def registered(kind: Any, executing: Callable[[str], Any]) -> list[Any]:
    """Return the SDK's own functions; an eager runner makes their calls side by side."""
    return [
        kind(
            {"type": "function", "name": name, "parameters": SCHEMA, "strict": False},
            executing(name),
            independent=True,
        )
        for name in NAMES
    ]


REQUEST: Any = {"model": "a-model", "instructions": "Be kind.", "input": "Go"}


def runner_of(office: Office, loop: Any) -> Any:
    """Return the SDK's own runner of governed functions."""

    def executing(name: str) -> Any:
        return lambda args: office.work(name, args["what"])

    return ResponsesToolRunner(functions=loop.governed(registered(RegisteredFunction, executing)))


def async_runner_of(office: Office, loop: Any) -> Any:
    """As above, for a loop."""

    def executing(name: str) -> Any:
        async def execute(args: Any) -> str:
            return office.work(name, args["what"])

        return execute

    return AsyncResponsesToolRunner(functions=loop.governed(registered(AsyncRegisteredFunction, executing)))


def responses_of(office: Office, api: Api, loop: Any = None, *, stream: bool = False) -> str:
    """Run the SDK's own loop on governed functions; return its last words."""
    runner = runner_of(office, loop or HandlebarToolLoop(office.client))
    with listening(api) as url, connected(OpenAI, url) as client:
        return runner.run(client, REQUEST, max_steps=9, stream=stream).output_text


def responses_of_async(office: Office, api: Api, loop: Any = None, *, stream: bool = False) -> str:
    """As above, on a loop."""
    runner = async_runner_of(office, loop or HandlebarToolLoop(office.client))

    async def ran(url: str) -> Any:
        async with connected(AsyncOpenAI, url) as client:
            return await runner.run(client, REQUEST, max_steps=9, stream=stream)

    with listening(api) as url:
        return asyncio.run(ran(url)).output_text


def responses_by_stream(office: Office, api: Api, loop: Any = None) -> str:
    """Run the SDK's own loop as its answers are written."""
    return responses_of(office, api, loop, stream=True)


def responses_by_stream_async(office: Office, api: Api, loop: Any = None) -> str:
    """As above, on a loop."""
    return responses_of_async(office, api, loop, stream=True)


RESPONSES = [responses_of, responses_of_async, responses_by_stream, responses_by_stream_async]


@pytest.mark.parametrize("road", RESPONSES)
def test_functions_of_the_sdks_own_runner(office: Office, road: Road) -> None:
    """Ask before they run; the model gets the refusals as outputs."""
    api = responses_api("search delete search")
    with office.client.run("mine"):
        assert "done" == road(office, api)
    outputs = [item["output"] for item in api.seen[-1]["input"] if item.get("type") == "function_call_output"]
    assert ([("search", "it")] * 2, ["search: it", REFUSED, "search: it"]) == (office.done, outputs)
    assert {"mine"} == {request.run_id for request in office.plane.named("evaluate")}


@pytest.mark.parametrize("road", RESPONSES)
def test_a_terminate_ends_the_sdks_own_runner(office: Office, road: Road) -> None:
    """By an error; the model is not asked again."""
    api = responses_api("wipe", "search")
    with pytest.raises((ToolRunnerError, RunTerminatedError)):
        road(office, api)
    assert ([], 1, ["interrupted"]) == (office.done, len(api.seen), office.ends())


@pytest.mark.parametrize("road", RESPONSES)
def test_an_error_in_a_function_of_the_sdks_own_runner(office: Office, road: Road) -> None:
    """Is recorded, ends the runner as without us, and the run."""
    with pytest.raises((ToolRunnerError, ValueError)):
        road(office, responses_api("fail"))
    assert (["error"], ["no it"]) == (
        office.ends(),
        [event.data.error.message for event in office.events("tool.result")],
    )


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("broken", [True, False])
@pytest.mark.parametrize("road", RESPONSES)
def test_the_sdks_own_runner_without_a_control_plane(
    monkeypatch: pytest.MonkeyPatch, fail_closed: bool, broken: bool, road: Road
) -> None:
    """Or with a bug of ours: the call is answered as the client's fail mode says; a closed one ends the runner."""
    plane = ScriptedPlane(ALLOW if broken else UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))

    def bug(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    if broken:
        monkeypatch.setattr("handlebar.core.run.Run.before_tool_sync", bug)
    with nullcontext() if not fail_closed else pytest.raises((ToolRunnerError, RunTerminatedError)):
        road(office, responses_api("search"))
    assert ([] if fail_closed else [("search", "it")]) == office.done


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
@pytest.mark.parametrize("road", RESPONSES)
def test_the_sdks_own_runner_waits_for_a_person(office: Office, status: Any, then: Decision, road: Road) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    loop = HandlebarToolLoop(office.client, wait_for_approval=30)
    assert "done" == road(office, responses_api("pay"), loop)
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


def recorded_of(office: Office, api: Api, loop: Any = None, **options: Any) -> str:
    """Run the SDK's own loop on a recorded client; return its last words."""
    loop = loop or HandlebarToolLoop(office.client)
    with (
        listening(api) as url,
        connected(OpenAI, url) as client,
        loop.recording(client, REQUEST) as recorded,
    ):
        return runner_of(office, loop).run(recorded, REQUEST, **{"max_steps": 9, **options}).output_text


def recorded_of_async(office: Office, api: Api, loop: Any = None, **options: Any) -> str:
    """As above, on a loop."""
    loop = loop or HandlebarToolLoop(office.client)

    async def ran(url: str) -> Any:
        async with connected(AsyncOpenAI, url) as client, loop.recording_async(client, REQUEST) as recorded:
            return await async_runner_of(office, loop).run(recorded, REQUEST, **{"max_steps": 9, **options})

    with listening(api) as url:
        return asyncio.run(ran(url)).output_text


def recorded_by_stream(office: Office, api: Api, loop: Any = None) -> str:
    """Run the SDK's own loop on a recorded client, as its answers are written."""
    return recorded_of(office, api, loop, stream=True)


def recorded_by_stream_async(office: Office, api: Api, loop: Any = None) -> str:
    """As above, on a loop."""
    return recorded_of_async(office, api, loop, stream=True)


def recorded_eagerly(office: Office, api: Api, loop: Any = None) -> str:
    """Run the SDK's own loop, its calls made while the answer is still being written."""
    return recorded_of(office, api, loop, stream=True, eager=True)


RECORDED = [recorded_of, recorded_of_async, recorded_by_stream, recorded_by_stream_async, recorded_eagerly]


@pytest.mark.parametrize("road", RECORDED)
def test_what_a_recorded_client_says(office: Office, road: Road) -> None:
    """Is recorded once, in one run: instructions, question, the tools' results, the last word; and all tokens."""
    assert "done" == road(office, responses_api("search", "delete"))
    said = office.said()
    assert (1, 1, 1) == (said.count("Be kind."), said.count("Go"), said.count("done"))
    assert (1, 1) == (said.count("search: it"), said.count(REFUSED))
    assert [TokenCounts(10, 5)] * 3 == [event.data.tokens for event in office.events("llm.result")]
    assert (1, ["success"]) == (len({event.run_id for event in office.plane.events}), office.ends())


@pytest.mark.parametrize("road", RECORDED)
def test_an_error_in_a_function_ends_the_recorded_run(office: Office, road: Road) -> None:
    """It is recorded, and the run ends once."""
    with pytest.raises((ToolRunnerError, ValueError)):
        road(office, responses_api("fail"))
    errors = [event.data.error.message for event in office.events("tool.result")]
    assert (["no it"], ["error"]) == (errors, office.ends())


@pytest.mark.parametrize("road", RECORDED)
def test_an_error_in_the_model_ends_the_recorded_run(office: Office, road: Road) -> None:
    """What was asked is recorded."""
    with pytest.raises(ToolRunnerError):
        road(office, responses_api("broken"))
    assert (["Be kind.", "Go"], ["error"]) == (office.said(), office.ends())


@pytest.mark.parametrize("road", RECORDED)
def test_a_terminate_ends_the_recorded_run(office: Office, road: Road) -> None:
    """The model is not asked again."""
    api = responses_api("wipe", "search")
    with pytest.raises(ToolRunnerError):
        road(office, api)
    assert ([], 1, ["interrupted"]) == (office.done, len(api.seen), office.ends())


@pytest.mark.parametrize("road", RECORDED)
def test_a_recorded_client_in_the_callers_run(office: Office, road: Road) -> None:
    """Belongs to it, and leaves its end to the caller."""
    with office.client.run("mine"):
        road(office, responses_api("search"))
        assert [] == office.plane.named("end")
    assert {"mine"} == {request.run_id for request in office.plane.named("evaluate")}


@pytest.mark.parametrize("road", RECORDED)
def test_the_actor_of_a_recorded_run(office: Office, road: Road) -> None:
    """Is told by the runner's parameters."""
    road(office, responses_api("search"), HandlebarToolLoop(office.client, actor=lambda params: params["model"]))
    assert {"a-model"} == {request.actor.external_id for request in office.plane.named("evaluate")}


@pytest.mark.parametrize("road", RECORDED)
def test_redactors_change_what_a_recorded_client_sends(monkeypatch: pytest.MonkeyPatch, road: Road) -> None:
    """Instructions, question and the tools' results, at every request."""
    plane = ScriptedPlane()
    hide = [lambda text: text.replace("it", "[it]"), lambda text: text.replace("Go", "[Go]").replace("kind", "[kind]")]
    office = Office(plane, client_on(plane, monkeypatch, redactors=hide))
    api = responses_api("search", "search")
    road(office, api)
    told = [(body["instructions"], body["input"][0]["content"]) for body in api.seen]
    outputs = [item["output"] for item in api.seen[-1]["input"] if item.get("type") == "function_call_output"]
    assert ([("Be [kind].", "[Go]")] * 3, ["search: [it]"] * 2) == (told, outputs)


def test_a_recorded_block_that_is_left(office: Office) -> None:
    """Ends the run; the tools of the turn at hand do not run, and nothing stays bound."""
    loop = HandlebarToolLoop(office.client)
    with listening(responses_api("search")) as url, connected(OpenAI, url) as client:
        with pytest.raises(KeyboardInterrupt), loop.recording(client, REQUEST) as recorded:  # noqa: PT012  # in a turn
            for _ in runner_of(office, loop).iterate(recorded, REQUEST):
                raise KeyboardInterrupt
        assert get_current_run() is None
    assert (["interrupted"], []) == (office.ends(), office.done)


@pytest.mark.parametrize(
    ("road", "ledger"), [(recorded_of, ResponsesToolLedger), (recorded_of_async, AsyncResponsesToolLedger)]
)
def test_a_recorded_client_and_a_ledger(office: Office, road: Road, ledger: Any) -> None:
    """The runner asks for a client that does not retry: it is recorded too."""
    saved: list[Any] = []

    async def save(checkpoint: Any) -> None:
        saved.append(checkpoint)

    kept = ledger("run-1", save if ledger is AsyncResponsesToolLedger else saved.append)
    assert "done" == road(office, responses_api("search"), ledger=kept)
    assert ("search: it" in office.said(), True) == (True, bool(saved))


@pytest.mark.parametrize(
    ("item", "role", "content"),
    [
        ({"role": "developer", "content": "Be kind."}, "developer", "Be kind."),
        ({"type": "function_call_output", "call_id": "c", "output": "42"}, "tool", "42"),
        ({"type": "web_search_call", "id": "w"}, "assistant", [{"type": "web_search_call", "id": "w"}]),
        ({"role": "user", "content": [{"type": "input_text"}]}, "user", None),
        ("Go", "user", "Go"),
    ],
)
def test_who_says_an_item(item: Any, role: str, content: Any) -> None:
    """What the provider's own tools did comes from the model, not from the user."""
    message = message_of(item)
    assert (role, [item] if content is None else content) == (message.role, message.content)


def test_a_loop_within_a_loop(office: Office) -> None:
    """Belongs to the run of the loop around it, and leaves its end to that."""
    loop = HandlebarToolLoop(office.client)

    def search(what: str) -> Any:
        return by_run(office, openai_api("delete"), loop) + str(office.ends())

    api = openai_api("search")
    with listening(api) as url, connected(OpenAI, url) as client:
        loop.run(client, **params_of({"search": search}))
    assert (["done[]"], ["success"]) == (results(api), office.ends())


@pytest.mark.parametrize("road", ROADS)
def test_redactors_change_what_the_model_gets(monkeypatch: pytest.MonkeyPatch, road: Road) -> None:
    """The question and the tools' results, at every request."""
    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, redactors=[lambda text: text.replace("it", "[it]")]))
    api = openai_api("search")
    road(office, api, HandlebarToolLoop(office.client), messages=[{"role": "user", "content": "Find it"}])
    assert {"Find [it]"} == {body["messages"][0]["content"] for body in api.seen}
    assert ["search: [it]"] == results(api)


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
@pytest.mark.parametrize("road", ROADS)
def test_waiting_for_a_person(office: Office, status: Any, then: Decision, road: Road) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    assert "done" == road(office, openai_api("pay"), HandlebarToolLoop(office.client, wait_for_approval=30))
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("road", ROADS)
def test_a_control_plane_that_is_down(monkeypatch: pytest.MonkeyPatch, fail_closed: bool, road: Road) -> None:
    """The call is answered as the client's fail mode says."""
    plane = ScriptedPlane(UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))
    road(office, openai_api("search"), HandlebarToolLoop(office.client))
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
    said = road(office, openai_api("search"), HandlebarToolLoop(office.client))
    assert (LAST_WORDS if fail_closed else "done") == said
    assert ([] if fail_closed else [("search", "it")]) == office.done


def test_sixteen_at_once(office: Office) -> None:
    """Loops of one runner share nothing: each has a run of its own, and its own actor."""
    runner = HandlebarToolLoop(office.client, actor=lambda params: params["user"])

    def one(number: int) -> None:
        api = openai_api("search", what=f"user-{number}")
        by_run(office, api, runner, user=f"user-{number}")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(16)))
    asked = [each for each in office.plane.named("evaluate") if each.phase == "tool.before"]
    assert 16 == len({each.run_id for each in asked})
    assert all(each.actor.external_id == each.args.value()["what"] for each in asked)
    assert ["success"] * 16 == office.ends()
