"""What tells one version of a rule from another."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import attrs

from handlebar._plumbing.safe_json import canonical
from handlebar.core.schema.rules import Rule


def rule_version(rule: Rule) -> str:
    """Return the same for the same rule, something else for any other."""
    return digest_of(content_of(rule))


def digest_of(content: Any) -> str:
    """Return 16 hexadecimal digits that stand for plain *content*."""
    return sha256(canonical(content).encode()).hexdigest()[:16]


def content_of(value: Any) -> Any:
    """Return *value* with each object of ours as a mapping that names its class."""
    if attrs.has(type(value)):
        parts = {each.name: content_of(getattr(value, each.name)) for each in attrs.fields(type(value))}
        return {"class": type(value).__name__, **parts}
    if isinstance(value, tuple):
        return [content_of(each) for each in value]
    return {name: content_of(each) for name, each in value.items()} if isinstance(value, Mapping) else value
