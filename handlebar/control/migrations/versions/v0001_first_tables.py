"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up to this version."""
    op.create_table(
        "agents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False, comment="whose it is; what hangs on an agent is its tenant's"),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, comment="grows when the description changes"),
        sa.Column("created_at", sa.BigInteger(), nullable=False, comment="microseconds since 1970, as all times here"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "slug"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="for people"),
        sa.Column(
            "role", sa.Text(), nullable=False, comment="agent, viewer or admin; for hand-offs also reader or writer"
        ),
        sa.Column("prefix", sa.Text(), nullable=False, comment="how the key begins, to tell it by"),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the key, which is kept nowhere"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True, comment="null while it may be used"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "approval_answers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("approval_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="approved or denied"),
        sa.Column("responded_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("approval_id", "responded_by"),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("tool_name", sa.Text(), nullable=False),
        sa.Column("args", sa.Text(), nullable=False, comment="the arguments as JSON"),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="pending, approved, denied or used"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("required", sa.Integer(), nullable=False),
        sa.Column("approvers", sa.JSON(none_as_null=True), nullable=True, comment="null for anybody"),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True, comment="null for never"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("approvals_by_fingerprint", "approvals", ["fingerprint", "created_at"], unique=False)
    op.create_index("approvals_by_run", "approvals", ["agent_id", "run_id"], unique=False)
    op.create_index("approvals_by_status", "approvals", ["status", "created_at"], unique=False)
    op.create_index("approvals_by_tool", "approvals", ["agent_id", "tool_name", "created_at"], unique=False)
    op.create_table(
        "batches",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "id"),
    )
    op.create_table(
        "browser_logouts",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="sessions of the key that are older are over"),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_table(
        "call_hours",
        sa.Column("kind_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("whose", sa.Text(), nullable=False, comment="empty for everybody's, else a colon and the actor"),
        sa.Column("hour", sa.Integer(), nullable=False, comment="hours since 1970"),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind_id", "whose", "hour"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "call_kinds",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("tool_name", sa.Text(), nullable=False),
        sa.Column("tool_tags", sa.Text(), nullable=False, comment="a JSON list"),
        sa.Column(
            "digest", sa.Text(), nullable=False, comment="SHA-256 of name and tags, which may be too long for an index"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agent_id", "digest"),
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("kind_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_tags", sa.JSON(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("calls_by_actor", "calls", ["actor_id", "kind_id", "at"], unique=False)
    op.create_index("calls_by_kind", "calls", ["kind_id", "at"], unique=False)
    op.create_index("calls_by_run", "calls", ["agent_id", "run_id", "kind_id", "at"], unique=False)
    op.create_table(
        "chains",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False, comment="the hash of the run's last event"),
        sa.Column(
            "pruned", sa.Integer(), nullable=True, comment="so many of its first events are kept no more; null for none"
        ),
        sa.Column("pruned_head", sa.Text(), nullable=True, comment="the hash of the last of those"),
        sa.PrimaryKeyConstraint("agent_id", "run_id"),
    )
    op.create_table(
        "client_processes",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column(
            "seen_at", sa.BigInteger(), nullable=False, comment="when it has last asked how the agent stands, nearly"
        ),
        sa.PrimaryKeyConstraint("agent_id", "process"),
    )
    op.create_index("client_processes_by_time", "client_processes", ["seen_at"], unique=False)
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ts", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="the event as JSON"),
        sa.Column("hash", sa.Text(), nullable=False, comment="of the event before in this run, and of the body"),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("events_by_run", "events", ["agent_id", "run_id", "seq"], unique=False)
    op.create_table(
        "handoff_answers",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="the idempotency key of a call"),
        sa.Column("digest", sa.Text(), nullable=False, comment="of the call"),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True, comment="the answer as JSON; null where it must not be kept"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key"),
    )
    op.create_index("handoff_answers_by_time", "handoff_answers", ["at"], unique=False)
    op.create_table(
        "handoff_deliveries",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("packet_id", sa.Text(), nullable=True),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="what is sent, the same at every attempt"),
        sa.Column("status", sa.Text(), nullable=False, comment="pending, failed, delivered or dead_letter"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_status_code", sa.Integer(), nullable=True),
        sa.Column(
            "next_at",
            sa.BigInteger(),
            nullable=True,
            comment="when it is due, under a lease when that runs out; null where it is no more",
        ),
        sa.Column("lease", sa.Text(), nullable=True, comment="of the one who is just sending it"),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("handoff_deliveries_by_due", "handoff_deliveries", ["next_at"], unique=False)
    op.create_index("handoff_deliveries_by_tenant", "handoff_deliveries", ["tenant", "status", "number"], unique=False)
    op.create_index("handoff_deliveries_by_webhook", "handoff_deliveries", ["webhook_id", "number"], unique=False)
    op.create_table(
        "handoff_happenings",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("packet_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False, comment="e.g. claimed"),
        sa.Column("actor", sa.Text(), nullable=False, comment="e.g. agent:a-1"),
        sa.Column("details", sa.Text(), nullable=False, comment="a JSON object"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("handoff_happenings_by_packet", "handoff_happenings", ["packet_id", "tenant", "seq"], unique=False)
    op.create_index("handoff_happenings_by_tenant", "handoff_happenings", ["tenant", "seq"], unique=False)
    op.create_table(
        "handoff_outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False, comment="e.g. packet.created"),
        sa.Column("packet_id", sa.Text(), nullable=True, comment="null where it is about no packet"),
        sa.Column("status", sa.Text(), nullable=True, comment="of what it is about, by then"),
        sa.Column("agents", sa.JSON(), nullable=False, comment="the ids of those between whom it happened"),
        sa.Column("data", sa.Text(), nullable=False, comment="what streams and webhooks tell, as JSON"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("handoff_outbox_by_tenant", "handoff_outbox", ["tenant", "seq"], unique=False)
    op.create_table(
        "handoff_packets",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("source_agent", sa.Text(), nullable=False, comment="the id of the one who hands over"),
        sa.Column("target_agent", sa.Text(), nullable=False, comment="the id of the one who takes over"),
        sa.Column("run_id", sa.Text(), nullable=True, comment="of the governed run that it comes from"),
        sa.Column("body", sa.Text(), nullable=False, comment="the whole packet as it is on the wire"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "claimed_at", sa.BigInteger(), nullable=True, comment="when somebody took over; null while nobody has"
        ),
        sa.Column("waiting_since", sa.BigInteger(), nullable=True, comment="null while no person is waited for"),
        sa.Column("due_at", sa.BigInteger(), nullable=True, comment="when it expires by itself; null for never"),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("handoff_packets_by_due", "handoff_packets", ["due_at"], unique=False)
    op.create_index("handoff_packets_by_due_of_tenant", "handoff_packets", ["tenant", "due_at"], unique=False)
    op.create_index("handoff_packets_by_run", "handoff_packets", ["tenant", "run_id", "created_at", "id"], unique=False)
    op.create_index(
        "handoff_packets_by_source", "handoff_packets", ["tenant", "source_agent", "created_at", "id"], unique=False
    )
    op.create_index(
        "handoff_packets_by_status",
        "handoff_packets",
        ["tenant", "status", "created_at", "id", "deleted"],
        unique=False,
    )
    op.create_index(
        "handoff_packets_by_target", "handoff_packets", ["tenant", "target_agent", "created_at", "id"], unique=False
    )
    op.create_index(
        "handoff_packets_by_time", "handoff_packets", ["tenant", "created_at", "id", "deleted"], unique=False
    )
    op.create_table(
        "handoff_schemas",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("json_schema", sa.Text(), nullable=False, comment="a JSON object"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("handoff_schemas_by_tenant", "handoff_schemas", ["tenant", "number"], unique=False)
    op.create_table(
        "handoff_tags",
        sa.Column(
            "packet_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("packet_number", "tag"),
    )
    op.create_index("handoff_tags_by_tag", "handoff_tags", ["tag"], unique=False)
    op.create_table(
        "handoff_webhooks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False, comment="the types of event that it is told"),
        sa.Column("secret", sa.Text(), nullable=False, comment="sealed, where HANDLEBAR_SECRETS_KEY is set"),
        sa.Column("active", sa.Boolean(), nullable=False, comment="false where it was deleted"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("handoff_webhooks_by_tenant", "handoff_webhooks", ["tenant", "created_at"], unique=False)
    op.create_table(
        "lockdown_changes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("lockdown_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=True, comment="null for all"),
        sa.Column("tool_name", sa.Text(), nullable=True, comment="null for all"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True, comment="null for open end"),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False, comment="false where this change has lifted it"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("lockdown_changes_by_lockdown", "lockdown_changes", ["lockdown_id", "number"], unique=False)
    op.create_table(
        "lockdown_confirmations",
        sa.Column("lockdown_id", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lockdown_id", "process"),
    )
    op.create_table(
        "login_links",
        sa.Column("digest", sa.Text(), nullable=False, comment="of the secret in the link, which is kept nowhere"),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True, comment="null while it may be used"),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "metric_hours",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("whose", sa.Text(), nullable=False, comment="empty for everybody's, else a colon and the actor"),
        sa.Column("hour", sa.Integer(), nullable=False, comment="hours since 1970"),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.Column("largest", sa.Float(), nullable=False),
        sa.Column("smallest", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "key", "whose", "hour"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "metric_samples",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "metric_samples_by_actor", "metric_samples", ["agent_id", "key", "actor_id", "at", "value"], unique=False
    )
    op.create_index("metric_samples_by_key", "metric_samples", ["agent_id", "key", "at", "value"], unique=False)
    op.create_index(
        "metric_samples_by_run", "metric_samples", ["agent_id", "run_id", "key", "at", "value"], unique=False
    )
    op.create_table(
        "policy_versions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("policy_id", sa.Text(), nullable=False),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="the file, or the agent's config, that the policy came from"
        ),
        sa.Column("content", sa.Text(), nullable=True, comment="the policy as JSON; null where it was taken back"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("policy_versions_by_policy", "policy_versions", ["tenant", "policy_id", "number"], unique=False)
    op.create_table(
        "run_marks",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False, comment="what has come up in the run, e.g. verdict:BLOCK"),
        sa.Column("started_at", sa.BigInteger(), nullable=False, comment="when the run has started"),
        sa.PrimaryKeyConstraint("agent_id", "run_id", "mark"),
    )
    op.create_index("run_marks_by_mark", "run_marks", ["mark", "started_at", "agent_id", "run_id"], unique=False)
    op.create_table(
        "runs",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("actor", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("model", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("status", sa.Text(), nullable=True, comment="null while the run is active"),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "due_at",
            sa.BigInteger(),
            nullable=True,
            comment="when its time to live is over; null where it has none, and while it is parked",
        ),
        sa.PrimaryKeyConstraint("agent_id", "id"),
    )
    op.create_index("runs_by_actor", "runs", ["actor_id", "started_at"], unique=False)
    op.create_index("runs_by_agent", "runs", ["agent_id", "started_at"], unique=False)
    op.create_index("runs_by_session", "runs", ["session_id", "started_at"], unique=False)
    op.create_index("runs_by_start", "runs", ["started_at"], unique=False)
    op.create_table(
        "server_secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("handoffs_per_day", sa.Integer(), nullable=False),
        sa.Column("max_api_keys", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True, comment="null while it is there"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "tools",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "name"),
    )
    op.create_table(
        "usage_hours",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False, comment="hours since 1970"),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("allowed", sa.Integer(), nullable=False),
        sa.Column("blocked", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False, comment="calls that a person was asked about"),
        sa.Column("tokens_in", sa.BigInteger(), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False, comment="of the models whose price is known"),
        sa.Column("events_lost", sa.BigInteger(), nullable=False, comment="as clients say that lost them"),
        sa.PrimaryKeyConstraint("agent_id", "hour"),
    )
    op.create_table(
        "usage_of_actors",
        sa.Column("actor_id", sa.Text(), nullable=False, comment="empty for none"),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False, comment="hours since 1970"),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("allowed", sa.Integer(), nullable=False),
        sa.Column("blocked", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False, comment="calls that a person was asked about"),
        sa.Column("tokens_in", sa.BigInteger(), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False, comment="of the models whose price is known"),
        sa.Column("events_lost", sa.BigInteger(), nullable=False, comment="as clients say that lost them"),
        sa.PrimaryKeyConstraint("actor_id", "agent_id", "hour"),
    )
    op.create_index(
        "usage_of_actors_by_agent",
        "usage_of_actors",
        ["agent_id", "hour", "actor_id", "allowed", "blocked"],
        unique=False,
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_index("usage_of_actors_by_agent", table_name="usage_of_actors")
    op.drop_table("usage_of_actors")
    op.drop_table("usage_hours")
    op.drop_table("tools")
    op.drop_table("tenants")
    op.drop_table("server_secrets")
    op.drop_index("runs_by_start", table_name="runs")
    op.drop_index("runs_by_session", table_name="runs")
    op.drop_index("runs_by_agent", table_name="runs")
    op.drop_index("runs_by_actor", table_name="runs")
    op.drop_table("runs")
    op.drop_index("run_marks_by_mark", table_name="run_marks")
    op.drop_table("run_marks")
    op.drop_index("policy_versions_by_policy", table_name="policy_versions")
    op.drop_table("policy_versions")
    op.drop_index("metric_samples_by_run", table_name="metric_samples")
    op.drop_index("metric_samples_by_key", table_name="metric_samples")
    op.drop_index("metric_samples_by_actor", table_name="metric_samples")
    op.drop_table("metric_samples")
    op.drop_table("metric_hours")
    op.drop_table("login_links")
    op.drop_table("lockdown_confirmations")
    op.drop_index("lockdown_changes_by_lockdown", table_name="lockdown_changes")
    op.drop_table("lockdown_changes")
    op.drop_index("handoff_webhooks_by_tenant", table_name="handoff_webhooks")
    op.drop_table("handoff_webhooks")
    op.drop_index("handoff_tags_by_tag", table_name="handoff_tags")
    op.drop_table("handoff_tags")
    op.drop_index("handoff_schemas_by_tenant", table_name="handoff_schemas")
    op.drop_table("handoff_schemas")
    op.drop_index("handoff_packets_by_time", table_name="handoff_packets")
    op.drop_index("handoff_packets_by_target", table_name="handoff_packets")
    op.drop_index("handoff_packets_by_status", table_name="handoff_packets")
    op.drop_index("handoff_packets_by_source", table_name="handoff_packets")
    op.drop_index("handoff_packets_by_run", table_name="handoff_packets")
    op.drop_index("handoff_packets_by_due_of_tenant", table_name="handoff_packets")
    op.drop_index("handoff_packets_by_due", table_name="handoff_packets")
    op.drop_table("handoff_packets")
    op.drop_index("handoff_outbox_by_tenant", table_name="handoff_outbox")
    op.drop_table("handoff_outbox")
    op.drop_index("handoff_happenings_by_tenant", table_name="handoff_happenings")
    op.drop_index("handoff_happenings_by_packet", table_name="handoff_happenings")
    op.drop_table("handoff_happenings")
    op.drop_index("handoff_deliveries_by_webhook", table_name="handoff_deliveries")
    op.drop_index("handoff_deliveries_by_tenant", table_name="handoff_deliveries")
    op.drop_index("handoff_deliveries_by_due", table_name="handoff_deliveries")
    op.drop_table("handoff_deliveries")
    op.drop_index("handoff_answers_by_time", table_name="handoff_answers")
    op.drop_table("handoff_answers")
    op.drop_index("events_by_run", table_name="events")
    op.drop_table("events")
    op.drop_index("client_processes_by_time", table_name="client_processes")
    op.drop_table("client_processes")
    op.drop_table("chains")
    op.drop_index("calls_by_run", table_name="calls")
    op.drop_index("calls_by_kind", table_name="calls")
    op.drop_index("calls_by_actor", table_name="calls")
    op.drop_table("calls")
    op.drop_table("call_kinds")
    op.drop_table("call_hours")
    op.drop_table("browser_logouts")
    op.drop_table("batches")
    op.drop_index("approvals_by_tool", table_name="approvals")
    op.drop_index("approvals_by_status", table_name="approvals")
    op.drop_index("approvals_by_run", table_name="approvals")
    op.drop_index("approvals_by_fingerprint", table_name="approvals")
    op.drop_table("approvals")
    op.drop_table("approval_answers")
    op.drop_table("api_keys")
    op.drop_table("agents")
