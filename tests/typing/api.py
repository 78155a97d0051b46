"""
How the public names may be used, as the type checker sees it. Never run.

An ignore stands where the use is wrong: strict checking complains when there is nothing to ignore.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

import handlebar
from handlebar import core
from handlebar.core.schema.governance import DecisionCause, RuleEval


@handlebar.tool
def look_up(order_id: str, *, limit: int = 5) -> list[str]:
    """Guarded without options."""
    return [order_id] * limit


@handlebar.tool(tags=["payments", "write"], on_block="return", require_run=False)
def issue_refund(order_id: str, amount: float) -> dict[str, float]:
    """Guarded with options."""
    return {order_id: amount}


@handlebar.tool(name="notify", description="Writes a letter")
async def notify(customer: str) -> bool:
    """Guarded, and a coroutine function."""
    return bool(customer)


class Desk:
    """Has guarded methods."""

    @handlebar.tool
    def open_ticket(self, title: str) -> int:
        """Guarded as a method."""
        return len(title)

    @staticmethod
    @handlebar.tool(tags=("read",))
    def count() -> int:
        """Guarded under a decorator of Python's."""
        return 0


def signatures() -> None:
    """The decorator keeps what it decorates."""
    found: list[str] = look_up("A-17", limit=3)
    refund: dict[str, float] = issue_refund("A-17", 40.0)
    sent: Coroutine[Any, Any, bool] = notify("ann")
    ticket: int = Desk().open_ticket("broken") + Desk.count()
    plain: Callable[[str, float], dict[str, float]] = issue_refund
    _ = (found, refund, sent, ticket, plain)

    look_up(17)  # type: ignore[arg-type]
    look_up("A-17", 3)  # type: ignore[call-arg]
    issue_refund("A-17", "much")  # type: ignore[arg-type]
    number: int = issue_refund("A-17", 1.0)  # type: ignore[assignment]
    handlebar.tool(on_block="explode")  # type: ignore[call-overload]
    handlebar.tool(tag=["payments"])  # type: ignore[call-overload]
    _ = number


def clients() -> handlebar.HandlebarClient:
    """The front door and the documented layer make the same clients."""
    first: handlebar.HandlebarClient = handlebar.init("desk", tools=[look_up, core.Tool("other")], fail_closed=True)
    second: core.Handlebar = core.HandlebarClient.init_sync(config())
    third: handlebar.HandlebarClient = handlebar.init(core.AgentDescriptor("desk", tags=["a"]), policies="p.yaml")
    ready: bool = first.ready_sync(timeout=2.0)
    first.register_tools_sync([issue_refund, notify])
    stats: core.ClientStats = second.stats()
    sent: int = stats.events_sent
    dropped: Mapping[str, int] = stats.events_dropped
    third.shutdown_sync()
    _ = (ready, sent, dropped)
    return handlebar.get_client()


def config() -> core.HandlebarClientConfig:
    """Every field by its name, in the short and the long form."""
    mode: core.EnforceMode = "shadow"
    base: core.HandlebarConfig = core.HandlebarClientConfig("desk")
    _ = base
    return core.HandlebarClientConfig(
        agent=core.AgentDescriptor(slug="desk", name="Desk", description="Refunds", tags=["a"]),
        api_key="key",
        api_endpoint="https://api.gethandlebar.com",
        fail_closed=True,
        enforce_mode=mode,
        sinks=[
            core.HttpSinkConfig("https://localhost", "key", queue_depth=10),
            core.ConsoleSinkConfig("pretty"),
            core.JsonlSinkConfig("events.jsonl"),
            Keeping(),
        ],
        tools=[core.Tool("look_up", tags=["read"]), core.define_tool("other", core.ToolMeta(tags=["x"]))],
        metric_hooks=[core.AgentMetricHook("risk", "tool.before", measure, when=lambda context: True, timeout_ms=50)],
        subject_registry=core.SubjectRegistry(),
        actor=core.Actor("u-1", metadata={"plan": "pro"}, group=core.ActorGroup("g-1")),
        policies=["policies.yaml"],
        evaluate="remote",
        redactors=[str.upper, redact_later],
        signals={"weather": lambda place: "rain"},
        custom_functions={"is_holiday": lambda: False},
        connect_timeout=1.0,
        read_timeout=2,
        decision_timeout=3.5,
    )


def wrong_configs() -> None:
    """What the checks refuse at run time is refused before, where types can tell."""
    core.HandlebarClientConfig("desk", enforce_mode="enforced")  # type: ignore[arg-type]
    core.HandlebarClientConfig("desk", fail_close=True)  # type: ignore[call-arg]
    core.HandlebarClientConfig()  # type: ignore[call-arg]
    core.ConsoleSinkConfig("yaml")  # type: ignore[arg-type]
    core.HttpSinkConfig(queue_depth="10")  # type: ignore[arg-type]
    core.AgentMetricHook("risk", "tool.during", measure)  # type: ignore[arg-type]
    core.LLMMessage("human", "hi")  # type: ignore[arg-type]
    core.RunConfig(session_id="s")  # type: ignore[call-arg]
    frozen = core.RunConfig("r-1")
    frozen.run_id = "r-2"  # type: ignore[misc]


