"""What has been said and done about one ticket so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import Factory, define, frozen

from handlebar import LLMMessage
from refund_desk_parts.tickets import Ticket


@frozen
class ToolCall:
    """A tool that a planner wants called."""

    name: str
    args: Mapping[str, Any]


@frozen(kw_only=True)
class Step:
    """
    A tool call, and what became of it.

    Attributes:
        outcome: `done`; `failed` by the tool itself; `blocked` by policy; `waiting` for a person; `stopped`,
            and the whole run with it.

        text: What the planner is told: the result, the refusal or the error.

        result: What the tool returned.

        approval_id: What a person is asked under, where the call waits for one.
    """

    call: ToolCall
    outcome: Literal["done", "failed", "blocked", "waiting", "stopped"]
    text: str
    result: Any = None
    approval_id: str | None = None


@define
class Conversation:
    """
    Lives as long as the work on one ticket.

    Attributes:
        messages: What a planner may read, as the redactors left it: the instructions, the ticket, then one
            message for each step.
    """

    ticket: Ticket
    messages: list[LLMMessage] = Factory(list)
    steps: list[Step] = Factory(list)

    def last(self, tool: str, **args: Any) -> Step | None:
        """Return the last call of *tool* with at least these arguments."""
        wanted = args.items()
        calls = (step for step in reversed(self.steps) if step.call.name == tool)
        return next((step for step in calls if wanted <= dict(step.call.args).items()), None)

    def is_done(self, tool: str, **args: Any) -> bool:
        """Whether the last such call went well."""
        step = self.last(tool, **args)
        return step is not None and step.outcome == "done"
