"""MCP servers and clients whose tool calls are governed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from handlebar.core.schema.governance import Decision
from handlebar.errors import UnreachableError
from tests.integrations.frameworks.office import ASK, REFUSED, STOPPED, Office, in_turn, overtaken
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, ScriptedPlane

pytest.importorskip("mcp.server.extension", reason="mcp 2 is not installed")

from mcp import Client, MCPError
from mcp.server import MCPServer
from mcp.server.extension import compose_tool_call_handler
from mcp_types import CallToolRequestParams, CallToolResult, TextContent

from handlebar.integrations.mcp import HandlebarExtension, HandlebarSession

NAMES = ("search", "fail", "delete", "wipe", "pay")


def a_server(office: Office, *extensions: Any, is_async: bool = False) -> Any:
    """Return a server with every tool."""
    server = MCPServer("desk", extensions=list(extensions))
    for name in NAMES:
        server.add_tool((office.async_body if is_async else office.body)(name), name=name)
    return server


async def at_the_server(office: Office, *names: str, is_async: bool = False, what: str = "it", **options: Any) -> Any:
    """Call tools, side by side, of a server that has the gate."""
    server = a_server(office, HandlebarExtension(office.client, **options), is_async=is_async)
    async with Client(server) as client:
        return await asyncio.gather(*(client.call_tool(name, {"what": what}) for name in names))


async def at_the_client(office: Office, *names: str, is_async: bool = False, what: str = "it", **options: Any) -> Any:
    """Call tools, side by side, by a client that has the gate."""
    async with Client(a_server(office, is_async=is_async)) as client:
        session = HandlebarSession(client, office.client, **options)
        return await asyncio.gather(*(session.call_tool(name, {"what": what}) for name in names))


ROADS = [at_the_server, at_the_client]
Road = Callable[..., Any]


def texts(results: Any) -> list[tuple[bool, str]]:
    """Return what each result says, and whether it is an error."""
    return [(result.is_error, result.content[0].text) for result in results]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office, road: Road, is_async: bool) -> None:
    """Also side by side; whoever called gets the refusal as an error."""
    results = asyncio.run(road(office, "search", "delete", "search", "wipe", is_async=is_async))
    good, refused = (False, "search: it"), (True, REFUSED)
    assert [good, refused, good, (True, STOPPED)] == texts(results)
    assert [("search", "it")] * 2 == office.done


@pytest.mark.parametrize("road", ROADS)
def test_a_call_outside_of_a_run(office: Office, road: Road) -> None:
    """Gets a run of its own, which ends with it."""
    asyncio.run(road(office, "search"))
    asyncio.run(road(office, "wipe"))
    assert ["success", "interrupted"] == office.ends()


@pytest.mark.parametrize("road", ROADS)
def test_calls_that_come_after_a_terminate_are_blocked(office: Office, road: Road) -> None:
    """In the caller's run, which the server on stdio shares; nobody is asked any more."""

    async def one_after_another() -> None:
        with office.client.run("mine"):
            await road(office, "wipe")
            await road(office, "search")

    asyncio.run(one_after_another())
    assert ([], ["wipe"]) == (office.done, office.asked())


@pytest.mark.parametrize("road", ROADS)
def test_calls_that_a_terminate_overtakes(office: Office, road: Road) -> None:
    """Side by side with it, while they are being decided, are blocked as well; the run is the caller's, and stopped."""
    with office.client.run("mine") as run:
        office.plane.answer = overtaken(run)
        results = asyncio.run(road(office, "wipe", "search"))
    assert ([(True, STOPPED)] * 2, []) == (texts(results), office.done)


@pytest.mark.parametrize("road", ROADS)
def test_an_error_in_a_tool(office: Office, road: Road) -> None:
    """Is recorded, and goes back as it was."""
    assert [(True, "Error executing tool fail")] == texts(asyncio.run(road(office, "fail")))
    told = [event.data.error.message for event in office.events("tool.result")]
    assert ["Error executing tool fail"] == [text.strip('"') for text in told]


