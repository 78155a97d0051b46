"""Packets written step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from handlebar.handoff.exceptions import ValidationError, invalid
from handlebar.handoff.models import (
    Actions,
    AgentInfo,
    Artifact,
    ChainHandoffRequest,
    ContextEntry,
    Decision,
    Dependency,
    DependencyStatus,
    DependencyType,
    HitlCheckpoint,
    Metadata,
    PacketContext,
    PacketCreate,
    PendingAction,
    Priority,
    TargetAgentInfo,
)
from handlebar.handoff.models.base import Model

B = TypeVar("B", bound="_Builder")
M = TypeVar("M", bound=Model)
C = TypeVar("C", bound=ChainHandoffRequest)


class _Builder:
    """
    What both builders collect.

    Each method takes what it is given on top of what is there, returns the builder, and raises `ValidationError`
    at once where a value cannot be used. Conversation, artifacts, decisions, actions, dependencies, tags and custom
    entries accumulate; the rest replaces. Not thread-safe.
    """

    def __init__(self) -> None:
        self._source: AgentInfo | None = None
        self._target: TargetAgentInfo | None = None
        self._summary: str | None = None
        self._priority = Priority.NORMAL
        self._tags: list[str] = []
        self._conversation: list[ContextEntry] = []
        self._artifacts: list[Artifact] = []
        self._custom: dict[str, Any] = {}
        self._decisions: list[dict[str, Any]] = []
        self._pending: list[dict[str, Any]] = []
        self._dependencies: list[Dependency] = []
        self._hitl: HitlCheckpoint | None = None
        self._schema_id: str | None = None

    def from_agent(
        self: B,
        id: str,  # noqa: A002  # the guide's name
        name: str,
        framework: str | None = None,
        version: str | None = None,
    ) -> B:
        """Say who hands over."""
        self._source = AgentInfo(id=id, name=name, framework=framework, version=version)
        return self

    def to_agent(self: B, id: str, name: str, framework: str | None = None) -> B:  # noqa: A002  # the guide's name
        """Say who takes over."""
        self._target = TargetAgentInfo(id=id, name=name, framework=framework)
        return self

    def from_(
        self: B, agent_id: str, agent_name: str, *, framework: str | None = None, version: str | None = None
    ) -> B:
        """Say who hands over, by the published client's name."""
        return self.from_agent(agent_id, agent_name, framework, version)

    def to(self: B, agent_id: str, agent_name: str, *, framework: str | None = None) -> B:
        """Say who takes over, by the published client's name."""
        return self.to_agent(agent_id, agent_name, framework)

    def with_summary(self: B, summary: str) -> B:
        """Say in a few words what this is about."""
        self._summary = summary
        return self

    def with_priority(self: B, priority: Priority | str) -> B:
        """Say how urgent it is: `low`, `normal`, `high` or `critical`."""
        try:
            self._priority = Priority(priority)
        except ValueError as error:
            raise invalid("priority", f"needs one of {', '.join(repr(each.value) for each in Priority)}") from error
        return self

    def with_tags(self: B, *tags: str | Iterable[str]) -> B:
        """Add tags, each once; a list of them or one by one."""
        given = [tag for each in tags for tag in ([each] if isinstance(each, str) else each)]
        self._tags = list(dict.fromkeys([*self._tags, *given]))
        return self

    def with_conversation(self: B, messages: Iterable[ContextEntry | Mapping[str, Any]]) -> B:
        """Add turns of the conversation: `ContextEntry` objects, or dicts with role and content."""
        self._conversation += _all("conversation_state", messages, ContextEntry)
        return self

    def with_artifact(self: B, key: str, value: Any, content_type: str | None = None) -> B:
        """Add something that was made or found: text, a list or a dict."""
        self._artifacts.append(Artifact(key=key, value=value, content_type=content_type))
        return self

    def with_artifacts(self: B, artifacts: Iterable[Artifact | Mapping[str, Any]]) -> B:
        """Add artifacts: `Artifact` objects, or dicts with key and value."""
        self._artifacts += _all("artifacts", artifacts, Artifact)
        return self

    def with_custom(self: B, custom: Mapping[str, Any]) -> B:
        """Add entries of your own to the context."""
        self._custom.update(custom)
        return self

    def with_decision(
        self: B,
        decision: str,
        rationale: str = "",
        alternatives: Iterable[str] | None = None,
        decided_by: str | None = None,
    ) -> B:
        """Add a decision; its id is `d1`, `d2`, …."""
        more = {"alternatives": list(alternatives or ()), "decided_by": decided_by}
        return self._append(self._decisions, Decision, None, {"decision": decision, "rationale": rationale, **more})

    def with_action(
        self: B,
        description: str,
        assignee: str,
        priority: Priority | str | None = None,
        depends_on: Iterable[str] | None = None,
        *,
        action_id: str | None = None,
    ) -> B:
        """Add something that is still to be done; its id is `a1`, `a2`, … where none is given."""
        more = {"priority": priority, "depends_on": list(depends_on or ())}
        return self._append(
            self._pending, PendingAction, action_id, {"description": description, "assignee": assignee, **more}
        )

    def with_dependency(
        self: B,
        id: str,  # noqa: A002  # the guide's name
        type: DependencyType | str = "api",  # noqa: A002  # the guide's name
        description: str = "",
        status: DependencyStatus | str | None = None,
        source: str | None = None,
    ) -> B:
        """Add something that the work depends on."""
        state = status or DependencyStatus.UNKNOWN
        given = {"id": id, "type": type, "description": description, "status": state, "source": source}
        self._dependencies.append(Dependency.from_dict(given))
        return self

    def with_hitl(
        self: B,
        reason: str,
        question: str | None = None,
        options: Iterable[str] | None = None,
        timeout_seconds: int | None = None,
    ) -> B:
        """Let a person answer before anybody goes on."""
        choices = None if options is None else list(options)
        self._hitl = HitlCheckpoint(reason=reason, question=question, options=choices, timeout_seconds=timeout_seconds)
        return self

    def with_schema(self: B, schema_id: str) -> B:
        """Have the context checked against a schema that the server keeps."""
        self._schema_id = schema_id
        return self

    def _append(self: B, parts: list[dict[str, Any]], kind: type[Model], name: str | None, part: dict[str, Any]) -> B:
        kind.from_dict({"id": name or "", **part})  # told now if it is wrong, not in build()
        parts.append({"id": name, **part})
        return self

    def _made(self, kind: type[C], **more: Any) -> C:
        self._check()
        return kind(
            metadata=Metadata(
                source_agent=self._source,  # type: ignore[arg-type]  # _check has seen it
                target_agent=self._target,  # type: ignore[arg-type]  # as above
                priority=self._priority,
                tags=self._tags,
            ),
            context=PacketContext(
                summary=self._summary,  # type: ignore[arg-type]  # as above
                conversation_state=self._conversation,
                artifacts=self._artifacts,
                custom=self._custom,
            ),
            decisions=numbered("d", self._decisions, Decision),
            actions=Actions(pending=numbered("a", self._pending, PendingAction)),
            dependencies=self._dependencies,
            hitl=self._hitl,
            schema_id=self._schema_id,
            **more,
        )

    def _check(self) -> None:
        """Name everything that is missing at once, and every id that comes twice."""
        problems = dict([*self._missing(), *self._repeated()])
        if problems:
            words = "; ".join(f"{field} {problem}" for field, problem in problems.items())
            raise ValidationError(words, status_code=None, field=next(iter(problems)))

    def _missing(self) -> Iterator[tuple[str, str]]:
        for field, agent, step in (
            ("metadata.source_agent", self._source, "from_agent"),
            ("metadata.target_agent", self._target, "to_agent"),
        ):
            if agent is None or not (agent.id.strip() and agent.name.strip()):
                yield field, f"is missing, or its id or name is: call {step}(id, name)"
        if not isinstance(self._summary, str) or not self._summary.strip():
            yield "context.summary", "is missing: call with_summary(text)"

    def _repeated(self) -> Iterator[tuple[str, str]]:
        actions = [action["id"] for action in self._pending if action["id"] is not None]
        dependencies = [dependency.id for dependency in self._dependencies]
        for field, ids in (("actions.pending", actions), ("dependencies", dependencies)):
            if len(set(ids)) < len(ids):
                yield field, "has an id twice"


