"""The ids of policies and rules: derived where none is given, and each taken once only."""

from __future__ import annotations

import hashlib
import re

from handlebar.policy.loading.documents import path_text
from handlebar.policy.loading.reading import Spot


def slug(name: str) -> str:
    """Return *name* as a readable id: `Refund Desk` is `refund-desk`."""
    readable = re.sub(r"[\W_]+", "-", name.casefold()).strip("-")
    return readable or hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def rule_slug(policy_id: str, name: str) -> str:
    """Return the id of a rule that was given none."""
    return f"{policy_id}/{slug(name)}"


class Register:
    """
    Who bears which name; lives as long as one loading.

    It looks at documents, not at finished values, so that it sees names in rules that are wrong elsewhere.
    """

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], str] = {}

    def enter(self, policy: Spot, rules: list[Spot]) -> None:
        """Enter *policy* and its *rules*, and note names that are taken and rules of other policies."""
        name = _given(policy, "name")
        policy_id = _given(policy, "id") or (name and slug(name))
        # Who takes a name takes the id that comes of it as well: saying one of the two is enough.
        if self._claim("policy name", name, policy, "name"):
            self._claim("policy id", policy_id, policy, "id")
        for rule in rules if policy_id else ():
            self._enter_rule(rule, str(policy_id))

    def _enter_rule(self, rule: Spot, policy_id: str) -> None:
        name = _given(rule, "name")
        self._claim("rule id", _given(rule, "id") or (name and rule_slug(policy_id, name)), rule, "id")
        said = _given(rule, "policyId")
        if said not in (None, policy_id):
            rule.note(f"{said!r} is another policy; expected {policy_id!r}, or leave it out", "policyId")

    def _claim(self, what: str, name: str | None, spot: Spot, key: str) -> bool:
        """Take *name* where there is one; where it is taken, note so and return False."""
        if name is None:
            return True
        if (what, name) in self._taken:
            steps = [key] if key in spot.value else []
            spot.note(f"the {what} {name!r} is taken by {self._taken[what, name]}; give each its own", *steps)
            return False
        self._taken[what, name] = f"{path_text(spot.path)} ({spot.where()})"
        return True


def _given(spot: Spot, key: str) -> str | None:
    """Return the text under *key*, None where there is no text; what is wrong there is noted by others."""
    value = spot.value.get(key) if isinstance(spot.value, dict) else None
    return value if isinstance(value, str) and value else None
