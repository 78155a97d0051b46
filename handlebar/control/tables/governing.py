"""The tables of agents, their runs, what was decided about them, and their audit trail."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, Table, UniqueConstraint

from handlebar.control.tables.columns import Name, Number, Text, metadata

agents = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False, comment="whose it is; what hangs on an agent is its tenant's"),
    Column("slug", Text, nullable=False),
    Column("name", Text),
    Column("description", Text),
    Column("tags", JSON, nullable=False),
    Column("version", Integer, nullable=False, comment="grows when the description changes"),
    Column("created_at", BigInteger, nullable=False, comment="microseconds since 1970, as all times here"),
    UniqueConstraint("tenant", "slug"),
)

tools = Table(
    "tools",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("name", Name, primary_key=True),
    Column("description", Text),
    Column("tags", JSON, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("id", Name, primary_key=True),
    Column("session_id", Name),
    Column("actor_id", Name),
    Column("actor", JSON(none_as_null=True)),
    Column("model", JSON(none_as_null=True)),
    Column("status", Text, comment="null while the run is active"),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column(
        "due_at", BigInteger, comment="when its time to live is over; null where it has none, and while it is parked"
    ),
    Index("runs_by_start", "started_at"),
    Index("runs_by_agent", "agent_id", "started_at"),
    Index("runs_by_actor", "actor_id", "started_at"),
    Index("runs_by_session", "session_id", "started_at"),
)

policy_versions = Table(
    "policy_versions",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("policy_id", Text, nullable=False),
    Column("source", Text, nullable=False, comment="the file, or the agent's config, that the policy came from"),
    Column("content", Text, comment="the policy as JSON; null where it was taken back"),
    Column("created_at", BigInteger, nullable=False),
    Index("policy_versions_by_policy", "tenant", "policy_id", "number"),
    sqlite_autoincrement=True,
)

call_kinds = Table(
    "call_kinds",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("agent_id", Text, nullable=False),
    Column("tool_name", Text, nullable=False),
    Column("tool_tags", Text, nullable=False, comment="a JSON list"),
    Column("digest", Text, nullable=False, comment="SHA-256 of name and tags, which may be too long for an index"),
    UniqueConstraint("agent_id", "digest"),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("agent_id", Text, nullable=False),
    Column("run_id", Name, nullable=False),
    Column("actor_id", Name),
    Column("kind_id", Number, nullable=False),
    Column("run_tags", JSON, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("calls_by_run", "agent_id", "run_id", "kind_id", "at"),
    Index("calls_by_kind", "kind_id", "at"),
    Index("calls_by_actor", "actor_id", "kind_id", "at"),
)

metric_samples = Table(
    "metric_samples",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("agent_id", Text, nullable=False),
    Column("run_id", Name, nullable=False),
    Column("actor_id", Name),
    Column("key", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("metric_samples_by_run", "agent_id", "run_id", "key", "at", "value"),
    Index("metric_samples_by_key", "agent_id", "key", "at", "value"),
    Index("metric_samples_by_actor", "agent_id", "key", "actor_id", "at", "value"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent_id", Text, nullable=False),
    Column("run_id", Name, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("tool_name", Name, nullable=False),
    Column("args", Text, nullable=False, comment="the arguments as JSON"),
    Column("actor_id", Name),
    Column("fingerprint", Text, nullable=False),
    Column("status", Text, nullable=False, comment="pending, approved, denied or used"),
    Column("reason", Text),
    Column("required", Integer, nullable=False),
    Column("approvers", JSON(none_as_null=True), comment="null for anybody"),
    Column("uses_left", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, comment="null for never"),
    Index("approvals_by_fingerprint", "fingerprint", "created_at"),
    Index("approvals_by_status", "status", "created_at"),
    Index("approvals_by_run", "agent_id", "run_id"),
    Index("approvals_by_tool", "agent_id", "tool_name", "created_at"),
)

approval_answers = Table(
    "approval_answers",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("approval_id", Text, nullable=False),
    Column("status", Text, nullable=False, comment="approved or denied"),
    Column("responded_by", Name, nullable=False),
    Column("note", Text),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("approval_id", "responded_by"),
)

lockdown_changes = Table(
    "lockdown_changes",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("lockdown_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("actor_id", Text, comment="null for all"),
    Column("tool_name", Text, comment="null for all"),
    Column("reason", Text, nullable=False),
    Column("until", BigInteger, comment="null for open end"),
    Column("since", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False, comment="false where this change has lifted it"),
    Index("lockdown_changes_by_lockdown", "lockdown_id", "number"),
    sqlite_autoincrement=True,
)

client_processes = Table(
    "client_processes",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("process", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("seen_at", BigInteger, nullable=False, comment="when it has last asked how the agent stands, nearly"),
    Index("client_processes_by_time", "seen_at"),
)

lockdown_confirmations = Table(
    "lockdown_confirmations",
    metadata,
    Column("lockdown_id", Text, primary_key=True),
    Column("process", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("received_at", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("agent_id", Text, nullable=False),
    Column("run_id", Name, nullable=False),
    Column("kind", Text, nullable=False),
    Column("ts", Text, nullable=False),
    Column("body", Text, nullable=False, comment="the event as JSON"),
    Column("hash", Text, nullable=False, comment="of the event before in this run, and of the body"),
    Index("events_by_run", "agent_id", "run_id", "seq"),
)

chains = Table(
    "chains",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("run_id", Name, primary_key=True),
    Column("length", Integer, nullable=False),
    Column("head", Text, nullable=False, comment="the hash of the run's last event"),
    Column("pruned", Integer, comment="so many of its first events are kept no more; null for none"),
    Column("pruned_head", Text, comment="the hash of the last of those"),
)
