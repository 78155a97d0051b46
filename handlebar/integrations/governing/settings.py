"""What every adapter may be told about the agents that it governs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Union

from attrs import field, frozen

from handlebar.core.schema.agents import Actor

ActorLoader = Callable[[Any], "Actor | str | None"]
"""Takes what the framework knows of the invocation; returns whom it acts for."""

STOPPED = "This run has been stopped by policy."
"""What an agent says last when policy has stopped its run."""


def _no_tags(tags: Any) -> Any:
    return {} if tags is None else tags


@frozen
class Settings:
    """
    Who acts, and how tools are tagged.

    Attributes:
        actor: Whom a run acts for, or a function that tells; what it raises goes on to the caller, before anything has
            run.

        tool_tags: Tags by tool name.
    """

    actor: Union[Actor, str, ActorLoader, None] = None
    tool_tags: Mapping[str, Sequence[str]] = field(default=None, converter=_no_tags)

    def actor_of(self, context: Any) -> Actor | str | None:
        """Return whom the invocation of that *context* acts for."""
        return self.actor(context) if callable(self.actor) else self.actor

    def tags_of(self, tool_name: str, own: Iterable[str] = ()) -> list[str] | None:
        """Return the tags of a tool that has its *own* too; None, where there are none, means those registered."""
        return [*self.tool_tags.get(tool_name, ()), *own] or None
