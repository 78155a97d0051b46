"""The tables of hand-offs, and of who is told of them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, Table

from handlebar.control.tables.columns import Name, Number, Text, metadata

handoff_outbox = Table(
    "handoff_outbox",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
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
    Column("number", Number, primary_key=True, autoincrement=True),
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
    Column("number", Number, primary_key=True, autoincrement=True),
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
    Column("number", Number, primary_key=True, autoincrement=True),
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
    Index("handoff_packets_by_time", "tenant", "created_at", "id", "deleted"),
    Index("handoff_packets_by_status", "tenant", "status", "created_at", "id", "deleted"),
    Index("handoff_packets_by_source", "tenant", "source_agent", "created_at", "id"),
    Index("handoff_packets_by_target", "tenant", "target_agent", "created_at", "id"),
    Index("handoff_packets_by_run", "tenant", "run_id", "created_at", "id"),
    Index("handoff_packets_by_due", "due_at"),
    Index("handoff_packets_by_due_of_tenant", "tenant", "due_at"),
)

handoff_tags = Table(
    "handoff_tags",
    metadata,
    Column("packet_number", Number, primary_key=True, autoincrement=False),
    Column("tag", Text, primary_key=True),
    Index("handoff_tags_by_tag", "tag"),
)

handoff_happenings = Table(
    "handoff_happenings",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("packet_id", Text, nullable=False),
    Column("event_type", Text, nullable=False, comment="e.g. claimed"),
    Column("actor", Text, nullable=False, comment="e.g. agent:a-1"),
    Column("details", Text, nullable=False, comment="a JSON object"),
    Column("at", BigInteger, nullable=False),
    Index("handoff_happenings_by_packet", "packet_id", "tenant", "seq"),
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
