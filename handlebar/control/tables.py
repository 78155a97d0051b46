"""The tables of the control plane."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
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
    """Text of any origin: half of a surrogate pair is kept as its escape; so is NUL, which PostgreSQL does not hold."""

    impl = _Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return *value* as the database can hold it."""
        if value is None:
            return None
        if dialect.name == "postgresql" and "\0" in value:
            value = value.replace("\0", "\\x00")
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()


class Name(TypeDecorator[str]):
    """
    Text that others have chosen, and that an index holds: of a long one the beginning, and a hash of the whole.

    PostgreSQL refuses what no page of an index can hold, and a call that is refused so would be left undecided. The
    same long name is the same still, wherever it is written or looked for; both databases hold it alike.
    """

    impl = _Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return *value* as an index can hold it."""
        if value is None or (len(value) <= _LONGEST_NAME and "\0" not in value and value.isascii()):
            return value
        return _shortened(value.replace("\0", "\\x00").encode(errors="backslashreplace"))


_LONGEST_NAME = 512
"""In bytes; several of them share an index."""

_KEPT = 400


def _shortened(name: bytes) -> str:
    if len(name) <= _LONGEST_NAME:
        return name.decode()
    return f"{name[:_KEPT].decode(errors='ignore')}~{sha256(name).hexdigest()}"


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
    Column("role", Text, nullable=False, comment="agent, viewer or admin; for hand-offs also reader or writer"),
    Column("prefix", Text, nullable=False, comment="how the key begins, to tell it by"),
    Column("digest", Text, nullable=False, unique=True, comment="SHA-256 of the key, which is kept nowhere"),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger, comment="null while it may be used"),
)

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("handoffs_per_day", Integer, nullable=False),
    Column("max_api_keys", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger, comment="null while it is there"),
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
    Column("digest", Text, nullable=False, comment="SHA-256 of name and tags, which may be too long for an index"),
    UniqueConstraint("agent_id", "digest"),
)

calls = Table(
    "calls",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("agent_id", Text, nullable=False),
    Column("run_id", Name, nullable=False),
    Column("actor_id", Name),
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
    Column("run_id", Name, nullable=False),
    Column("actor_id", Name),
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
    Index("approvals_by_tool", "agent_id", "tool_name", "created_at"),
)

approval_answers = Table(
    "approval_answers",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
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
    Column("seq", _Number, primary_key=True, autoincrement=True),
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

handoff_outbox = Table(
    "handoff_outbox",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("type", Text, nullable=False, comment="e.g. packet.created"),
    Column("packet_id", Text, comment="null where it is about no packet"),
    Column("status", Text, comment="of what it is about, by then"),
    Column("agents", JSON, nullable=False, comment="the ids of those between whom it happened"),
    Column("data", Text, nullable=False, comment="what streams and webhooks tell, as JSON"),
    Column("at", BigInteger, nullable=False),
    Index("handoff_outbox_by_tenant", "tenant", "seq"),
    sqlite_autoincrement=True,
)

handoff_webhooks = Table(
    "handoff_webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False, comment="the types of event that it is told"),
    Column("secret", Text, nullable=False, comment="sealed, where HANDLEBAR_SECRETS_KEY is set"),
    Column("active", Boolean, nullable=False, comment="false where it was deleted"),
    Column("created_at", BigInteger, nullable=False),
    Index("handoff_webhooks_by_tenant", "tenant", "created_at"),
)

handoff_deliveries = Table(
    "handoff_deliveries",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("webhook_id", Text, nullable=False),
    Column("packet_id", Text),
    Column("event_type", Text, nullable=False),
    Column("body", Text, nullable=False, comment="what is sent, the same at every attempt"),
    Column("status", Text, nullable=False, comment="pending, failed, delivered or dead_letter"),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Column("last_status_code", Integer),
    Column("next_at", BigInteger, comment="when it is due, under a lease when that runs out; null where it is no more"),
    Column("lease", Text, comment="of the one who is just sending it"),
    Column("delivered_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("handoff_deliveries_by_due", "next_at"),
    Index("handoff_deliveries_by_webhook", "webhook_id", "number"),
    Index("handoff_deliveries_by_tenant", "tenant", "status", "number"),
)

handoff_schemas = Table(
    "handoff_schemas",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("json_schema", Text, nullable=False, comment="a JSON object"),
    Column("created_at", BigInteger, nullable=False),
    Index("handoff_schemas_by_tenant", "tenant", "number"),
)

handoff_packets = Table(
    "handoff_packets",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("source_agent", Text, nullable=False, comment="the id of the one who hands over"),
    Column("target_agent", Text, nullable=False, comment="the id of the one who takes over"),
    Column("run_id", Name, comment="of the governed run that it comes from"),
    Column("body", Text, nullable=False, comment="the whole packet as it is on the wire"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("claimed_at", BigInteger, comment="when somebody took over; null while nobody has"),
    Column("waiting_since", BigInteger, comment="null while no person is waited for"),
    Column("due_at", BigInteger, comment="when it expires by itself; null for never"),
    Column("deleted", Boolean, nullable=False),
    Index("handoff_packets_by_time", "tenant", "created_at", "id"),
    Index("handoff_packets_by_status", "tenant", "status", "created_at"),
    Index("handoff_packets_by_source", "tenant", "source_agent", "created_at"),
    Index("handoff_packets_by_target", "tenant", "target_agent", "created_at"),
    Index("handoff_packets_by_run", "tenant", "run_id"),
    Index("handoff_packets_by_due", "due_at"),
)

handoff_tags = Table(
    "handoff_tags",
    metadata,
    Column("packet_number", _Number, primary_key=True, autoincrement=False),
    Column("tag", Text, primary_key=True),
    Index("handoff_tags_by_tag", "tag"),
)

handoff_happenings = Table(
    "handoff_happenings",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("packet_id", Text, nullable=False),
    Column("event_type", Text, nullable=False, comment="e.g. claimed"),
    Column("actor", Text, nullable=False, comment="e.g. agent:a-1"),
    Column("details", Text, nullable=False, comment="a JSON object"),
    Column("at", BigInteger, nullable=False),
    Index("handoff_happenings_by_packet", "packet_id", "seq"),
    Index("handoff_happenings_by_tenant", "tenant", "seq"),
)

handoff_answers = Table(
    "handoff_answers",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key", Text, primary_key=True, comment="the idempotency key of a call"),
    Column("digest", Text, nullable=False, comment="of the call"),
    Column("status", Integer, nullable=False),
    Column("body", Text, comment="the answer as JSON; null where it must not be kept"),
    Column("at", BigInteger, nullable=False),
    Index("handoff_answers_by_time", "at"),
)

server_secrets = Table(
    "server_secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

login_links = Table(
    "login_links",
    metadata,
    Column("digest", Text, primary_key=True, comment="of the secret in the link, which is kept nowhere"),
    Column("key_id", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, comment="null while it may be used"),
)

browser_logouts = Table(
    "browser_logouts",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False, comment="sessions of the key that are older are over"),
)

run_marks = Table(
    "run_marks",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("run_id", Name, primary_key=True),
    Column("mark", Text, primary_key=True, comment="what has come up in the run, e.g. verdict:BLOCK"),
    Column("started_at", BigInteger, nullable=False, comment="when the run has started"),
    # All that is asked for: a page of a common mark is found without looking at any run.
    Index("run_marks_by_mark", "mark", "started_at", "agent_id", "run_id"),
)


def _counts() -> list[Column[Any]]:
    return [
        Column("runs", Integer, nullable=False),
        Column("allowed", Integer, nullable=False),
        Column("blocked", Integer, nullable=False),
        Column("waiting", Integer, nullable=False, comment="calls that a person was asked about"),
        Column("tokens_in", BigInteger, nullable=False),
        Column("tokens_out", BigInteger, nullable=False),
        Column("cost_usd", Float, nullable=False, comment="of the models whose price is known"),
        Column("events_lost", BigInteger, nullable=False, comment="as clients say that lost them"),
    ]


usage_hours = Table(
    "usage_hours",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, comment="hours since 1970"),
    *_counts(),
)

usage_of_actors = Table(
    "usage_of_actors",
    metadata,
    Column("actor_id", Text, primary_key=True, comment="empty for none"),
    Column("agent_id", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, comment="hours since 1970"),
    *_counts(),
    # All that tells who was the busiest.
    Index("usage_of_actors_by_agent", "agent_id", "hour", "actor_id", "allowed", "blocked"),
)
