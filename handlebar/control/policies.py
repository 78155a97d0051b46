"""Policies that a client or a server is started with, and where they come from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from handlebar.core.schema.rules import Policy
from handlebar.policy import load_policies


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


def _is_path(each: Any) -> bool:
    return isinstance(each, (str, os.PathLike))


def _is_list(each: Any) -> bool:
    return isinstance(each, Sequence)
