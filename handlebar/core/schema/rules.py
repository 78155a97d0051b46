"""Policies and rules as values; `handlebar.policy.load_policies` makes and checks them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Union

from attrs import Factory, frozen

from handlebar.core.schema.effects import Effect as Effect

Mode = Literal["enforce", "shadow"]
"""Act on what a rule says, or only report what it would have done."""


@frozen
class ToolSelector:
    """
    Which tools are meant: by name, or by tag.

    Attributes:
        by: `toolName` or `toolTag`.

        patterns: Globs (`*`), one of which the name has to match, where *by* is `toolName`.

        tags: The tags to look for, where *by* is `toolTag`.

        op: `anyOf` or `allOf` of the tags.
    """

    by: Literal["toolName", "toolTag"]
    patterns: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    op: Literal["anyOf", "allOf"] = "anyOf"


@frozen(kw_only=True)
class ToolNameCondition:
    """The tool's name compares so; *value* is a tuple where *op* is `in`."""

    kind: ClassVar[str] = "toolName"
    op: Literal["eq", "neq", "contains", "startsWith", "endsWith", "glob", "in"]
    value: str | tuple[str, ...]


@frozen(kw_only=True)
class ToolTagCondition:
    """The call's tags hold *tag* (op `has`), or any or all of *tags*."""

    kind: ClassVar[str] = "toolTag"
    op: Literal["has", "anyOf", "allOf"]
    tag: str | None = None
    tags: tuple[str, ...] | None = None


@frozen(kw_only=True)
class ToolArgCondition:
    """
    The argument at *path* compares so.

    Attributes:
        type: `string`, `number` or `boolean`; None where *op* is `exists` or `notExists`.

        path: Names and list positions with dots between; None scans every string in the arguments.
    """

    kind: ClassVar[str] = "toolArg"
    type: Literal["string", "number", "boolean"] | None = None
    op: str
    path: str | None = None
    value: str | float | bool | tuple[str, ...] | None = None


@frozen(kw_only=True)
class EnduserTagCondition:
    """The actor's metadata have *tag* (op `has`), with *value*, or with one of *values*."""

    kind: ClassVar[str] = "enduserTag"
    op: Literal["has", "hasValue", "hasValueAny"]
    tag: str
    value: str | None = None
    values: tuple[str, ...] | None = None


@frozen(kw_only=True)
class ExecutionTimeCondition:
    """This call (scope `tool`), or all tool calls of the run (`total`), took such a time; `tool.after` only."""

    kind: ClassVar[str] = "executionTime"
    scope: Literal["tool", "total"]
    op: Literal["gt", "gte", "lt", "lte", "eq", "neq"]
    ms: float


@frozen(kw_only=True)
class SequenceCondition:
    """The run's past calls break the demand: an entry that must have been called was not, or the reverse."""

    kind: ClassVar[str] = "sequence"
    must_have_called: tuple[ToolSelector, ...] | None = None
    must_not_have_called: tuple[ToolSelector, ...] | None = None


@frozen(kw_only=True)
class MaxCallsCondition:
    """
    So many calls have been allowed already.

    Attributes:
        per: `agent` or `agent_user`; None with no window: the calls of this run, with a window: the agent's.

        tag_filter: Only the calls of runs that bear these tags count.
    """

    kind: ClassVar[str] = "maxCalls"
    selector: ToolSelector
    max: int
    window_seconds: float | None = None
    per: Literal["agent", "agent_user"] | None = None
    tag_filter: Mapping[str, str] | None = None


@frozen(kw_only=True)
class MetricRef:
    """Which metric: one of the built-in keys, or a custom one."""

    kind: Literal["inbuilt", "custom"]
    key: str


@frozen(kw_only=True)
class MetricWindowCondition:
    """The aggregate of a metric over a window compares so; a window is needed in every scope but `run`."""

    kind: ClassVar[str] = "metricWindow"
    scope: Literal["run", "agent", "agent_user"]
    metric: MetricRef
    aggregate: Literal["sum", "avg", "max", "min", "count"]
    window_seconds: float | None = None
    op: Literal["gt", "gte", "lt", "lte", "eq", "neq"]
    value: float
    on_missing: Effect | None = None


@frozen(kw_only=True)
class TimeZoneSource:
    """
    Where the time zone comes from.

    Attributes:
        source: `static`, then *tz* names it; or `enduserTag`, then *tag* names the actor's metadata that do.

        fallback: `org`: where the actor has none, the time zone in *tz* (UTC without one).
    """

    source: Literal["static", "enduserTag"]
    tz: str | None = None
    tag: str | None = None
    fallback: Literal["org"] | None = None


@frozen(kw_only=True)
class TimeWindow:
    """Hours on some days, bounds included; an *end* before the *start* lies on the next day."""

    days: tuple[str, ...]
    start: str
    end: str


@frozen(kw_only=True)
class TimeGateCondition:
    """Now lies in one of the windows."""

    kind: ClassVar[str] = "timeGate"
    timezone: TimeZoneSource
    windows: tuple[TimeWindow, ...]


@frozen(kw_only=True)
class RequireSubjectCondition:
    """A subject of that type was extracted for the call."""

    kind: ClassVar[str] = "requireSubject"
    subject_type: str
    id_system: str | None = None


@frozen(kw_only=True)
class SignalBinding:
    """
    Where an argument of a signal comes from.

    Attributes:
        from_: `enduserId`, `enduserTag`, `toolName`, `toolTag`, `toolArg`, `subject` or `const`.

        field: `id` or `idSystem`, of a subject.
    """

    from_: Literal["enduserId", "enduserTag", "toolName", "toolTag", "toolArg", "subject", "const"]
    tag: str | None = None
    path: str | None = None
    subject_type: str | None = None
    role: str | None = None
    field: Literal["id", "idSystem"] | None = None
    value: Any = None


