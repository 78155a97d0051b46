"""Policies as the database keeps them: every change is a new version, and none is ever lost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Row, func, insert, select

from handlebar._plumbing import safe_json
from handlebar._plumbing.clock import time_ns
from handlebar._plumbing.logs import warn_once_a_minute
from handlebar.control.moments import moment
from handlebar.control.policies import PolicySource
from handlebar.control.tables import policy_versions
from handlebar.core.schema.rules import Policy
from handlebar.errors import RefusedError, UnreachableError
from handlebar.policy import load_policies, policy_to_dict

BY_API = "api"
"""The source of policies that somebody has put; no file and no agent's config is called so."""


@frozen(kw_only=True)
class PolicyRecord:
    """
    One version of a policy.

    Attributes:
        version: Counts the versions of this policy, from 1.

        source: The file or folder, or the agent's config, that it came from; `api` where somebody has put it.

        policy: None where this version took the policy back.
    """

    policy_id: str
    version: int
    source: str
    changed_at: datetime
    policy: Policy | None


def in_force(connection: Connection, tenant: str) -> tuple[PolicyRecord, ...]:
    """
    Return the tenant's policies in their latest versions, without those that were taken back.

    Raises:
        UnreachableError: One of them is none that this version of the package can read.
    """
    return tuple(_record(row, row.version) for row in _current(connection, tenant).values() if row.content is not None)


def history(connection: Connection, tenant: str, policy_id: str) -> tuple[PolicyRecord, ...]:
    """
    Return all versions of a policy, oldest first.

    Raises:
        RefusedError: There was never one of that id (404).

        UnreachableError: One of them is none that this version of the package can read.
    """
    columns = policy_versions.c
    query = select(policy_versions).where(columns.tenant == tenant, columns.policy_id == policy_id)
    rows = connection.execute(query.order_by(columns.number)).all()
    if not rows:
        raise _unknown(policy_id)
    return tuple(_record(row, version) for version, row in enumerate(rows, 1))


def find(connection: Connection, tenant: str, policy_id: str) -> PolicyRecord:
    """
    Return the latest version of a policy in force.

    Raises:
        RefusedError: There is none of that id (404).

        UnreachableError: It is none that this version of the package can read.
    """
    row = _current(connection, tenant).get(policy_id)
    if row is None or row.content is None:
        raise _unknown(policy_id)
    return _record(row, row.version)


def put(connection: Connection, tenant: str, policy: Policy, *, new: bool, if_version: int | None) -> PolicyRecord:
    """
    Let *policy* be in force; what is unchanged makes no version.

    Args:
        connection: A transaction that writes.

        tenant: Whose it is.

        policy: The policy.

        new: There may be none of its id yet.

        if_version: Only where that is the version in force.

    Raises:
        RefusedError: There is one already, or it comes from a file or a config (409); another version is in force,
            or none (412).
    """
    known = _in_force(connection, tenant, policy.id)
    if new and known is not None:
        raise RefusedError(f"There is a policy with the id {policy.id!r} already; put it, to change it", status=409)
    _check(policy.id, known, if_version)
    content = _content(policy)
    if known is None or known.content != content:
        _add(connection, tenant, BY_API, policy.id, content)
    return find(connection, tenant, policy.id)


def take_back(connection: Connection, tenant: str, policy_id: str, *, if_version: int | None) -> None:
    """
    Let the policy be in force no more; its versions are kept.

    Raises:
        RefusedError: There is none of that id (404); it comes from a file or a config (409); another version is in
            force (412).
    """
    known = _in_force(connection, tenant, policy_id)
    if known is None:
        raise _unknown(policy_id)
    _check(policy_id, known, if_version)
    _add(connection, tenant, BY_API, policy_id, None)


def store_sources(connection: Connection, tenant: str, sources: Sequence[PolicySource]) -> None:
    """
    Make new versions of what has changed, and take back what a source has no more.

    What somebody has put stays as it is: a source's policy of the same id waits until that one is deleted.
    """
    current = {key: row for key, row in _current(connection, tenant).items() if row.content is not None}
    for source in sources:
        wanted = {policy.id: _content(policy) for policy in source.policies}
        for policy_id, content in wanted.items():
            known = current.get(policy_id)
            if known is not None and known.source == BY_API:
                _warn_of_two(policy_id, source)
            elif known is None or (known.source, known.content) != (source.name, content):
                _add(connection, tenant, source.name, policy_id, content)
        for policy_id, known in current.items():
            if known.source == source.name and policy_id not in wanted:
                _add(connection, tenant, source.name, policy_id, None)


def _current(connection: Connection, tenant: str) -> Mapping[str, Row[Any]]:
    """Return the latest version of each policy, those that were taken back among them."""
    columns = policy_versions.c
    counted = select(func.max(columns.number).label("number"), func.count().label("version"))
    latest = counted.where(columns.tenant == tenant).group_by(columns.policy_id).subquery()
    query = select(policy_versions, latest.c.version).join(latest, columns.number == latest.c.number)
    return {row.policy_id: row for row in connection.execute(query.order_by(columns.number))}


def _in_force(connection: Connection, tenant: str, policy_id: str) -> Row[Any] | None:
    row = _current(connection, tenant).get(policy_id)
    return None if row is None or row.content is None else row


def _check(policy_id: str, known: Row[Any] | None, if_version: int | None) -> None:
    """Raise RefusedError where the policy may not be changed so."""
    if known is not None and known.source != BY_API:
        raise RefusedError(f"The policy {policy_id!r} comes from {known.source}; change it there", status=409)
    version = None if known is None else known.version
    if if_version is not None and if_version != version:
        there = "there is none" if version is None else f"that is {version}"
        raise RefusedError(f"The policy {policy_id!r} is not at version {if_version}; {there}", status=412)


def _record(row: Row[Any], version: int) -> PolicyRecord:
    return PolicyRecord(
        policy_id=row.policy_id,
        version=version,
        source=row.source,
        changed_at=moment(row.created_at),
        policy=None if row.content is None else _policy(row.content),
    )


def _policy(content: str) -> Policy:
    """Read one policy by itself: what comes from different places need not agree on the ids of rules."""
    try:
        (policy,) = load_policies(json.loads(content))
    except ValueError as error:
        raise UnreachableError(f"A policy in the database cannot be read: {error}", reason="database") from error
    return policy


def _content(policy: Policy) -> str:
    return safe_json.canonical(policy_to_dict(policy))


def _add(connection: Connection, tenant: str, source: str, policy_id: str, content: str | None) -> None:
    row = {
        "tenant": tenant,
        "policy_id": policy_id,
        "source": source,
        "content": content,
        "created_at": time_ns() // 1000,
    }
    connection.execute(insert(policy_versions).values(row))


def _unknown(policy_id: str) -> RefusedError:
    return RefusedError(f"There is no policy with the id {policy_id!r}", status=404)


def _warn_of_two(policy_id: str, source: PolicySource) -> None:
    warn_once_a_minute(
        f"policy in two places:{policy_id}",
        "The policy %r of %s is not in force: somebody has put one of that id, which has to be deleted first",
        policy_id,
        source.name,
    )
