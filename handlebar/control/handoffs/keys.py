"""API keys over the hand-off API: made and shown once, listed, revoked, replaced."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from handlebar._plumbing.clock import time_ns
from handlebar.control.handoffs import audit_log, tenants
from handlebar.control.handoffs.asking import Asked, Reply, Route
from handlebar.control.handoffs.problems import ProblemError
from handlebar.control.handoffs.wording import record_on_wire
from handlebar.control.keys import Role, add_key
from handlebar.control.moments import moment
from handlebar.control.tables import api_keys
from handlebar.handoff.models.administration import ApiKeyCreate, ApiKeyResponse

_START = "hr_"
_ROTATED = " (rotated)"


def _create(asked: Asked) -> Reply:
    wanted = asked.body(ApiKeyCreate)
    tenant = wanted.tenant_id or asked.tenant
    if tenant != asked.tenant and not tenants.is_operator(asked):
        raise ProblemError(403, "A key may make keys for its own tenant only")

    def work(connection: Connection) -> Reply:
        _check_number(connection, tenant)
        made = _made(connection, wanted.name, wanted.role.value, tenant)
        audit_log.note(connection, asked, "key.created", key_id=made["id"], tenant_id=tenant, role=made["role"])
        return Reply(201, made)

    return asked.change(work, secret=True)


def _listed(asked: Asked) -> Reply:
    with asked.read() as connection:
        return Reply(200, _of_tenant(connection, asked.tenant))


def _listed_of_tenant(asked: Asked) -> Reply:
    with asked.read() as connection:
        return Reply(200, _of_tenant(connection, tenants.visible(connection, asked).id))


def _revoke(asked: Asked) -> Reply:
    def work(connection: Connection) -> Reply:
        row = _good(connection, asked)
        _end(connection, row.id)
        audit_log.note(connection, asked, "key.revoked", key_id=row.id, tenant_id=row.tenant)
        return Reply(204)

    return asked.change(work)


def _rotate(asked: Asked) -> Reply:
    """Make a key in place of another, which is good for nothing from then on."""

    def work(connection: Connection) -> Reply:
        row = _good(connection, asked)
        _end(connection, row.id)
        made = _made(connection, row.name.removesuffix(_ROTATED) + _ROTATED, row.role, row.tenant)
        audit_log.note(connection, asked, "key.rotated", key_id=row.id, by_key_id=made["id"], tenant_id=row.tenant)
        return Reply(201, made)

    return asked.change(work, secret=True)


def _check_number(connection: Connection, tenant: str) -> None:
    """Raise ProblemError where the tenant is none (404), or has as many keys as it may have (409)."""
    most = tenants.find(connection, tenant).max_api_keys
    good = (api_keys.c.tenant == tenant, api_keys.c.revoked_at.is_(None))
    if connection.execute(select(func.count()).where(*good)).scalar_one() >= most:
        raise ProblemError(409, f"The tenant has {most} API keys already; revoke one first")


def _made(connection: Connection, name: str, role: Role, tenant: str) -> dict[str, Any]:
    made = add_key(connection, name, role=role, tenant=tenant, start=_START)
    row = connection.execute(select(api_keys).where(api_keys.c.id == made.record.id)).one()
    return {**_told(row), "key": made.secret}


def _good(connection: Connection, asked: Asked) -> Row[Any]:
    """Return the key in the path; raises ProblemError where there is none (404), or it is revoked (409)."""
    key_id = asked.names["key_id"]
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).first()
    if row is None or (row.tenant != asked.tenant and not tenants.is_operator(asked)):
        raise ProblemError(404, f"There is no key with the id {key_id!r}")
    if row.revoked_at is not None:
        raise ProblemError(409, f"The key {key_id} is revoked already")
    return row


def _end(connection: Connection, key_id: str) -> None:
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=time_ns() // 1000))


def _of_tenant(connection: Connection, tenant: str) -> list[dict[str, Any]]:
    """Return the keys of a tenant, newest first; revoked ones too."""
    query = select(api_keys).where(api_keys.c.tenant == tenant)
    rows = connection.execute(query.order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc()))
    return [_told(row) for row in rows]


def _told(row: Row[Any]) -> dict[str, Any]:
    return record_on_wire(
        ApiKeyResponse(
            id=row.id,
            name=row.name,
            key_prefix=row.prefix,
            tenant_id=row.tenant,
            role=row.role,
            revoked=row.revoked_at is not None,
            created_at=moment(row.created_at),
        )
    )


ROUTES = (
    Route("POST", "keys", "admin", _create),
    Route("GET", "keys", "admin", _listed),
    Route("DELETE", "keys/{key_id}", "admin", _revoke),
    Route("POST", "keys/{key_id}/rotate", "admin", _rotate),
    Route("GET", "tenants/{tenant_id}/keys", "admin", _listed_of_tenant),
)
