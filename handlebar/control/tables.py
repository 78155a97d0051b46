"""The tables of the control plane."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy import Text as _Text

metadata = MetaData()


class Text(TypeDecorator[str]):
    """Text of any origin: half of a surrogate pair, which no database holds, is kept as its escape."""

    impl = _Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        """Return *value* as UTF-8 can hold it."""
        return value if value is None or value.isascii() else value.encode(errors="backslashreplace").decode()


# SQLite numbers rows by itself only where the type is exactly INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")

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

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False, comment="for people"),
    Column("role", Text, nullable=False, comment="agent, viewer or admin"),
    Column("digest", Text, nullable=False, unique=True, comment="SHA-256 of the key, which is kept nowhere"),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger, comment="null while it may be used"),
)

tools = Table(
    "tools",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("description", Text),
    Column("tags", JSON, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("session_id", Text),
    Column("actor_id", Text),
    Column("actor", JSON(none_as_null=True)),
    Column("model", JSON(none_as_null=True)),
    Column("status", Text, comment="null while the run is active"),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("runs_by_start", "started_at"),
)

policy_versions = Table(
    "policy_versions",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
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
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("agent_id", Text, nullable=False),
    Column("tool_name", Text, nullable=False),
    Column("tool_tags", Text, nullable=False, comment="a JSON list"),
    UniqueConstraint("agent_id", "tool_name", "tool_tags"),
)

calls = Table(
    "calls",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("agent_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("actor_id", Text),
    Column("kind_id", _Number, nullable=False),
    Column("run_tags", JSON, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("calls_by_run", "agent_id", "run_id", "id"),
    Index("calls_by_kind", "kind_id", "at"),
    Index("calls_by_actor", "actor_id", "kind_id", "at"),
)

metric_samples = Table(
    "metric_samples",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("agent_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("actor_id", Text),
    Column("key", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("metric_samples_by_run", "agent_id", "run_id", "key"),
    Index("metric_samples_by_key", "agent_id", "key", "at"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("tool_name", Text, nullable=False),
    Column("args", Text, nullable=False, comment="the arguments as JSON"),
    Column("actor_id", Text),
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
)

approval_answers = Table(
    "approval_answers",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("approval_id", Text, nullable=False),
    Column("status", Text, nullable=False, comment="approved or denied"),
    Column("responded_by", Text, nullable=False),
    Column("note", Text),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("approval_id", "responded_by"),
)

lockdown_changes = Table(
    "lockdown_changes",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
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
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("agent_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
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
    Column("run_id", Text, primary_key=True),
    Column("length", Integer, nullable=False),
    Column("head", Text, nullable=False, comment="the hash of the run's last event"),
)
