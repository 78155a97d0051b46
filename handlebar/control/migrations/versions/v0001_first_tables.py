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
        sa.Column("role", sa.Text(), nullable=False, comment="agent, viewer or admin"),
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
    op.create_index("approvals_by_status", "approvals", ["status", "created_at"], unique=False)
    op.create_table(
        "batches",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "id"),
    )
    op.create_table(
        "call_kinds",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("tool_name", sa.Text(), nullable=False),
        sa.Column("tool_tags", sa.Text(), nullable=False, comment="a JSON list"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agent_id", "tool_name", "tool_tags"),
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
    op.create_index("calls_by_run", "calls", ["agent_id", "run_id", "id"], unique=False)
    op.create_table(
        "chains",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False, comment="the hash of the run's last event"),
        sa.PrimaryKeyConstraint("agent_id", "run_id"),
    )
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
    op.create_index("metric_samples_by_key", "metric_samples", ["agent_id", "key", "at"], unique=False)
    op.create_index("metric_samples_by_run", "metric_samples", ["agent_id", "run_id", "key"], unique=False)
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
        sa.PrimaryKeyConstraint("agent_id", "id"),
    )
    op.create_index("runs_by_start", "runs", ["started_at"], unique=False)
    op.create_table(
        "tools",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "name"),
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_table("tools")
    op.drop_index("runs_by_start", table_name="runs")
    op.drop_table("runs")
    op.drop_index("policy_versions_by_policy", table_name="policy_versions")
    op.drop_table("policy_versions")
    op.drop_index("metric_samples_by_run", table_name="metric_samples")
    op.drop_index("metric_samples_by_key", table_name="metric_samples")
    op.drop_table("metric_samples")
    op.drop_index("lockdown_changes_by_lockdown", table_name="lockdown_changes")
    op.drop_table("lockdown_changes")
    op.drop_index("events_by_run", table_name="events")
    op.drop_table("events")
    op.drop_table("chains")
    op.drop_index("calls_by_run", table_name="calls")
    op.drop_index("calls_by_kind", table_name="calls")
    op.drop_index("calls_by_actor", table_name="calls")
    op.drop_table("calls")
    op.drop_table("call_kinds")
    op.drop_table("batches")
    op.drop_index("approvals_by_status", table_name="approvals")
    op.drop_index("approvals_by_fingerprint", table_name="approvals")
    op.drop_table("approvals")
    op.drop_table("approval_answers")
    op.drop_table("api_keys")
    op.drop_table("agents")
