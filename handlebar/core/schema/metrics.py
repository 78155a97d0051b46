"""The words of measuring: the built-in keys, and a value with its unit."""

from __future__ import annotations

import re
from enum import Enum

from attrs import field, frozen

from handlebar.core.schema import checks

_KEY = re.compile(r"[A-Za-z0-9_]{1,64}")


class InbuiltAgentMetricKind(str, Enum):
    """The metrics that Handlebar takes by itself; units are in the names (bytes, milliseconds, US dollars)."""

    __str__ = str.__str__

    BYTES_IN = "bytes_in"
    BYTES_OUT = "bytes_out"
    RECORDS_IN = "records_in"
    RECORDS_OUT = "records_out"
    DURATION_MS = "duration_ms"
    LLM_TOKENS_IN = "llm_tokens_in"
    LLM_TOKENS_OUT = "llm_tokens_out"
    LLM_COST_USD = "llm_cost_usd"


INBUILT_KEYS = frozenset(kind.value for kind in InbuiltAgentMetricKind)
"""The built-in keys as plain strings; no custom metric may take one."""


@frozen
class MetricInfo:
    """A measured *value* and its *unit*, if it has one."""

    value: float = field(validator=checks.number())
    unit: str | None = field(default=None, validator=checks.optional(checks.text))


def is_custom_key(key: object) -> bool:
    """Whether *key* may name a custom metric: letters, digits, `_`, at most 64, no built-in key."""
    return isinstance(key, str) and bool(_KEY.fullmatch(key)) and key not in INBUILT_KEYS
