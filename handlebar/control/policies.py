"""Policies as the database keeps them: every change is a new version."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, func, insert, select

from handlebar._plumbing import safe_json
from handlebar._plumbing.clock import time_ns
from handlebar.control.tables import policy_versions
from handlebar.core.schema.rules import Policy
from handlebar.errors import UnreachableError
from handlebar.policy.loading import load_policies
from handlebar.policy.writing import policy_to_dict


@frozen
class PolicySource:
    """
    Policies that come from one place, and go together when that place has them no more.

    Attributes:
        name: The file or folder, or the agent whose config holds them.
    """

    name: str
    policies: tuple[Policy, ...]


def read_sources(configured: Any, *, owner: str) -> tuple[PolicySource, ...]:
    """
    Read what a client's config gives as `policies=`.

    Args:
        configured: A path, or a list of paths and policies.

        owner: The agent whose config it is.

    Raises:
        PolicyError: Something in it cannot be loaded.
    """
    if configured is None:
        return ()
    # All at once first: so all problems are told, and ids that two sources share are found.
    load_policies(configured)
    given = [configured] if _is_path(configured) or not _is_list(configured) else configured
    paths = [each for each in given if _is_path(each)]
    written = [each for each in given if not _is_path(each)]
    sources = [PolicySource(str(Path(path).resolve()), load_policies(path)) for path in paths]
    if written:
        sources.append(PolicySource(f"config of {owner}", load_policies(written)))
    return tuple(sources)


def store_sources(connection: Connection, tenant: str, sources: Sequence[PolicySource]) -> None:
    """Make new versions of what has changed, and take back what a source has no more."""
    current = _current(connection, tenant)
    for source in sources:
        wanted = {policy.id: safe_json.canonical(policy_to_dict(policy)) for policy in source.policies}
        for policy_id, content in wanted.items():
            if (source.name, content) != current.get(policy_id):
                _add(connection, tenant, source.name, policy_id, content)
        for policy_id, (name, _) in current.items():
            if name == source.name and policy_id not in wanted:
                _add(connection, tenant, source.name, policy_id, None)


def policies_in_force(connection: Connection, tenant: str) -> tuple[Policy, ...]:
    """
    Return the tenant's policies in their latest versions.

    Raises:
        UnreachableError: One of them is none that this version of the package can read.
    """
    contents = [content for _, content in _current(connection, tenant).values()]
    try:
        # Each by itself: what comes from different places need not agree on the ids of rules.
        return tuple(policy for content in contents for policy in load_policies(json.loads(content)))
    except ValueError as error:
        raise UnreachableError(f"A policy in the database cannot be read: {error}", reason="database") from error


def _current(connection: Connection, tenant: str) -> Mapping[str, tuple[str, str]]:
    """Return source and content of each policy of the tenant that was not taken back."""
    versions = policy_versions.c
    latest = select(func.max(versions.number)).where(versions.tenant == tenant).group_by(versions.policy_id)
    query = select(versions.policy_id, versions.source, versions.content)
    rows = connection.execute(query.where(versions.number.in_(latest), versions.content.is_not(None)))
    return {policy_id: (source, content) for policy_id, source, content in rows}


def _add(connection: Connection, tenant: str, source: str, policy_id: str, content: str | None) -> None:
    row = {
        "tenant": tenant,
        "policy_id": policy_id,
        "source": source,
        "content": content,
        "created_at": time_ns() // 1000,
    }
    connection.execute(insert(policy_versions).values(row))


def _is_path(each: Any) -> bool:
    return isinstance(each, (str, os.PathLike))


def _is_list(each: Any) -> bool:
    return isinstance(each, Sequence)