class PacketBuilder(_Builder):
    """
    Collects what goes into a packet; `build` may be called again.

    Each method takes what it is given on top of what is there, returns the builder, and raises `ValidationError`
    at once where a value cannot be used.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parent: str | UUID | None = None

    def with_parent(self, packet_id: str | UUID) -> PacketBuilder:
        """Name the packet that this one follows."""
        self._parent = packet_id
        return self

    def build(self) -> PacketCreate:
        """
        Return the packet.

        Raises:
            ValidationError: Something is missing; the message names everything.
        """
        return self._made(PacketCreate, parent_packet_id=self._parent)


class ChainBuilder(_Builder):
    """Collects what `chain_handoff` sends, like `PacketBuilder`; `build` may be called again."""

    def build(self) -> ChainHandoffRequest:
        """
        Return the request.

        Raises:
            ValidationError: Something is missing; the message names everything.
        """
        return self._made(ChainHandoffRequest)


def _all(field: str, parts: Iterable[Any], kind: type[M]) -> list[M]:
    made = []
    for place, part in enumerate(parts):
        try:
            made.append(part if isinstance(part, kind) else kind.from_dict(part))
        except ValidationError as error:
            path = ".".join(filter(None, (field, str(place), error.field)))
            raise invalid(path, error.message.removeprefix(f"{error.field}: ")) from error
    return made


def numbered(letter: str, parts: list[dict[str, Any]], kind: type[M], *, taken: Iterable[str] = ()) -> list[M]:
    """Give those that have no id their place as one, or the next number that nobody else has."""
    taken = {*taken, *(part["id"] for part in parts)}
    made = []
    for place, part in enumerate(parts, 1):
        name = part["id"] or next(each for number in count(place) if (each := f"{letter}{number}") not in taken)
        taken.add(name)
        made.append(kind.from_dict({**part, "id": name}))
    return made