@frozen(kw_only=True)
class SignalCondition:
    """What the signal's provider says of the bound arguments compares so."""

    kind: ClassVar[str] = "signal"
    key: str
    args: Mapping[str, SignalBinding] = Factory(dict)
    op: Literal["eq", "neq", "gt", "gte", "lt", "lte", "in", "nin"]
    value: Any
    on_missing: Effect | None = None


@frozen(kw_only=True)
class CustomCondition:
    """A function that the host application has registered says so."""

    kind: ClassVar[str] = "custom"
    name: str
    args: Mapping[str, Any] = Factory(dict)


@frozen(kw_only=True)
class DetectorSubCondition:
    """The domain, top-level domain or scheme of what was found compares so; of several values one is enough."""

    check: Literal["domain", "tld", "scheme"]
    op: Literal["eq", "neq", "endsWith", "in"]
    value: str | tuple[str, ...]


@frozen(kw_only=True)
class Detector:
    """What to look for, such as `email` or `credit_card`; *sub_condition* says which of those found count."""

    detector: str
    sub_condition: DetectorSubCondition | None = None


@frozen(kw_only=True)
class SensitiveDataCondition:
    """
    Detectors find something in the arguments.

    Attributes:
        path: Names and list positions with dots between: the text or number there, and all those below it; None
            looks at every text in the arguments.

        op: Whether `anyOf` the detectors has to find something, or `allOf` them.
    """

    kind: ClassVar[str] = "sensitiveData"
    target: Literal["toolArg"] = "toolArg"
    path: str | None = None
    op: Literal["anyOf", "allOf"] = "anyOf"
    detectors: tuple[Detector, ...]


@frozen(kw_only=True)
class AndCondition:
    """All of them hold."""

    kind: ClassVar[str] = "and"
    all: tuple[RuleCondition, ...]


@frozen(kw_only=True)
class OrCondition:
    """One of them holds."""

    kind: ClassVar[str] = "or"
    any: tuple[RuleCondition, ...]


@frozen(kw_only=True)
class NotCondition:
    """It does not hold."""

    kind: ClassVar[str] = "not"
    not_: RuleCondition


RuleCondition = Union[
    ToolNameCondition,
    ToolTagCondition,
    ToolArgCondition,
    EnduserTagCondition,
    ExecutionTimeCondition,
    SequenceCondition,
    MaxCallsCondition,
    MetricWindowCondition,
    TimeGateCondition,
    RequireSubjectCondition,
    SignalCondition,
    CustomCondition,
    SensitiveDataCondition,
    AndCondition,
    OrCondition,
    NotCondition,
]
"""When a rule's effect applies; told apart by `kind`."""


@frozen(kw_only=True)
class ToolPattern:
    """Which tools a rule is about; the parts are ANDed, absent parts ask for nothing."""

    name: tuple[str, ...] | None = None
    tags_any: tuple[str, ...] | None = None
    tags_all: tuple[str, ...] | None = None


@frozen(kw_only=True)
class RuleSelector:
    """Which calls a rule is about; *phase* is `tool.before` or `tool.after`."""

    phase: Literal["tool.before", "tool.after"]
    tool: ToolPattern = ToolPattern()


@frozen(kw_only=True)
class ApprovalTerms:
    """
    How a person's approval works (our extension).

    Attributes:
        required: So many different people have to approve; one who denies is enough to deny.

        approvers: Who may answer; None for anybody.

        expires_in_seconds: A question that nobody has answered by then has expired; None for never.

        uses: So many calls one approval is good for.
    """

    required: int = 1
    approvers: tuple[str, ...] | None = None
    expires_in_seconds: float | None = None
    uses: int = 1


@frozen(kw_only=True)
class RuleEffect:
    """
    What a rule does.

    Attributes:
        reason: Why, for people and models.

        control: `TERMINATE` stops the run, `CONTINUE` lets it go on; None: a block continues, a hitl stops.

        guidance: What the model may do instead.

        approval: How the person's approval works, of an effect of type hitl.
    """

    type: Effect
    reason: str | None = None
    control: Literal["CONTINUE", "TERMINATE"] | None = None
    guidance: str | None = None
    approval: ApprovalTerms | None = None


@frozen(kw_only=True)
class Rule:
    """
    One rule of a policy.

    Attributes:
        priority: Higher ones come first; ties go by id.

        on_missing: The effect where a value that the condition needs cannot be had.

        mode: `shadow` reports what the rule would have done; None: as its policy says.
    """

    id: str
    policy_id: str
    name: str
    enabled: bool = True
    priority: int = 0
    selector: RuleSelector
    condition: RuleCondition
    effect: RuleEffect
    on_missing: Effect | None = None
    mode: Mode | None = None


@frozen(kw_only=True)
class AgentSelector:
    """Which agents a policy is for; the parts are ANDed, with none it is for all."""

    any_of_slugs: tuple[str, ...] | None = None
    any_of_tags: tuple[str, ...] | None = None
    all_of_tags: tuple[str, ...] | None = None


@frozen(kw_only=True)
class Policy:
    """Rules for some agents, enforced or in shadow."""

    id: str
    name: str
    description: str | None = None
    agent_selector: AgentSelector = AgentSelector()
    enabled: bool = True
    mode: Mode = "enforce"
    combine: Literal["most_severe_wins"] = "most_severe_wins"
    on_missing_default: Effect | None = None
    rules: tuple[Rule, ...]
