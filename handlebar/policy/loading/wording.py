"""How problems speak of values and of what is allowed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

_KINDS = {bool: "a truth value", int: "a number", float: "a number", str: "text"}


def suggestion(wrong: str, allowed: Iterable[str]) -> str:
    """Return the words allowed, led by the one that was probably meant."""
    allowed = list(allowed)
    near = difflib.get_close_matches(wrong, allowed, n=1)
    return f"did you mean {near[0]!r}? {one_of(allowed)}" if near else one_of(allowed)


def described(value: Any) -> str:
    """Say what *value* is."""
    if isinstance(value, (list, dict)):
        return f"this is a {'list' if isinstance(value, list) else 'mapping'}"
    if value is None:
        return "this is null (leave out the key of what is not wanted)"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value!r} is not finite"
    return f"{shown(value)} is {_KINDS.get(type(value), f'a {type(value).__name__}')}"


def shown(value: Any) -> str:
    """Show a leaf briefly."""
    try:
        shown_value = repr(value)
    except Exception:  # a foreign object's own fault, or a number of too many digits
        return "this"
    return shown_value if len(shown_value) <= 60 else f"{shown_value[:57]}..."


def one_of(allowed: Iterable[str]) -> str:
    """Return the words allowed."""
    return f"allowed: {', '.join(allowed)}"