def runs(client: handlebar.HandlebarClient) -> None:
    """A run from its start to its end, in blocking code."""
    with client.run(actor="u-1", session_id="s-1", model="gpt-4o", tags={"env": "test"}) as run:
        bound: handlebar.Run = run
        current: core.Run | None = handlebar.get_current_run()
        messages: Sequence[core.LLMMessage] = run.before_llm_sync([core.LLMMessage("user", "hi")], {"any": 1})
        usage = core.TokenUsage(input_tokens=5, output_tokens=2)
        response: core.LLMResponse = run.after_llm_sync(core.LLMResponse("hi", "gpt-4o", usage=usage))
        text: str | None = response.output_text
        decision: core.Decision = run.before_tool_sync("look_up", {"order_id": "A-17"}, ["read"])
        if decision.allowed and decision.verdict is core.Verdict.ALLOW:
            run.after_tool_sync("look_up", {}, ["A-17"], duration_ms=5, error=None, tool_tags=("read",))
        result: Any = run.call_tool(issue_refund, "A-17", amount=4.0)
        run.end_sync("error")
        _ = (bound, current, messages, text, result)
    run.end_sync("done")  # type: ignore[arg-type]


def run_state(run: handlebar.Run) -> None:
    """What a run tells of itself."""
    words: tuple[str, str | None, str] = (run.run_id, run.session_id, run.status)
    who: tuple[core.Actor | None, core.ModelInfo | None] = (run.actor, run.model)
    maps: tuple[Mapping[str, str], Mapping[str, Any]] = (run.tags, run.context)
    flags: tuple[bool, bool, int] = (run.is_ended, run.should_terminate, run.current_step_index)
    history: list[core.ToolResult] = run.get_history()
    decisions: list[core.Decision] = run.decisions
    _ = (words, who, maps, flags, history, decisions)
    run.run_id = "other"  # type: ignore[misc]


async def async_runs(client: handlebar.HandlebarClient) -> None:
    """The same in coroutines: each awaitable twin has the signature of its blocking method."""
    made: handlebar.HandlebarClient = await handlebar.HandlebarClient.init(config())
    ready: bool = await made.ready()
    await made.register_tools([look_up])
    run: core.Run = await made.start_run(core.RunConfig("r-1", actor="u-1", model="gpt-4o"))
    messages: Sequence[core.LLMMessage] = await run.before_llm([core.LLMMessage("user", "hi")])
    response: core.LLMResponse = await run.after_llm(core.LLMResponse("hi", core.ModelInfo("gpt-4o")))
    before: core.Decision = await run.before_tool("look_up", {}, tool_tags=["read"])
    after: core.Decision = await run.after_tool("look_up", {}, None, duration_ms=1.5, error=ValueError("no"))
    await run.end("interrupted")
    await made.shutdown()
    async with client.run() as other:
        sent: bool = await notify("ann")
        same: handlebar.Run = other
    _ = (ready, messages, response, before, after, sent, same)
    await run.end("done")  # type: ignore[arg-type]
    await run.before_tool()  # type: ignore[call-arg]


def carrying(run: handlebar.Run) -> None:
    """Runs in threads and functions; `bind` keeps signatures."""
    with ThreadPoolExecutor() as pool:
        future: Future[dict[str, float]] = pool.submit(handlebar.bind(issue_refund), "A-17", 4.0)
    threading.Thread(target=handlebar.bind(look_up), args=("A-17",)).start()
    later: Coroutine[Any, Any, bool] = handlebar.bind(notify)("ann")
    result: Any = handlebar.with_run(run, lambda: look_up("A-17"))
    _ = (future, later, result)


def decisions(decision: core.Decision) -> str:
    """A decision's parts have their types, and its cause is told apart by class."""
    rules: tuple[RuleEval, ...] = decision.evaluated_rules
    cause: DecisionCause = decision.cause
    control: handlebar.RunControl = decision.control
    optional: tuple[str | None, str | None] = (decision.final_rule_id, decision.guidance)
    shadow: tuple[core.ShadowEffect, ...] = decision.shadow
    _ = (rules, control, optional, shadow, core.FAILOPEN_DECISION.allowed, core.FAILCLOSED_DECISION.terminates)
    decision.message = "other"  # type: ignore[misc]
    if isinstance(cause, core.HitlPendingCause):
        return cause.approval_id
    if isinstance(cause, core.RuleViolationCause):
        return cause.rule_id
    if isinstance(cause, core.LockdownCause):
        return cause.lockdown_id or ""
    kind: str = cause.kind
    return kind


