"""The tables of those who may come in: tenants, their keys, and browsers."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table

from handlebar.control.tables.columns import Text, metadata

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
