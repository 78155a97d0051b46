"""Hooks for the Claude Agent SDK, called with what the SDK documents as their input."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from handlebar.core.schema.events import TokenCounts
from handlebar.core.schema.governance import Decision
from handlebar.errors import UnreachableError
from tests.integrations.frameworks.office import ASK, REFUSED, STOPPED, Office, in_turn, overtaken
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, ScriptedPlane

pytest.importorskip("claude_agent_sdk", reason="claude-agent-sdk is not installed")

from claude_agent_sdk import AssistantMessage, ClaudeAgentOptions, HookMatcher, ResultMessage, TextBlock, ToolUseBlock
from claude_agent_sdk.types import (
    PostToolUseFailureHookInput,
    PostToolUseHookInput,
    PreToolUseHookInput,
    UserPromptSubmitHookInput,
)

from handlebar.integrations.claude_agent import Governed, HandlebarHooks

ABOUT: Any = {"session_id": "s-1", "transcript_path": "t", "cwd": "c"}


async def hook(governed: Governed, event: Any, given: Any) -> Any:
    """Call the last hook of an event, as the SDK does."""
    return await governed.options.hooks[event][-1].hooks[0](given, given.get("tool_use_id"), {"signal": None})


async def call(office: Office, governed: Governed, name: str, number: int = 0, what: str = "it") -> Any:
    """Do what the command line does for one call; return what the hook before it answered."""
    wanted: Any = {"tool_name": name, "tool_input": {"what": what}, "tool_use_id": f"c-{number}"}
    answer = await hook(governed, "PreToolUse", PreToolUseHookInput(**ABOUT, hook_event_name="PreToolUse", **wanted))
    if answer:
        return answer
    try:
        response = office.work(name, what)
    except ValueError as error:
        failed = PostToolUseFailureHookInput(**ABOUT, hook_event_name="PostToolUseFailure", error=str(error), **wanted)
        return await hook(governed, "PostToolUseFailure", failed)
    done = PostToolUseHookInput(**ABOUT, hook_event_name="PostToolUse", tool_response=response, **wanted)
    return await hook(governed, "PostToolUse", done)


def within(
    office: Office, work: Callable[[Governed], Awaitable[Any]], hooks: HandlebarHooks | None = None, **about: Any
) -> Any:
    """Do *work* in a governed session."""

    async def ran() -> Any:
        mine = hooks or HandlebarHooks(office.client)
        async with mine.governing(ClaudeAgentOptions(), **about) as governed:
            return await work(governed)

    return asyncio.run(ran())


def test_what_is_allowed_runs_and_what_is_blocked_does_not(office: Office) -> None:
    """Also side by side; the refusal is the reason."""

    async def work(governed: Governed) -> Any:
        names = enumerate(["search", "delete", "search", "delete"])
        return await asyncio.gather(*(call(office, governed, name, number) for number, name in names))

    denied = {"permissionDecision": "deny", "permissionDecisionReason": REFUSED}
    answer = {"hookSpecificOutput": {"hookEventName": "PreToolUse", **denied}}
    assert [{}, answer, {}, answer] == within(office, work)
    assert ([("search", "it")] * 2, ["success"]) == (office.done, office.ends())


def test_a_terminate_ends_the_session(office: Office) -> None:
    """Every answer from then on says so, nobody is asked any more, and prompts are not taken."""

    async def work(governed: Governed) -> Any:
        first = await call(office, governed, "wipe")
        second = await call(office, governed, "search", 1)
        prompt = UserPromptSubmitHookInput(**ABOUT, hook_event_name="UserPromptSubmit", prompt="Go on")
        return [first, second, await hook(governed, "UserPromptSubmit", prompt)]

    answers = within(office, work)
    assert [False] * 3 == [answer["continue_"] for answer in answers]
    assert STOPPED == answers[0]["hookSpecificOutput"]["permissionDecisionReason"]
    assert ([], ["wipe"], ["interrupted"]) == (office.done, office.asked(), office.ends())


def test_calls_that_a_terminate_overtakes(office: Office) -> None:
    """Side by side with it, while they are being decided, are blocked as well; the session ends."""

    async def work(governed: Governed) -> Any:
        office.plane.answer = overtaken(governed.run)
        names = enumerate(["wipe", "search"])
        return await asyncio.gather(*(call(office, governed, name, number) for number, name in names))

    assert [False, False] == [answer["continue_"] for answer in within(office, work)]
    assert [] == office.done


def test_what_is_said_is_recorded(office: Office) -> None:
    """The prompt, the answers, and at the end the tokens."""

    async def work(governed: Governed) -> None:
        prompt = UserPromptSubmitHookInput(**ABOUT, hook_event_name="UserPromptSubmit", prompt="Go")
        await hook(governed, "UserPromptSubmit", prompt)
        governed.heard(AssistantMessage(content=[ToolUseBlock("c-1", "search", {})], model="a-model"))
        governed.heard(AssistantMessage(content=[TextBlock("done")], model="a-model"))
        used = {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 5}
        end: Any = {"subtype": "success", "session_id": "s-1", "is_error": False}
        governed.heard(ResultMessage(**end, duration_ms=1, duration_api_ms=1, num_turns=1, usage=used))

    within(office, work)
    assert (1, 1) == (office.said().count("Go"), office.said().count("done"))
    assert [TokenCounts(10, 5)] == [event.data.tokens for event in office.events("llm.result")]


def test_an_error_in_a_tool(office: Office) -> None:
    """Is recorded."""
    assert {} == within(office, lambda governed: call(office, governed, "fail"))
    assert ["no it"] == [event.data.error.message.strip('"') for event in office.events("tool.result")]


def test_actor_session_tags_and_the_callers_run(office: Office) -> None:
    """Come from the block, and from the table; within a run of the caller's, it is that one."""
    hooks = HandlebarHooks(office.client, tool_tags={"search": ["read"]})
    within(office, lambda governed: call(office, governed, "search"), hooks, actor="user-7", session_id="talk-1")
    request = office.plane.named("evaluate")[0]
    assert ("user-7", ("read",), "talk-1") == (
        request.actor.external_id,
        request.tool_tags,
        office.plane.named("start")[0].session_id,
    )
    with office.client.run("mine"):
        within(office, lambda governed: call(office, governed, "search"))
        assert ["success"] == office.ends()
    assert "mine" == office.plane.named("evaluate")[-1].run_id


