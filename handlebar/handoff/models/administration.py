"""Keys, tenants, schemas, figures."""

from datetime import datetime
from typing import Any

from attrs import Attribute, Factory, field, frozen

from handlebar.handoff.exceptions import invalid
from handlebar.handoff.models.base import Model, checked
from handlebar.handoff.models.words import KeyRole


def _short_name(_: Model, attribute: "Attribute[Any]", name: str | None) -> None:
    if name is not None and not (name.strip() and len(name) <= 128):
        raise invalid(attribute.name, "needs 1 to 128 characters")


@frozen(kw_only=True, field_transformer=checked)
class ApiKeyCreate(Model):
    """What is sent to make an API key."""

    name: str = field(validator=_short_name)
    tenant_id: str | None = None
    role: KeyRole = KeyRole.ADMIN


@frozen(kw_only=True, field_transformer=checked)
class ApiKeyResponse(Model):
    """An API key; *key* itself is told once, when it is made."""

    id: str
    name: str
    key_prefix: str
    tenant_id: str
    role: str
    revoked: bool = False
    created_at: datetime
    key: str | None = field(default=None, repr=False)


@frozen(kw_only=True, field_transformer=checked)
class TenantCreate(Model):
    """What is sent to make a tenant; the server chooses the limits that are None."""

    name: str = field(validator=_short_name)
    tier: str = "free"
    handoffs_per_day: int | None = None
    max_api_keys: int | None = None


@frozen(kw_only=True, field_transformer=checked)
class TenantUpdate(Model):
    """What is sent to change a tenant; None leaves alone."""

    name: str | None = field(default=None, validator=_short_name)
    tier: str | None = None
    handoffs_per_day: int | None = None
    max_api_keys: int | None = None


@frozen(kw_only=True, field_transformer=checked)
class TenantResponse(Model):
    """A tenant."""

    id: str
    name: str
    tier: str
    handoffs_per_day: int
    max_api_keys: int
    created_at: datetime
    updated_at: datetime | None = None
    deleted_at: datetime | None = None


@frozen(kw_only=True, field_transformer=checked)
class SchemaCreate(Model):
    """What is sent to keep a JSON Schema, which contexts are then checked against."""

    name: str = field(validator=_short_name)
    json_schema: dict[str, Any]
    version: int = 1


@frozen(kw_only=True, field_transformer=checked)
class SchemaResponse(Model):
    """A JSON Schema that the server keeps."""

    id: str
    name: str
    version: int
    json_schema: dict[str, Any]
    tenant_id: str
    created_at: datetime


@frozen(kw_only=True, field_transformer=checked)
class SchemaListResponse(Model):
    """One page of schemas, newest first."""

    schemas: list[SchemaResponse]
    total: int
    limit: int
    offset: int


@frozen(kw_only=True, field_transformer=checked)
class StatsResponse(Model):
    """How many packets there are, and how they fare."""

    total_packets: int
    packets_by_status: dict[str, int] = Factory(dict)
    packets_last_24h: int = 0
    avg_claim_time_seconds: float | None = None
    hitl_queue_depth: int = 0
    active_ws_connections: int = 0
