"""Regular expressions that take linear time."""

from __future__ import annotations

from typing import Any


def compiled(pattern: str) -> Any:
    """
    Compile *pattern* with RE2, which knows no backtracking.

    Raises:
        ValueError: RE2 does not take the pattern; the message says why.
    """
    try:
        import re2
    except ImportError as error:
        raise ImportError("rules with a regex need RE2: pip install 'handlebar[embedded]'") from error
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(_reason(error)) from None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else "unknown"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
