"""Who acts and for whom: agent, tool, model, actor."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from handlebar.core.schema import checks

LONGEST_SLUG = 200
"""In characters: what is told apart by it, is looked up by it in every database."""


@frozen
class AgentDescriptor:
    """
    The agent as the control plane knows it.

    Attributes:
        slug: The agent's stable name; the same slug is the same agent everywhere.

        name: A name for people.

        description: What the agent is for.

        tags: Words that policies select agents by.
    """

    slug: str = field(validator=[checks.filled_text, checks.at_most(LONGEST_SLUG)])
    name: str | None = field(default=None, validator=checks.optional(checks.text))
    description: str | None = field(default=None, validator=checks.optional(checks.text))
    tags: tuple[str, ...] | None = field(
        default=None, converter=checks.tuple_or_none, validator=checks.optional(checks.texts)
    )


@frozen
class Tool:
    """
    A tool as the control plane knows it.

    Attributes:
        name: The name that rules match.

        description: What the tool does.

        tags: Words that rules match, e.g. `payments`, `write`.
    """

    name: str = field(validator=checks.filled_text)
    description: str | None = field(default=None, validator=checks.optional(checks.text))
    tags: tuple[str, ...] | None = field(
        default=None, converter=checks.tuple_or_none, validator=checks.optional(checks.texts)
    )


@frozen
class ModelInfo:
    """The language model that a run uses, e.g. `ModelInfo("gpt-4o", provider="openai")`."""

    name: str = field(validator=checks.filled_text)
    provider: str | None = field(default=None, validator=checks.optional(checks.text))


@frozen
class ActorGroup:
    """The group (team, customer, household) that an actor belongs to."""

    external_id: str = field(validator=checks.filled_text)
    metadata: Mapping[str, str] | None = field(default=None, validator=checks.optional(checks.text_by_text))
    name: str | None = field(default=None, validator=checks.optional(checks.text))


@frozen
class Actor:
    """
    The person, system or agent that a run acts for.

    Attributes:
        external_id: The actor's id in your own system.

        metadata: What rules of kind enduserTag look at.

        name: A name for people.

        group: The group the actor belongs to.
    """

    external_id: str = field(validator=checks.filled_text)
    metadata: Mapping[str, str] | None = field(default=None, validator=checks.optional(checks.text_by_text))
    name: str | None = field(default=None, validator=checks.optional(checks.text))
    group: ActorGroup | None = field(
        default=None,
        validator=checks.optional(checks.instance_of(ActorGroup, "an ActorGroup")),
    )
