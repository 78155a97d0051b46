"""The runner: the SDK's own, governed."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Literal

from agents import Agent, RunConfig, Runner, RunState

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.client import HandlebarClient
from handlebar.core.current import bound
from handlebar.core.schema.agents import Actor
from handlebar.errors import ConfigError
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import ActorLoader, Settings
from handlebar.integrations.openai_agents import resuming
from handlebar.integrations.openai_agents.guarding import Copies, Guards
from handlebar.integrations.openai_agents.recording import errors_recorded, recording


class HandlebarRunner:
    """
    Runs agents as the SDK's `Runner` does, governed; thread-safe, one may serve many agents.

    A run inside `with client.run(...)` belongs to that one; any other gets a run of its own, which ends with it. Its
    session is the SDK's `conversation_id`, or the id of its `session`.

    Args:
        client: Whose policies apply; None for the process's default client.

        actor: Whom a run acts for, or a function of the `context` given to the runner; what it raises goes on to the
            caller, before anything has run.

        tool_tags: Tags by tool name: the SDK's tools have none of their own.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.

        on_approval: What happens where nobody has answered: `block` the call, or `interrupt` the run, whose result
            has `interruptions` then; run its `to_state()` when the person has answered.
    """

    def __init__(
        self,
        client: HandlebarClient | None = None,
        *,
        actor: Actor | str | ActorLoader | None = None,
        tool_tags: Mapping[str, Sequence[str]] | None = None,
        wait_for_approval: float | None = None,
        on_approval: Literal["block", "interrupt"] = "block",
    ) -> None:
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(actor, tool_tags)
        self._guards = Guards(self._invocations, self._settings, interrupts=on_approval == "interrupt")

    def run_sync(self, agent: Agent[Any], input: Any, **options: Any) -> Any:  # noqa: A002  # the SDK's own name
        """
        Run *agent* to its end; takes and returns what `Runner.run_sync` does.

        Raises:
            ConfigError: *input* is a RunState of agents that are not governed.
        """
        invocation = self._begin(input, options)
        try:
            self._settle(invocation, input)
            with bound(invocation.run):
                result = Runner.run_sync(self.governed(agent), input, **self._options(invocation, options))
        except BaseException as error:
            self._invocations.finish(invocation, error)
            raise
        self._leave(invocation, result)
        return result

    async def run(self, agent: Agent[Any], input: Any, **options: Any) -> Any:  # noqa: A002  # the SDK's own name
        """Like `run_sync`."""
        invocation = await to_thread(self._begin, input, options)
        try:
            await to_thread(self._settle, invocation, input)
            with bound(invocation.run):
                result = await Runner.run(self.governed(agent), input, **self._options(invocation, options))
        except BaseException as error:
            await to_thread(self._invocations.finish, invocation, error)
            raise
        await to_thread(self._leave, invocation, result)
        return result

    def run_streamed(self, agent: Agent[Any], input: Any, **options: Any) -> Any:  # noqa: A002  # the SDK's own name
        """
        Begin to run *agent*; takes and returns what `Runner.run_streamed` does.

        The run ends when `stream_events()` is exhausted, left, or raises.
        """
        invocation = self._begin(input, options)
        try:
            self._settle(invocation, input)
            with bound(invocation.run):
                result = Runner.run_streamed(self.governed(agent), input, **self._options(invocation, options))
        except BaseException as error:
            self._invocations.finish(invocation, error)
            raise
        # The SDK makes the object, and leaves no other way to learn when the stream is over.
        result.stream_events = self._until_its_end(result, result.stream_events, invocation)
        return result

    def governed(self, agent: Agent[Any]) -> Agent[Any]:
        """
        Return a copy of *agent* whose tools ask before they run, as do those of every agent that it may hand over to.

        For `Runner` itself, and for `as_tool`; the MCP servers are shared with the original, and governed for it too.
        """
        return Copies(self._guards).of(agent)

    def resume_token(self, result: Any) -> str:
        """
        Return what another process needs, to go on with the run of an interrupted *result* and no other.

            with client.resume_run(token):
                runner.run_sync(agent, state)

        Raises:
            ConfigError: *result* was not interrupted, or not in this process, or in a run of the caller's own.
        """
        run_id = self._invocations.parked(item.call_id for item in result.interruptions)
        if run_id is None:
            raise ConfigError("result", "(a result)", "an interrupted result of this runner, outside of a run of yours")
        return self._invocations.find(run_id).run.resume_token

    def _begin(self, input: Any, options: Mapping[str, Any]) -> Invocation:  # noqa: A002  # the SDK's own name
        session = options.get("conversation_id") or getattr(options.get("session"), "session_id", None)
        return self._invocations.go_on(
            self._parked(input) if isinstance(input, RunState) else None,
            lambda: {"actor": self._settings.actor_of(options.get("context")), "session_id": session},
        )

    def _parked(self, state: Any) -> str | None:
        resuming.check(state)
        return self._invocations.parked(item.call_id for item in state.get_interruptions())

    def _settle(self, invocation: Invocation, input: Any) -> None:  # noqa: A002  # the SDK's own name
        if isinstance(input, RunState):
            resuming.settle(input, self._guards, invocation.gate)

    def _leave(self, invocation: Invocation, result: Any) -> None:
        if result.interruptions:
            self._invocations.park(invocation, [item.call_id for item in result.interruptions])
        else:
            self._invocations.finish(invocation)

    def _options(self, invocation: Invocation, options: Mapping[str, Any]) -> dict[str, Any]:
        config = options.get("run_config") or RunConfig()
        formatter = errors_recorded(invocation, config.tool_error_formatter)
        return {
            **options,
            "hooks": recording(invocation, options.get("hooks")),
            "run_config": dataclasses.replace(config, tool_error_formatter=formatter),
        }

    def _until_its_end(
        self, result: Any, stream: Callable[[], AsyncIterator[Any]], invocation: Invocation
    ) -> Callable[..., Any]:
        async def events() -> AsyncIterator[Any]:
            try:
                async for event in stream():
                    yield event
            except BaseException as error:
                await to_thread(self._invocations.finish, invocation, error)
                raise
            await to_thread(self._leave, invocation, result)

        return events
