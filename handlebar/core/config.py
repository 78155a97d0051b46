"""What a client and a run are configured with; everything is checked when it is constructed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from attrs import Attribute, field, frozen

from handlebar.core.metrics.hooks import AgentMetricHook
from handlebar.core.redaction import Redactor
from handlebar.core.schema import checks
from handlebar.core.schema.agents import Actor, AgentDescriptor, ModelInfo, Tool
from handlebar.core.sinks.base import Sink
from handlebar.core.sinks.config import ConsoleSinkConfig, HttpSinkConfig, JsonlSinkConfig
from handlebar.core.subject_registry import SubjectRegistry
from handlebar.errors import ConfigError

EnforceMode = Literal["enforce", "shadow", "off"]
"""Act on decisions, only log them, or ask nobody at all."""

Evaluate = Literal["remote", "local", "auto"]
"""Ask for every decision, make those here that can be made here, or do so only while the policies are known."""

SinkConfig = HttpSinkConfig | ConsoleSinkConfig | JsonlSinkConfig
"""Where audit events go; a `Sink` of your own may stand in its place."""


def as_agent(agent: Any) -> Any:
    """Turn a slug into a descriptor; leave the rest to the check."""
    return AgentDescriptor(agent) if isinstance(agent, str) else agent


def as_actor(actor: Any) -> Any:
    """Turn an external id into an actor; leave the rest to the check."""
    return Actor(actor) if isinstance(actor, str) else actor


def as_model(model: Any) -> Any:
    """Turn a model's name into a model; leave the rest to the check."""
    return ModelInfo(model) if isinstance(model, str) else model


def as_tool(tool: Any) -> Tool:
    """
    Describe *tool*: a `Tool`, a guarded tool, or any callable or object with a name.

    Raises:
        ConfigError: *tool* has no name.
    """
    if isinstance(tool, Tool):
        return tool
    name = getattr(tool, "name", None) or getattr(tool, "__name__", None)
    if not isinstance(name, str):
        raise ConfigError("tools", tool, "a Tool, or a callable or object that has a name")
    description = getattr(tool, "description", None) or inspect.getdoc(tool)
    return Tool(name, description if isinstance(description, str) else None, getattr(tool, "tags", None))


def _as_tools(tools: Any) -> Any:
    if tools is None:
        return ()
    if isinstance(tools, (str, Mapping)) or not isinstance(tools, Sequence):
        raise ConfigError("tools", tools, "a list of tools")
    return tuple(as_tool(tool) for tool in tools)


def _as_hooks(hooks: Any) -> Any:
    """Take None for no hooks; freeze a list."""
    return () if hooks is None else checks.tuple_of(hooks)


def _as_tags(tags: Any) -> Any:
    """Take None for no tags."""
    return {} if tags is None else tags


_sink = checks.instance_of((Sink, HttpSinkConfig, ConsoleSinkConfig, JsonlSinkConfig), "a sink config or a Sink")


def _each(check: checks.Validator) -> checks.Validator:
    """Apply *check* to every item of a tuple."""

    def check_items(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, tuple):
            raise ConfigError(checks.where(instance, attribute), value, "a list")
        for item in value:
            check(instance, attribute, item)

    return check_items


