"""Tenants: made, changed and deleted by the admins of the tenant `default`, who run the whole; others see their own."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from attrs import evolve
from sqlalchemy import Connection, Row, insert, select, update

from handlebar._plumbing.clock import time_ns
from handlebar.control.handoffs import audit_log
from handlebar.control.handoffs.asking import Asked, Reply, Route
from handlebar.control.handoffs.problems import ProblemError, misfit
from handlebar.control.handoffs.wording import record_on_wire
from handlebar.control.keys import THE_TENANT
from handlebar.control.moments import moment
from handlebar.control.tables import api_keys, tenants
from handlebar.handoff.models.administration import TenantCreate, TenantResponse, TenantUpdate

TIERS = ("free", "pro", "business")

PLENTY = 1_000_000_000
"""The limits of a tenant for which nobody has set any."""

_USUAL = {"handoffs_per_day": 5, "max_api_keys": 5}


def is_operator(asked: Asked) -> bool:
    """Whether the one who asks belongs to those who run the whole."""
    return asked.tenant == THE_TENANT


def find(connection: Connection, tenant_id: str) -> TenantResponse:
    """
    Return the tenant with its limits; one that was made by making a key for it, as the command line does, has none.

    Raises:
        ProblemError: There is none of that id, or it was deleted (404).
    """
    row = connection.execute(select(tenants).where(tenants.c.id == tenant_id)).first()
    if row is None and (tenant_id == THE_TENANT or _has_keys(connection, tenant_id)):
        return _unlimited(tenant_id)
    if row is None or row.deleted_at is not None:
        raise ProblemError(404, f"There is no tenant with the id {tenant_id!r}")
    return _tenant(row)


def visible(connection: Connection, asked: Asked) -> TenantResponse:
    """Return the tenant in the path; raises `ProblemError` (404) where the one who asks may not know of it."""
    tenant_id = asked.names["tenant_id"]
    if tenant_id != asked.tenant and not is_operator(asked):
        raise ProblemError(404, f"There is no tenant with the id {tenant_id!r}")
    return find(connection, tenant_id)


def _create(asked: Asked) -> Reply:
    _check_operator(asked)
    wanted = asked.body(TenantCreate)
    limits = {name: getattr(wanted, name) for name in _USUAL}
    chosen = {**_USUAL, **{name: value for name, value in limits.items() if value is not None}}
    _check(tier=wanted.tier, **chosen)

    def work(connection: Connection) -> Reply:
        _check_name(connection, wanted.name)
        now = moment(time_ns() // 1000)
        made = TenantResponse(
            id=str(uuid4()), name=wanted.name, tier=wanted.tier, **chosen, created_at=now, updated_at=now
        )
        _keep(connection, made)
        audit_log.note(connection, asked, "tenant.created", tenant_id=made.id, name=made.name)
        return Reply(201, record_on_wire(made))

    return asked.change(work)


def _listed(asked: Asked) -> Reply:
    with asked.read() as connection:
        found = _all(connection) if is_operator(asked) else [find(connection, asked.tenant)]
    return Reply(200, [record_on_wire(each) for each in found])


def _all(connection: Connection) -> list[TenantResponse]:
    """Return all that are there, newest first."""
    query = select(tenants).where(tenants.c.deleted_at.is_(None))
    found = [_tenant(row) for row in connection.execute(query.order_by(tenants.c.created_at.desc()))]
    return found if any(each.id == THE_TENANT for each in found) else [*found, find(connection, THE_TENANT)]


def _get(asked: Asked) -> Reply:
    with asked.read() as connection:
        return Reply(200, record_on_wire(visible(connection, asked)))


def _update(asked: Asked) -> Reply:
    _check_operator(asked)
    changes = asked.body(TenantUpdate).to_dict()
    _check(**changes)

    def work(connection: Connection) -> Reply:
        before = find(connection, asked.names["tenant_id"])
        if changes.get("name", before.name) != before.name:
            _check_name(connection, changes["name"])
        after = evolve(before, **changes, updated_at=moment(time_ns() // 1000))
        _keep(connection, after)
        audit_log.note(connection, asked, "tenant.updated", tenant_id=after.id, **changes)
        return Reply(200, record_on_wire(after))

    return asked.change(work)


def _delete(asked: Asked) -> Reply:
    """Delete a tenant, whose keys are then good for nothing; what it has is kept."""
    _check_operator(asked)
    tenant_id = asked.names["tenant_id"]
    if tenant_id == THE_TENANT:
        raise ProblemError(409, "The tenant that runs the whole cannot be deleted")

    def work(connection: Connection) -> Reply:
        now = time_ns() // 1000
        _keep(connection, evolve(find(connection, tenant_id), updated_at=moment(now)))
        connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(deleted_at=now))
        audit_log.note(connection, asked, "tenant.deleted", tenant_id=tenant_id)
        return Reply(204)

    return asked.change(work)


def _check_operator(asked: Asked) -> None:
    if not is_operator(asked):
        raise ProblemError(403, f"Only an admin key of the tenant {THE_TENANT!r} may change tenants")


def _check(*, tier: str | None = None, name: str | None = None, **limits: int) -> None:
    if tier is not None and tier not in TIERS:
        raise misfit(("body", "tier"), f"needs one of {', '.join(TIERS)}", kind="enum", given=tier)
    for field, limit in limits.items():
        if not 0 <= limit <= PLENTY:
            raise misfit(("body", field), f"needs a number from 0 to {PLENTY}", kind="int_range", given=limit)


def _check_name(connection: Connection, name: str) -> None:
    same = select(tenants.c.id).where(tenants.c.name == name, tenants.c.deleted_at.is_(None))
    if connection.execute(same).first() is not None:
        raise ProblemError(409, f"There is a tenant named {name!r} already")


def _has_keys(connection: Connection, tenant_id: str) -> bool:
    return connection.execute(select(api_keys.c.id).where(api_keys.c.tenant == tenant_id)).first() is not None


def _keep(connection: Connection, tenant: TenantResponse) -> None:
    now = time_ns() // 1000
    known = {name: getattr(tenant, name) for name in ("name", "tier", "handoffs_per_day", "max_api_keys")}
    changed = connection.execute(update(tenants).where(tenants.c.id == tenant.id).values(**known, updated_at=now))
    if not changed.rowcount:
        connection.execute(insert(tenants).values(id=tenant.id, **known, created_at=now, updated_at=now))


def _tenant(row: Row[Any]) -> TenantResponse:
    return TenantResponse(
        id=row.id,
        name=row.name,
        tier=row.tier,
        handoffs_per_day=row.handoffs_per_day,
        max_api_keys=row.max_api_keys,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def _unlimited(tenant_id: str) -> TenantResponse:
    return TenantResponse(
        id=tenant_id,
        name=tenant_id,
        tier="business",
        handoffs_per_day=PLENTY,
        max_api_keys=PLENTY,
        created_at=moment(0),
        updated_at=moment(0),
    )


ROUTES = (
    Route("POST", "tenants", "admin", _create),
    Route("GET", "tenants", "admin", _listed),
    Route("GET", "tenants/{tenant_id}", "admin", _get),
    Route("PATCH", "tenants/{tenant_id}", "admin", _update),
    Route("DELETE", "tenants/{tenant_id}", "admin", _delete),
)
