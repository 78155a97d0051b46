"""The seam between the agent and whatever decides what to do next."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from handlebar import ModelInfo, TokenUsage
from refund_desk_parts.conversation import Conversation, ToolCall


@frozen
class Turn:
    """
    What a planner says.

    Attributes:
        said: Its words, for the record.

        call: The tool that it wants called; None where it is done.

        usage: The tokens that this took; None where no language model was asked.
    """

    said: str
    call: ToolCall | None = None
    usage: TokenUsage | None = None


class Planner(Protocol):
    """Decides what to do next; is used from several threads at once, so keeps nothing of a conversation."""

    @property
    def model(self) -> ModelInfo:
        """What decides."""
        ...

    def next_turn(self, conversation: Conversation) -> Turn:
        """Return what to do next."""
        ...
