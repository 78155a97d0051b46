"""The wire: what is asked and recorded as JSON text, and answers read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any, TypeVar, cast, get_args

from handlebar._plumbing import safe_json
from handlebar.core.measuring import Measured
from handlebar.core.plane import (
    ApprovalStatus,
    EncodedEvent,
    EvaluateRequest,
    Lockdown,
    PolicySnapshot,
    RunEndStatus,
    StartRequest,
)
from handlebar.core.schema.agents import AgentDescriptor, Tool
from handlebar.core.schema.events import EVENT_CLASSES, SCHEMA, AuditEvent, RawJson
from handlebar.core.schema.governance import (
    AllowCause,
    Decision,
    DecisionCause,
    HitlPendingCause,
    LockdownCause,
    PolicyVersion,
    RuleEval,
    RuleViolationCause,
    ShadowEffect,
)
from handlebar.core.schema.traces import RuleTrace
from handlebar.core.slugs import slugified
from handlebar.errors import BadAnswerError

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_CLASSES = {cls.kind: cls for cls in EVENT_CLASSES}
_CAUSES: Mapping[str, Callable[[Mapping[str, Any]], DecisionCause]] = {
    "ALLOW": lambda cause: AllowCause(),
    "RULE_VIOLATION": lambda cause: RuleViolationCause(_text(cause, "ruleId")),
    "HITL_PENDING": lambda cause: HitlPendingCause(_text(cause, "approvalId"), _text_or_none(cause, "ruleId")),
    "LOCKDOWN": lambda cause: LockdownCause(_text_or_none(cause, "lockdownId")),
}


def encode_agent(agent: AgentDescriptor, tools: Sequence[Tool]) -> str:
    """Return the body that registers *agent* with its *tools*."""
    listed = {"tools": [_write(tool) for tool in tools]} if tools else {}
    return safe_json.encode({**_write(agent), **listed})


def encode_tools(tools: Sequence[Tool]) -> str:
    """Return the body that makes *tools* known."""
    return safe_json.encode({"tools": [_tool_entry(tool) for tool in tools]})


def encode_start(request: StartRequest) -> str:
    """Return the body that starts a run; its id is in the path."""
    return safe_json.encode({key: part for key, part in _write(request).items() if key != "runId"})


def encode_evaluate(request: EvaluateRequest) -> str:
    """Return the body that asks for a decision; arguments and result are put in as they were encoded."""
    rest: dict[str, Any] = {"phase": request.phase, "agentId": request.agent_id, "tool": _tool_of(request)}
    if request.actor is not None:
        rest["actor"] = {"externalId": request.actor.external_id}
    if request.tags:
        rest["tags"] = dict(request.tags)
    if request.subjects:
        rest["subjects"] = [_write(subject) for subject in request.subjects]
    if request.metrics:
        rest["metrics"] = dict(request.metrics)
    if request.explain:
        rest["explain"] = True
    return _spliced(rest, args=request.args, result=request.result)


def encode_end(agent_id: str, status: RunEndStatus) -> str:
    """Return the body that ends a run."""
    return safe_json.encode({"agentId": agent_id, "status": status})


def encode_batch(agent_id: str, events: Sequence[EncodedEvent]) -> str:
    """Return the body that records *events*."""
    listed = ",".join(event.text for event in events)
    return f'{{"agentId":{safe_json.encode(agent_id)},"events":[{listed}]}}'


def encode_event(event: AuditEvent) -> EncodedEvent:
    """
    Return *event* as JSON text.

    Raises:
        Exception: Somebody put into the event what is not JSON; a batch goes without it then.
    """
    wire = _write(event)
    data = wire.pop("data", {})
    args = data.pop("args", None)
    raw = Measured(args["text"]) if isinstance(args, dict) else None
    ts = timestamp(wire.pop("timeNs"))
    envelope = {"schema": SCHEMA, "kind": event.kind, "ts": ts, **wire}
    text = _spliced(envelope, data=Measured(_spliced(data, args=raw)))
    return EncodedEvent(event.run_id, event.kind, ts, text)


def event_to_dict(event: AuditEvent) -> dict[str, Any]:
    """Return *event* as it is on the wire, as plain JSON values."""
    return cast("dict[str, Any]", json.loads(encode_event(event).text))


def event_from_dict(wire: Mapping[str, Any]) -> AuditEvent:
    """
    Return the event that *wire* describes.

    Raises:
        BadAnswerError: It is no audit event.
    """
    cls = _CLASSES.get(str(wire.get("kind")))
    if cls is None:
        raise BadAnswerError("The kind of an audit event is unknown")
    try:
        return cast(AuditEvent, _converter().structure({**wire, "timeNs": nanoseconds(wire["ts"])}, cls))
    except Exception as error:  # cattrs raises what the classes raise
        raise BadAnswerError(f"An audit event of kind {cls.kind} is malformed") from error


def timestamp(time_ns: int) -> str:
    """Return nanoseconds since 1970 as ISO 8601 in UTC, to the microsecond."""
    moment = _EPOCH + timedelta(microseconds=time_ns // 1000)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}Z"


def nanoseconds(iso: str) -> int:
    """Return an ISO 8601 time, in any zone, as nanoseconds since 1970."""
    moment = datetime.fromisoformat(iso.replace("Z", "+00:00"))
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def decode_agent_id(body: bytes) -> str:
    """Read the answer to a registration."""
    return _read(body, lambda answer: _text(answer, "agentId"))


def decode_lockdown(body: bytes) -> Lockdown:
    """Read the answer to a start."""
    return _read(body, _lockdown)


def decode_snapshot(body: bytes) -> PolicySnapshot:
    """Read what is in force for an agent; its content is left to whoever decides by it."""
    return _read(body, lambda answer: PolicySnapshot(_text(answer, "version"), body.decode()))


def decode_approval_status(body: bytes) -> ApprovalStatus:
    """Read what has become of a question to a person."""
    return _read(body, _approval_status)


def decode_decision(body: bytes) -> Decision:
    """
    Read a decision; checked by hand, because it is read on every call.

    Raises:
        BadAnswerError: It is none: a word is unknown, a part is missing or has the wrong type.
    """
    return _read(body, decision_from_dict)


def decision_from_dict(wire: Mapping[str, Any]) -> Decision:
    """Return the decision that *wire* describes; raises what comes of it where it describes none."""
    cause = wire["cause"]
    return Decision(
        wire["verdict"],
        wire["control"],
        _CAUSES[cause["kind"]](cause),
        _text(wire, "message"),
        tuple([_rule_eval(rule) for rule in _list(wire, "evaluatedRules")]),
        _text_or_none(wire, "finalRuleId"),
        _text_or_none(wire, "guidance"),
        tuple(_shadow_effect(effect) for effect in _list(wire, "shadow")),
        _text_or_none(wire, "decidedBy"),
        tuple([_policy_version(policy) for policy in _list(wire, "policyVersions")]),
        None if wire.get("trace") is None else tuple(from_dict(rule, RuleTrace) for rule in _list(wire, "trace")),
    )


def decision_to_dict(decision: Decision) -> dict[str, Any]:
    """Return *decision* as it is on the wire."""
    wire = _write(decision)
    for extension in ("shadow", "policyVersions"):
        if not wire[extension]:
            del wire[extension]
    return wire


@cache
def _converter() -> Any:
    """Return the converter of the wire, with what only these classes need; loaded when something is first sent."""
    from handlebar._plumbing.converters import wire_converter

    converter = wire_converter()
    converter.register_structure_hook(RawJson, lambda value, _: RawJson(safe_json.encode(value)))
    converter.register_structure_hook(DecisionCause, lambda cause, _: _CAUSES[cause["kind"]](cause))
    return converter


def to_dict(value: Any) -> dict[str, Any]:
    """Return a value of ours as it is on the wire."""
    return _write(value)


def from_dict(wire: Mapping[str, Any], cls: type[T]) -> T:
    """Return the value that *wire* describes; raises what comes of it where it describes none."""
    return cast(T, _converter().structure(wire, cls))


def _write(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", _converter().unstructure(value))


def _spliced(rest: Mapping[str, Any], **encoded: Measured | None) -> str:
    """Return *rest* as a JSON object with members at its end that are JSON text already."""
    members = [f'"{name}":{value.text}' for name, value in encoded.items() if value is not None]
    text = safe_json.encode(rest)
    return f"{text[:-1]}{',' if rest and members else ''}{','.join(members)}}}"


def _tool_of(request: EvaluateRequest) -> dict[str, Any]:
    return {"name": request.tool_name, **({"tags": list(request.tool_tags)} if request.tool_tags else {})}


def _tool_entry(tool: Tool) -> dict[str, Any]:
    entry: dict[str, Any] = {"key": f"function:{slugified(tool.name)}", "name": tool.name, "version": 1}
    entry["kind"] = "function"
    if tool.description is not None:
        entry["description"] = tool.description
    if tool.tags:
        entry["metadata"] = {"metadata": list(tool.tags)}
    return entry


def _read(body: bytes, read: Callable[[Any], T]) -> T:
    """Read an answer; whatever is wrong with it, it is a bad answer."""
    try:
        return read(json.loads(body))
    except Exception as error:  # untrusted text can go wrong in any way, deep nesting included
        raise BadAnswerError(f"The answer is not what the wire format promises ({type(error).__name__})") from error


def _lockdown(answer: Mapping[str, Any]) -> Lockdown:
    lockdown = {} if answer.get("lockdown") is None else answer["lockdown"]
    active = False if lockdown.get("active") is None else _truth(lockdown, "active")
    until = lockdown.get("until_ts")
    if not isinstance(until, (int, float, type(None))):
        raise TypeError("until_ts")
    return Lockdown(active, _text_or_none(lockdown, "reason"), None if until is None else int(until))


def _approval_status(answer: Mapping[str, Any]) -> ApprovalStatus:
    status = answer["status"]
    if status not in get_args(ApprovalStatus):
        raise ValueError("status")
    return cast(ApprovalStatus, status)


def _rule_eval(rule: Mapping[str, Any]) -> RuleEval:
    return RuleEval(_text(rule, "ruleId"), _truth(rule, "enabled"), _truth(rule, "matched"), _truth(rule, "violated"))


def _shadow_effect(effect: Mapping[str, Any]) -> ShadowEffect:
    return ShadowEffect(_text(effect, "ruleId"), _text(effect, "effect"), _text(effect, "message"))


def _policy_version(policy: Mapping[str, Any]) -> PolicyVersion:
    version = policy["version"]
    if not isinstance(version, int) or isinstance(version, bool):
        raise TypeError("version")
    return PolicyVersion(_text(policy, "policyId"), version)


def _list(wire: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = wire.get(key)
    if not isinstance(value, (list, tuple, type(None))):
        raise TypeError(key)
    return value or ()


def _text(wire: Mapping[str, Any], key: str) -> str:
    value = wire[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _text_or_none(wire: Mapping[str, Any], key: str) -> str | None:
    return None if wire.get(key) is None else _text(wire, key)


def _truth(wire: Mapping[str, Any], key: str) -> bool:
    value = wire[key]
    if not isinstance(value, bool):
        raise TypeError(key)
    return value
