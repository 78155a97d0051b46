"""The client's part for those who run the server: audit log, keys, tenants, schemas, figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlebar.handoff.asking import Asking, Id, Time, moment, page, segment
from handlebar.handoff.models import (
    ApiKeyCreate,
    ApiKeyResponse,
    AuditLogResponse,
    SchemaCreate,
    SchemaListResponse,
    SchemaResponse,
    StatsResponse,
    TenantCreate,
    TenantResponse,
    TenantUpdate,
)


class AdministrationCalls(Asking):
    """What can be done around packets."""

    def list_audit_log(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        packet_id: Id | None = None,
        created_after: Time | None = None,
        created_before: Time | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> AuditLogResponse:
        """Return one page of the audit log, newest first."""
        query = {
            "actor": actor,
            "action": action,
            "packet_id": packet_id,
            "created_after": moment("created_after", created_after),
            "created_before": moment("created_before", created_before),
            **page(limit, offset),
        }
        return self._ask(AuditLogResponse, "GET", "audit", query=query)

    def create_schema(self, *, name: str, json_schema: Mapping[str, Any], version: int = 1) -> SchemaResponse:
        """Keep a JSON Schema; packets that name its id have their context checked against it."""
        body = SchemaCreate.from_dict({"name": name, "json_schema": json_schema, "version": version})
        return self._ask(SchemaResponse, "POST", "schemas", body=body.to_dict())

    def list_schemas(self, *, limit: int = 50, offset: int = 0) -> SchemaListResponse:
        """Return one page of schemas, newest first."""
        return self._ask(SchemaListResponse, "GET", "schemas", query=page(limit, offset))

    def get_schema(self, schema_id: Id) -> SchemaResponse:
        """Return a schema."""
        return self._ask(SchemaResponse, "GET", "schemas", segment("schema_id", schema_id))

    def create_api_key(self, *, name: str, tenant_id: str | None = None, role: str = "admin") -> ApiKeyResponse:
        """
        Make an API key; the answer alone has it in full.

        Args:
            name: What it is for.

            tenant_id: Whose; your own tenant's where it is None.

            role: `reader`, `agent`, `writer` or `admin`.
        """
        body = ApiKeyCreate.from_dict({"name": name, "tenant_id": tenant_id, "role": role})
        return self._ask(ApiKeyResponse, "POST", "keys", body=body.to_dict())

    def list_api_keys(self) -> list[ApiKeyResponse]:
        """Return all API keys, revoked ones too."""
        return self._ask_list(ApiKeyResponse, "keys")

    def rotate_api_key(self, key_id: Id) -> ApiKeyResponse:
        """Revoke an API key, and make one in its place."""
        return self._ask(ApiKeyResponse, "POST", "keys", segment("key_id", key_id), "rotate")

    def revoke_api_key(self, key_id: Id) -> None:
        """Have an API key refused from now on."""
        self._delete("keys", segment("key_id", key_id))

    def create_tenant(
        self, *, name: str, tier: str = "free", handoffs_per_day: int | None = None, max_api_keys: int | None = None
    ) -> TenantResponse:
        """Make a tenant; the server chooses the limits that are None."""
        limits = {"handoffs_per_day": handoffs_per_day, "max_api_keys": max_api_keys}
        body = TenantCreate.from_dict({"name": name, "tier": tier, **limits})
        return self._ask(TenantResponse, "POST", "tenants", body=body.to_dict())

    def list_tenants(self) -> list[TenantResponse]:
        """Return all tenants, newest first."""
        return self._ask_list(TenantResponse, "tenants")

    def get_tenant(self, tenant_id: Id) -> TenantResponse:
        """Return a tenant."""
        return self._ask(TenantResponse, "GET", "tenants", segment("tenant_id", tenant_id))

    def update_tenant(
        self,
        tenant_id: Id,
        *,
        name: str | None = None,
        tier: str | None = None,
        handoffs_per_day: int | None = None,
        max_api_keys: int | None = None,
    ) -> TenantResponse:
        """Change a tenant; what is None stays as it is."""
        limits = {"handoffs_per_day": handoffs_per_day, "max_api_keys": max_api_keys}
        body = TenantUpdate.from_dict({"name": name, "tier": tier, **limits})
        tenant = segment("tenant_id", tenant_id)
        return self._ask(TenantResponse, "PATCH", "tenants", tenant, body=body.to_dict())

    def delete_tenant(self, tenant_id: Id) -> None:
        """Let go of a tenant."""
        self._delete("tenants", segment("tenant_id", tenant_id))

    def list_tenant_keys(self, tenant_id: Id) -> list[ApiKeyResponse]:
        """Return a tenant's API keys, newest first."""
        return self._ask_list(ApiKeyResponse, "tenants", segment("tenant_id", tenant_id), "keys")

    def get_stats(self) -> StatsResponse:
        """Return how many packets there are, and how they fare."""
        return self._ask(StatsResponse, "GET", "stats")
