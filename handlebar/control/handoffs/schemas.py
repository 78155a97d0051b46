"""JSON Schemas that a tenant keeps, and that the contexts of its packets are checked against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, func, insert, select

from handlebar._plumbing import safe_json
from handlebar._plumbing.clock import time_ns
from handlebar.control.handoffs import audit_log
from handlebar.control.handoffs.asking import Asked, Reply, Route
from handlebar.control.handoffs.problems import ProblemError, misfit
from handlebar.control.handoffs.wording import record_on_wire
from handlebar.control.moments import moment
from handlebar.control.tables import handoff_schemas
from handlebar.handoff.models.administration import SchemaCreate, SchemaResponse

_MOST_BYTES = 64 * 1024
_LARGEST_VERSION = 2**31 - 1


def find(connection: Connection, tenant: str, schema_id: str) -> SchemaResponse | None:
    """Return the tenant's schema of that id; None where there is none."""
    mine = (handoff_schemas.c.id == schema_id, handoff_schemas.c.tenant == tenant)
    row = connection.execute(select(handoff_schemas).where(*mine)).first()
    return None if row is None else _schema(row)


def check_context(asked: Asked, schema_id: str, context: Mapping[str, Any]) -> None:
    """
    Check a packet's *context*, as it is on the wire; call it outside transactions, because it may take its time.

    Raises:
        ProblemError: There is no such schema, or the context is not as it says (422).
    """
    with asked.read() as connection:
        schema = find(connection, asked.tenant, schema_id)
    if schema is None:
        raise ProblemError(422, f"There is no schema with the id {schema_id!r}")
    problem = _checking().problem_in(schema.json_schema, context)
    if problem is not None:
        raise ProblemError(422, f"The context is not as the schema {schema.name!r} says: {problem}")


def _create(asked: Asked) -> Reply:
    wanted = asked.body(SchemaCreate)
    _check(wanted)

    def work(connection: Connection) -> Reply:
        known = {"name": wanted.name, "version": wanted.version, "json_schema": safe_json.encode(wanted.json_schema)}
        made, now = str(uuid4()), time_ns() // 1000
        connection.execute(insert(handoff_schemas).values(id=made, tenant=asked.tenant, **known, created_at=now))
        audit_log.note(connection, asked, "schema.created", schema_id=made, name=wanted.name)
        kept = SchemaResponse(id=made, **wanted.to_dict(), tenant_id=asked.tenant, created_at=moment(now))
        return Reply(201, record_on_wire(kept))

    return asked.change(work)


def _check(wanted: SchemaCreate) -> None:
    if not 1 <= wanted.version <= _LARGEST_VERSION:
        raise misfit(("body", "version"), "needs a number from 1", kind="int_range", given=wanted.version)
    if "type" not in wanted.json_schema:
        raise misfit(("body", "json_schema"), 'needs a member "type"')
    if len(safe_json.encode(wanted.json_schema)) > _MOST_BYTES:
        raise misfit(("body", "json_schema"), f"needs to be at most {_MOST_BYTES} bytes long")
    fault = _checking().fault_in(wanted.json_schema)
    if fault is not None:
        raise misfit(("body", "json_schema"), fault)


def _checking() -> Any:
    """Return the module that checks; it needs a library that other calls do not."""
    from handlebar.control.handoffs import schema_checking

    return schema_checking


def _listed(asked: Asked) -> Reply:
    limit, offset = asked.query.limit, asked.query.offset
    mine = handoff_schemas.c.tenant == asked.tenant
    query = select(handoff_schemas).where(mine).order_by(handoff_schemas.c.number.desc())
    with asked.read() as connection:
        total = connection.execute(select(func.count()).select_from(handoff_schemas).where(mine)).scalar_one()
        rows = connection.execute(query.limit(limit).offset(offset)).all()
    schemas = [record_on_wire(_schema(row)) for row in rows]
    return Reply(200, {"schemas": schemas, "total": total, "limit": limit, "offset": offset})


def _get(asked: Asked) -> Reply:
    schema_id = asked.names["schema_id"]
    with asked.read() as connection:
        found = find(connection, asked.tenant, schema_id)
    if found is None:
        raise ProblemError(404, f"There is no schema with the id {schema_id!r}")
    return Reply(200, record_on_wire(found))


def _schema(row: Row[Any]) -> SchemaResponse:
    return SchemaResponse(
        id=row.id,
        name=row.name,
        version=row.version,
        json_schema=json.loads(row.json_schema),
        tenant_id=row.tenant,
        created_at=moment(row.created_at),
    )


ROUTES = (
    Route("POST", "schemas", "writer", _create),
    Route("GET", "schemas", "writer", _listed),
    Route("GET", "schemas/{schema_id}", "writer", _get),
)
