"""Sessions of the Claude Agent SDK's own command line, governed, on a loopback API."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from handlebar.core.schema.events import TokenCounts
from handlebar.errors import UnreachableError
from tests.integrations.frameworks.asking import A_NO, AskingPlane
from tests.integrations.frameworks.model_apis import Api, anthropic_api
from tests.integrations.frameworks.office import REFUSED, Office
from tests.support.clients import client_on
from tests.support.loopback import listening
from tests.support.planes import ScriptedPlane

pytest.importorskip("claude_agent_sdk", reason="claude-agent-sdk is not installed")

from claude_agent_sdk import (
    ClaudeAgentOptions,
    ClaudeSDKClient,
    HookMatcher,
    ResultMessage,
    create_sdk_mcp_server,
    query,
    tool,
)

from handlebar.integrations.claude_agent import HandlebarHooks

NAMES = ("search", "fail", "delete", "wipe", "pay")

pytestmark = pytest.mark.timeout(120)


def a_tool(office: Office, name: str) -> Any:
    """Return the tool of that name, in a server that runs in this process."""

    async def call(args: dict[str, Any]) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": office.work(name, args["what"])}]}

    return tool(name, f"Does {name} to something.", {"what": str})(call)


class Session:
    """A session of the command line, whose model is on loopback and wants the tools of one step after another."""

    def __init__(self, office: Office, url: str, home: Path) -> None:
        self._office = office
        server = create_sdk_mcp_server("desk", tools=[a_tool(office, name) for name in NAMES])
        self.options = ClaudeAgentOptions(
            model="claude-sonnet-4-5",
            system_prompt="Be kind.",
            tools=[],
            mcp_servers={"desk": server},
            allowed_tools=[f"mcp__desk__{name}" for name in NAMES],
            setting_sources=[],
            cwd=home,
            env={
                "ANTHROPIC_BASE_URL": url,
                "ANTHROPIC_API_KEY": "key",
                "CLAUDE_CONFIG_DIR": str(home),
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_AUTOUPDATER": "1",
                "HOME": str(home),
            },
        )

    async def begins(self, hooks: HandlebarHooks) -> Any:
        """Let the user say something; return the last message."""
        async with hooks.governing(self.options) as governed:
            async for message in query(prompt="Go", options=governed.options):
                governed.heard(message)
                last = message
        return last

    async def goes_on(self, hooks: HandlebarHooks, result: Any) -> Any:
        """Go on with the call that was deferred."""
        again = dataclasses.replace(self.options, resume=result.session_id)
        async with hooks.governing(again) as governed, ClaudeSDKClient(governed.options) as client:
            async for message in client.receive_response():
                governed.heard(message)
                last = message
        return last


def wanting(*steps: str) -> Api:
    """Return a model that wants the desk's tools."""
    return anthropic_api(*(" ".join(f"mcp__desk__{name}" for name in step.split()) for step in steps))


def results(api: Api) -> list[str]:
    """Return what the model got from the tools, in the order of the calls."""
    blocks = [block for block in api.seen[-1]["messages"][-1]["content"] if block["type"] == "tool_result"]
    told = sorted((block["tool_use_id"], block["content"]) for block in blocks)
    return [content if isinstance(content, str) else content[0]["text"] for _, content in told]


def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office, tmp_path: Path) -> None:
    """Also side by side; the model gets the refusals, and goes on; what was said and used is recorded."""
    api = wanting("search delete search fail")
    with listening(api) as url:
        last = asyncio.run(Session(office, url, tmp_path).begins(HandlebarHooks(office.client)))
    assert ("done", 2) == (last.result, len(api.seen))
    assert [("fail", "it"), ("search", "it"), ("search", "it")] == sorted(office.done)
    first, second, third, fourth = results(api)
    assert ("search: it", "search: it") == (first, third)
    assert (True, True) == (REFUSED in second, "no it" in fourth)
    assert ["success"] == office.ends()
    assert (1, 1) == (office.said().count("Go"), office.said().count("done"))
    assert TokenCounts(20, 10) in [event.data.tokens for event in office.events("llm.result")]
    assert ["error", "success", "success"] == sorted(event.data.outcome for event in office.events("tool.result"))


def test_a_terminate_ends_the_session(office: Office, tmp_path: Path) -> None:
    """The model is not asked again."""
    api = wanting("wipe", "search")
    with listening(api) as url:
        last = asyncio.run(Session(office, url, tmp_path).begins(HandlebarHooks(office.client)))
    assert (1, [], ["interrupted"]) == (len(api.seen), office.done, office.ends())
    assert isinstance(last, ResultMessage)


@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_control_plane_that_is_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fail_closed: bool) -> None:
    """The call is answered as the client's fail mode says."""
    plane = ScriptedPlane(UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))
    with listening(wanting("search")) as url:
        asyncio.run(Session(office, url, tmp_path).begins(HandlebarHooks(office.client)))
    assert ([] if fail_closed else [("search", "it")]) == office.done


def test_a_bug_in_a_hook_itself(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks the call, where the command line would have made it."""

    def bug(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    monkeypatch.setattr("handlebar.integrations.governing.gate.Gate.before", bug)
    with listening(wanting("search")) as url:
        session = Session(office, url, tmp_path)
        session.options.stderr = lambda line: None
        last = asyncio.run(session.begins(HandlebarHooks(office.client)))
    assert ("done", []) == (last.result, office.done)


@pytest.mark.parametrize("said", ["approved", "denied"])
def test_an_interrupt_for_a_person(asking: Office, person: AskingPlane, tmp_path: Path, said: str) -> None:
    """Nobody holds the run meanwhile; what goes on too early is deferred again; calls beside it are made once."""
    api, hooks = wanting("pay search"), HandlebarHooks(asking.client, on_approval="interrupt")
    with listening(api) as url:
        session = Session(asking, url, tmp_path)
        last = asyncio.run(session.begins(hooks))
        for _ in range(2):
            assert "mcp__desk__pay" == last.deferred_tool_use.name
            assert ([{"what": "it"}], [], 1) == (person.questions(), asking.ends(), len(api.seen))
            assert ("pay", "it") not in asking.done
            last = asyncio.run(session.goes_on(hooks, last))
        person.answer_all(said)
        last = asyncio.run(session.goes_on(hooks, last))
    assert ("done", None) == (last.result, last.deferred_tool_use)
    assert ([("pay", "it")] if said == "approved" else []) == [each for each in asking.done if each[0] == "pay"]
    assert ("pay: it" if said == "approved" else A_NO) in results(api)[0]
    assert 1 == len({each.run_id for each in person.named("evaluate")})
    assert ["success"] == asking.ends()


def test_the_users_own_hooks(office: Office, tmp_path: Path) -> None:
    """Are called beside ours."""
    heard: list[str] = []

    async def own(given: Any, tool_use_id: str | None, context: Any) -> dict[str, Any]:
        heard.append(given["tool_name"])
        return {}

    with listening(wanting("delete")) as url:
        session = Session(office, url, tmp_path)
        session.options.hooks = {"PreToolUse": [HookMatcher(hooks=[own])]}
        asyncio.run(session.begins(HandlebarHooks(office.client)))
    assert (["mcp__desk__delete"], []) == (heard, office.done)