def errors() -> None:
    """Errors carry their datum."""
    try:
        look_up("A-17")
    except (handlebar.ToolBlockedError, handlebar.RunTerminatedError) as error:
        decision: handlebar.Decision = error.decision
        _ = decision
    except handlebar.RefusedError as error:
        status: int = error.status
        _ = (status, error.retry_after, error.reason)
    except handlebar.PolicyError as error:
        problems: tuple[str, ...] = error.problems
        _ = problems
    except (handlebar.ConfigError, handlebar.NoCurrentRunError, handlebar.NotInitialisedError) as error:
        root: handlebar.HandlebarError = error
        _ = root


def measure(context: Any) -> float:
    """Stand for a metric hook."""
    return float(len(context.tool_name))


async def redact_later(text: str) -> str:
    """Stand for an async redactor."""
    return text


def measuring() -> None:
    """Hooks, collectors, subjects and budgets."""
    registry = core.AgentMetricHookRegistry()
    registry.register_hook(core.AgentMetricHook("risk", "tool.after", lambda context: core.MetricInfo(1, "x")))
    registry.unregister_hook("risk", "tool.after")
    registry.unregister_hook("risk", "after")  # type: ignore[arg-type]
    collector = core.AgentMetricCollector()
    collector.add_inbuilt(core.InbuiltAgentMetricKind.LLM_COST_USD, 0.5, "USD")
    collector.set_custom("risk", 1)
    payload = collector.to_event_payload(aggregate=True)
    if payload is not None:
        value: float | str = payload["custom"]["risk"]["value"]
        _ = value
    subjects = core.SubjectRegistry()
    subjects.register("look_up", lambda context: core.SubjectRef("order", context["tool_args"]["order_id"]))
    cut: list[core.SubjectRef] = core.sanitise_subjects([core.SubjectRef("order", "A-17", role="x", id_system="y")])
    budgets = core.BudgetManager(60, [core.BudgetGrant("usd", "allow", 5.0)])
    budgets.usage({"usd": 1.5})
    again: bool = budgets.reevaluate()
    size: int = core.approx_bytes({"a": 1})
    records: int | None = core.approx_records([1])
    tokens: int = core.tokenise_count("hello")
    _ = (cut, again, size, records, tokens)


class Keeping(core.Sink):
    """A sink of the user's."""

    def __init__(self) -> None:
        self.kept: list[core.AuditEvent] = []

    def write_batch(self, agent_id: str, events: Sequence[core.AuditEvent]) -> None:
        """Keep the events; each class has the data of its kind."""
        for event in events:
            if isinstance(event, core.ToolDecisionEvent):
                verdict: core.Verdict = event.data.verdict
                _ = verdict
            if isinstance(event, core.RunEndedEvent):
                steps: int = event.data.total_steps
                _ = steps
            self.kept.append(event)


class Later(core.Sink):
    """A sink whose methods are coroutine functions."""

    async def init(self) -> None:
        """Get ready."""

    async def write_batch(self, agent_id: str, events: Sequence[core.AuditEvent]) -> None:
        """Keep nothing."""

    async def close(self) -> None:
        """Close."""


class Wrong(core.Sink):
    """Has a method of the wrong shape."""

    def write_batch(self, events: Sequence[core.AuditEvent]) -> None:  # type: ignore[override]
        """Take the events only."""


def sinks() -> None:
    """Sinks by their functions, and on a bus."""
    made: list[core.Sink] = [
        core.create_http_sink("https://localhost", "key", queue_depth=5),
        core.create_console_sink("json"),
        core.create_jsonl_sink("events.jsonl"),
        Later(),
    ]
    bus = core.SinkBus()
    bus.add(*made)
    bus.drain()
    bus.close()
    core.create_console_sink("yaml")  # type: ignore[arg-type]


class Agentic:
    """A tool of another package's."""

    name = "agentic"


def tools() -> None:
    """Describing tools keeps their types."""
    wrapped: Agentic = core.wrap_tool(Agentic(), core.ToolMeta(tags=["read"], description="Reads"))
    defined: core.Tool = core.define_tool("other")
    text: str = core.derive_output_text(core.LLMResponse([{"type": "text", "text": "hi"}], "gpt-4o"))
    slug: str = core.generate_slug()
    refusal: str = core.refusal_text(core.FAILCLOSED_DECISION)
    word: Literal["success", "error", "interrupted", "timeout"] = "success"
    status: core.RunEndStatus = word
    waiting: Awaitable[None] | None = Keeping().drain()
    _ = (wrapped, defined, text, slug, refusal, status, waiting)
