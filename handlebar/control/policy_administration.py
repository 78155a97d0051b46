"""What people do with policies: read them in every version, put them, take them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlebar._plumbing.clock import Deadline
from handlebar.control import policy_store
from handlebar.control.database import Database
from handlebar.control.policy_store import PolicyRecord
from handlebar.core.schema.rules import Policy
from handlebar.errors import ConfigError, PolicyError
from handlebar.policy import load_policies

_SECONDS = 10.0
"""How long one of these calls may wait for the database."""

_PLACE = "policies[0]: "
"""How the loader names what it is given."""


class PolicyAdministration:
    """Reads and changes the policies of one tenant; thread-safe and fork-safe."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    def policies(self) -> tuple[Policy, ...]:
        """
        Return the policies in force, in their latest versions.

        Raises:
            UnreachableError: The database, or a policy in it, cannot be read.
        """
        return tuple(each.policy for each in self.policy_records() if each.policy is not None)

    def policy_records(self) -> tuple[PolicyRecord, ...]:
        """
        Return the same, with versions and sources.

        Raises:
            UnreachableError: The database, or a policy in it, cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return policy_store.in_force(connection, self._tenant)

    def policy_record(self, policy_id: str) -> PolicyRecord:
        """
        Return the policy of that id, as it is in force.

        Raises:
            RefusedError: There is none (404).

            UnreachableError: The database, or the policy, cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return policy_store.find(connection, self._tenant, policy_id)

    def policy_history(self, policy_id: str) -> tuple[PolicyRecord, ...]:
        """
        Return all versions of a policy, oldest first, also of one that is not in force any more.

        Raises:
            RefusedError: There was never one (404).

            UnreachableError: The database, or the policy, cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return policy_store.history(connection, self._tenant, policy_id)

    def put_policy(
        self,
        content: Mapping[str, Any],
        *,
        policy_id: str | None = None,
        new: bool = False,
        if_version: int | None = None,
    ) -> PolicyRecord:
        """
        Put a policy in force, from the next decision on, in every process; what is unchanged makes no version.

        Args:
            content: The policy as files hold it.

            policy_id: Its id, where *content* need not say it; None for what *content* says, or its name gives.

            new: There may be none of its id yet.

            if_version: Only where that is the version in force.

        Raises:
            PolicyError: It is none that can be loaded; its `field` is the place of the first problem.

            ConfigError: *content* says another id than *policy_id*, or one that no path can hold.

            RefusedError: There is one already, or it comes from a file or a config (409); another version is in
                force (412).

            UnreachableError: The database cannot be used.
        """
        policy = _loaded(content if policy_id is None else _named(content, policy_id))
        if "/" in policy.id:
            raise ConfigError("id", policy.id, "an id without slashes")
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            return policy_store.put(connection, self._tenant, policy, new=new, if_version=if_version)

    def delete_policy(self, policy_id: str, *, if_version: int | None = None) -> None:
        """
        Take a policy back, from the next decision on, in every process; its versions are kept.

        Raises:
            RefusedError: There is none of that id (404); it comes from a file or a config (409); another version
                than *if_version* is in force (412).

            UnreachableError: The database cannot be used.
        """
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            policy_store.take_back(connection, self._tenant, policy_id, if_version=if_version)


def _named(content: Mapping[str, Any], policy_id: str) -> Mapping[str, Any]:
    """Return *content* with the id, which may stand beside the rules or in the policy's own part."""
    head = content.get("policy", content)
    if not isinstance(head, Mapping):
        return content  # the loader says so better
    if head.get("id", policy_id) != policy_id:
        raise ConfigError("id", head["id"], f"{policy_id!r}, or none")
    named = {**head, "id": policy_id}
    return named if head is content else {**content, "policy": named}


def _loaded(content: Mapping[str, Any]) -> Policy:
    try:
        (policy,) = load_policies(content)
    except PolicyError as error:
        raise _placed(error) from error
    return policy


def _placed(error: PolicyError) -> PolicyError:
    """Return *error* as it is told of one policy that lies in no list."""
    problems = [problem.removeprefix(_PLACE) for problem in error.problems]
    placed = PolicyError(problems)
    placed.field = problems[0].partition(": ")[0]
    return placed
