"""Everything in force for one agent, as one document that another process can decide by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from handlebar.control.lockdowns import LockdownRecord
from handlebar.control.moments import microseconds, moment
from handlebar.control.policy_store import PolicyRecord
from handlebar.control.rulebook import AgentRules, InForce, agent_rules
from handlebar.core.plane import PolicySnapshot
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.core.wire import nanoseconds, timestamp
from handlebar.errors import BadAnswerError
from handlebar.policy import load_policies, policy_to_dict
from handlebar.policy.versions import digest_of


@frozen
class Snapshot:
    """
    What is in force for one agent.

    Attributes:
        lockdowns: Those of the agent, of its actors and its tools, that have not been lifted.
    """

    rules: AgentRules
    lockdowns: tuple[LockdownRecord, ...]


def snapshot_of(agent_id: str, rules: AgentRules, in_force: InForce) -> PolicySnapshot:
    """Return the document for one agent."""
    content = {
        "agentId": agent_id,
        "agent": {"slug": rules.agent.slug, "tags": list(rules.agent.tags or ())},
        "policies": [_policy(record) for record in rules.records],
        "lockdowns": [_lockdown(each) for each in in_force.lockdowns if each.agent_id == agent_id],
    }
    version = digest_of(content)
    return PolicySnapshot(version, json.dumps({"version": version, **content}, separators=(",", ":")))


def read_snapshot(document: PolicySnapshot) -> Snapshot:
    """
    Return what *document* holds, compiled.

    Raises:
        BadAnswerError: It is none that this version of the package can decide by.
    """
    try:
        return _snapshot(json.loads(document.text))
    except Exception as error:  # untrusted text can go wrong in any way
        raise BadAnswerError(f"The snapshot of the policies cannot be used ({type(error).__name__})") from error


def _snapshot(content: Mapping[str, Any]) -> Snapshot:
    agent = AgentDescriptor(content["agent"]["slug"], tags=content["agent"]["tags"])
    records = [_read_policy(each) for each in content["policies"]]
    agent_id = _text(content, "agentId")
    return Snapshot(agent_rules(agent, records), tuple(_read_lockdown(agent_id, each) for each in content["lockdowns"]))


def _policy(record: PolicyRecord) -> dict[str, Any]:
    changed_at = timestamp(microseconds(record.changed_at) * 1000)
    policy = None if record.policy is None else policy_to_dict(record.policy)
    return {"version": record.version, "source": record.source, "changedAt": changed_at, "policy": policy}


def _read_policy(content: Mapping[str, Any]) -> PolicyRecord:
    (policy,) = load_policies(content["policy"])
    return PolicyRecord(
        policy_id=policy.id,
        version=int(content["version"]),
        source=_text(content, "source"),
        changed_at=moment(nanoseconds(content["changedAt"]) // 1000),
        policy=policy,
    )


def _lockdown(record: LockdownRecord) -> dict[str, Any]:
    until = None if record.until is None else timestamp(microseconds(record.until) * 1000)
    since = timestamp(microseconds(record.since) * 1000)
    known = {"id": record.id, "actor": record.actor_id, "tool": record.tool_name, "reason": record.reason}
    return {name: value for name, value in {**known, "until": until, "since": since}.items() if value is not None}


def _read_lockdown(agent_id: str, content: Mapping[str, Any]) -> LockdownRecord:
    until = content.get("until")
    return LockdownRecord(
        id=_text(content, "id"),
        agent_id=agent_id,
        actor_id=content.get("actor"),
        tool_name=content.get("tool"),
        reason=_text(content, "reason"),
        until=None if until is None else moment(nanoseconds(until) // 1000),
        since=moment(nanoseconds(content["since"]) // 1000),
    )


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value