def test_the_users_own_hooks_stay(office: Office) -> None:
    """Before ours, which block where they fail; the options given are not changed."""
    own = HookMatcher(matcher="Bash")
    options = ClaudeAgentOptions(hooks={"PreToolUse": [own]})

    async def merged() -> Any:
        async with HandlebarHooks(office.client).governing(options) as governed:
            return governed.options.hooks["PreToolUse"]

    first, mine = asyncio.run(merged())
    assert (own, "block", None) == (first, mine.on_failure, mine.matcher)
    assert {"PreToolUse": [own]} == options.hooks


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
def test_waiting_for_a_person(office: Office, status: Any, then: Decision) -> None:
    """The call is held until somebody has answered."""
    office.plane.approval = status
    office.plane.answer = in_turn(ASK, then)
    hooks = HandlebarHooks(office.client, wait_for_approval=30)
    within(office, lambda governed: call(office, governed, "pay"), hooks)
    assert ([("pay", "it")] if then is ALLOW else []) == office.done


@pytest.mark.parametrize("fail_closed", [True, False])
@pytest.mark.parametrize("broken", [True, False])
def test_a_control_plane_that_is_down_and_a_bug_of_ours(
    monkeypatch: pytest.MonkeyPatch, fail_closed: bool, broken: bool
) -> None:
    """The call is answered as the client's fail mode says; nothing raises."""
    plane = ScriptedPlane(ALLOW if broken else UnreachableError("nobody there", reason="network"))
    office = Office(plane, client_on(plane, monkeypatch, fail_closed=fail_closed))

    def bug(*args: Any, **options: Any) -> Any:
        raise TypeError("a bug")

    if broken:
        monkeypatch.setattr("handlebar.core.run.Run.before_tool_sync", bug)
    within(office, lambda governed: call(office, governed, "search"))
    assert ([] if fail_closed else [("search", "it")]) == office.done


def test_sixteen_at_once(office: Office) -> None:
    """Sessions share nothing."""
    hooks = HandlebarHooks(office.client)

    async def one(number: int) -> None:
        async with hooks.governing(ClaudeAgentOptions(), actor=f"user-{number}") as governed:
            await call(office, governed, "search", what=f"user-{number}")

    async def many() -> None:
        await asyncio.gather(*(one(number) for number in range(16)))

    asyncio.run(many())
    asked = [each for each in office.plane.named("evaluate") if each.phase == "tool.before"]
    assert 16 == len({each.run_id for each in asked})
    assert all(each.actor.external_id == each.args.value()["what"] for each in asked)
    assert ["success"] * 16 == office.ends()