def _callable_by_name(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    good = isinstance(value, Mapping)
    if not good or not all(isinstance(name, str) and callable(call) for name, call in value.items()):
        raise ConfigError(checks.where(instance, attribute), value, "a dict of str to callable")


def _session(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Allow what looks like a requests.Session, without importing requests."""
    if not (hasattr(value, "get_adapter") and hasattr(value, "merge_environment_settings")):
        raise ConfigError(checks.where(instance, attribute), value, "a requests.Session")


def _policies(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    if isinstance(value, bytes) or not isinstance(value, (str, os.PathLike, Sequence)):
        raise ConfigError(checks.where(instance, attribute), value, "a path, or a list of paths and policies")


_positive = checks.number(above=0)


@frozen
class HandlebarConfig:
    """
    What every client needs to know.

    Attributes:
        agent: The agent, or its slug.

        api_key: The key for a control plane over HTTP; `HANDLEBAR_API_KEY` where it is None.

        api_endpoint: `https://…`; or, for the embedded control plane, `sqlite:///file.db` or
            `postgresql+psycopg://user@host/name`; `HANDLEBAR_API_ENDPOINT` where it is None.

        fail_closed: Block, instead of allow, when nobody can be asked.

        enforce_mode: `enforce`, `shadow` (decide and record, but allow) or `off` (ask nobody).

        sinks: Where audit events go; None for the control plane.

        tools: The tools to register with the agent.
    """

    agent: AgentDescriptor = field(
        converter=as_agent,
        validator=checks.instance_of(AgentDescriptor, "an AgentDescriptor or a slug"),
    )
    api_key: str | None = field(default=None, repr=False, validator=checks.optional(checks.secret))
    api_endpoint: str | None = field(default=None, validator=checks.optional(checks.filled_text))
    fail_closed: bool = field(default=False, validator=checks.truth)
    enforce_mode: EnforceMode = field(default="enforce", validator=checks.one_of(("enforce", "shadow", "off")))
    sinks: tuple[SinkConfig | Sink, ...] | None = field(
        default=None,
        converter=checks.tuple_or_none,
        validator=checks.optional(_each(_sink)),
    )
    tools: tuple[Tool, ...] = field(default=(), converter=_as_tools)


@frozen
class HandlebarClientConfig(HandlebarConfig):
    """
    Everything that a client can be told; immutable.

    Attributes:
        metric_hooks: Functions that measure tool calls.

        subject_registry: Functions that tell whom or what a call touches.

        actor: Whom runs act for where the run itself does not say; an `Actor`, or an external id.

        policies: A file, a folder, or a list of files and policies, for the embedded control plane.

        evaluate: Who decides, with a control plane over HTTP: `remote`, the control plane; `local`, this process
            by the control plane's policies, where a rule needs nothing that others share; `auto`, the same, but
            the control plane where this process does not know the policies in force.

        redactors: Functions from str to str, applied in order to all text to and from the model.

        signals: Functions by key, for rules of kind signal.

        custom_functions: Functions by name, for rules of kind custom.

        connect_timeout: Seconds to wait for a connection.

        read_timeout: Seconds to wait for each piece of an answer.

        decision_timeout: Seconds that one decision may take in all, retries included.

        session: A `requests.Session` whose proxies, certificates, adapters and headers are used.

        poll_seconds: Seconds between two looks how the agent stands, by a thread of the client's; 0 for none. None:
            5 over HTTP, none where the control plane is embedded, whose every decision sees a lockdown.
    """

    metric_hooks: tuple[AgentMetricHook, ...] = field(
        default=(),
        converter=_as_hooks,
        validator=_each(checks.instance_of(AgentMetricHook, "AgentMetricHook objects")),
    )
    subject_registry: SubjectRegistry | None = field(
        default=None,
        validator=checks.optional(checks.instance_of(SubjectRegistry, "a SubjectRegistry")),
    )
    actor: Actor | None = field(
        default=None,
        converter=as_actor,
        validator=checks.optional(checks.instance_of(Actor, "an Actor or an external id")),
    )
    policies: Any = field(default=None, validator=checks.optional(_policies))
    evaluate: Evaluate = field(default="remote", validator=checks.one_of(("remote", "local", "auto")))
    redactors: tuple[Redactor, ...] = field(default=(), converter=checks.tuple_of, validator=_each(checks.callable_))
    signals: Mapping[str, Callable[..., Any]] | None = field(default=None, validator=checks.optional(_callable_by_name))
    custom_functions: Mapping[str, Callable[..., Any]] | None = field(
        default=None, validator=checks.optional(_callable_by_name)
    )
    connect_timeout: float = field(default=5.0, validator=_positive)
    read_timeout: float = field(default=10.0, validator=_positive)
    decision_timeout: float = field(default=10.0, validator=_positive)
    session: Any = field(default=None, repr=False, validator=checks.optional(_session))
    poll_seconds: float | None = field(default=None, validator=checks.optional(checks.number(at_least=0)))


@frozen
class RunConfig:
    """
    One invocation of the agent.

    Attributes:
        run_id: Unique for each execution; the same id while a run is active is the same run.

        session_id: The conversation that the run belongs to.

        actor: Whom the run acts for; replaces the client's.

        model: The language model, or its name.

        tags: Words on the run, for rules and for finding it again.

        run_ttl_ms: After so many milliseconds the run ends by itself, with status `timeout`; for the control plane also
            where its process was killed. While the run is parked they do not count, and afterwards they begin anew.

        context: Whatever your own code wants to find at `run.context`; stays in the process.
    """

    run_id: str = field(validator=checks.filled_text)
    session_id: str | None = field(default=None, validator=checks.optional(checks.filled_text))
    actor: Actor | None = field(
        default=None,
        converter=as_actor,
        validator=checks.optional(checks.instance_of(Actor, "an Actor or an external id")),
    )
    model: ModelInfo | None = field(
        default=None,
        converter=as_model,
        validator=checks.optional(checks.instance_of(ModelInfo, "a ModelInfo or a model's name")),
    )
    tags: Mapping[str, str] = field(factory=dict, converter=_as_tags, validator=checks.text_by_text)
    run_ttl_ms: float | None = field(default=None, validator=checks.optional(_positive))
    context: Mapping[str, Any] = field(factory=dict, repr=False)