def test_a_server_that_cannot_be_reached(office: Office) -> None:
    """Its error goes to the caller unchanged, and is recorded."""

    class Gone:
        async def call_tool(self, *args: Any, **options: Any) -> Any:
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(HandlebarSession(Gone(), office.client).call_tool("search"))
    assert ["error"] == office.ends()
    assert ["gone"] == [event.data.error.message for event in office.events("tool.result")]


@pytest.mark.parametrize("road", ROADS)
def test_actor_and_tags(office: Office, road: Road) -> None:
    """Come from the context, and from the table."""
    asyncio.run(road(office, "search", actor=lambda context: "user-7", tool_tags={"search": ["read"]}))
    request = office.plane.named("evaluate")[0]
    told = (request.actor.external_id, request.tool_tags, request.args.value())
    assert ("user-7", ("read",), {"what": "it"}) == told


def test_an_actor_that_cannot_be_told(office: Office) -> None:
    """Nothing runs, and the client gets an error."""

    def nobody(context: Any) -> str:
        raise LookupError

    async def refused() -> None:
        async with Client(a_server(office, HandlebarExtension(office.client, actor=nobody))) as client:
            with pytest.raises(MCPError):
                await client.call_tool("search", {"what": "it"})

    asyncio.run(refused())
    assert [] == office.done


def test_the_rest_of_a_session_is_its_own(office: Office) -> None:
    """Lists, resources, prompts."""

    async def listed() -> Any:
        async with Client(a_server(office)) as client:
            return await HandlebarSession(client, office.client).list_tools()

    assert list(NAMES) == [tool.name for tool in asyncio.run(listed()).tools]


def test_a_handler_of_the_lower_level(office: Office) -> None:
    """Is governed by the same extension."""

    async def handler(ctx: Any, params: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=office.work(params.name, "it"))])

    class Context:
        request = None

    handle: Any = compose_tool_call_handler([HandlebarExtension(office.client)], handler)
    result = asyncio.run(handle(Context(), CallToolRequestParams(name="delete", arguments={})))
    assert ([(True, REFUSED)], []) == (texts([result]), office.done)


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
@pytest.mark.parametrize("road", ROADS)
def test_waiting_for_a_person(office: Office, status: Any, then: Decision, road: Road) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    asyncio.run(road(office, "pay", wait_for_approval=30))
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("road", ROADS)
def test_a_control_plane_that_is_down(monkeypatch: pytest.MonkeyPatch, fail_closed: bool, road: Road) -> None:
    """The call is answered as the client's fail mode says."""
    plane = ScriptedPlane(UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))
    asyncio.run(road(office, "search"))
    assert ([] if fail_closed else [("search", "it")]) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("road", ROADS)
def test_a_bug_of_ours(monkeypatch: pytest.MonkeyPatch, fail_closed: bool, road: Road) -> None:
    """Is as if the control plane were down; nothing raises."""
    plane = ScriptedPlane()
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))

    def broken(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    monkeypatch.setattr("handlebar.core.run.Run.before_tool_sync", broken)
    results = asyncio.run(road(office, "search"))
    assert fail_closed == results[0].is_error
    assert ([] if fail_closed else [("search", "it")]) == office.done


@pytest.mark.parametrize("road", ROADS)
def test_sixteen_at_once(office: Office, road: Road) -> None:
    """Calls share nothing: each has a run of its own."""

    async def many() -> None:
        await asyncio.gather(*(road(office, "search", what=f"{n}", actor=f"{n}") for n in range(16)))

    asyncio.run(many())
    asked = [each for each in office.plane.named("evaluate") if each.phase == "tool.before"]
    assert 16 == len({each.run_id for each in asked})
    assert all(each.actor.external_id == each.args.value()["what"] for each in asked)
    assert ["success"] * 16 == office.ends()
