"""What one check has found."""

from __future__ import annotations

from typing import Any, Literal

from attrs import asdict, frozen


@frozen
class Finding:
    """
    What one check has found.

    Attributes:
        about: What was looked at, in a word.

        state: `good`, `doubtful`, `bad`, or `skipped` where there was nothing to look at.

        what: What was found, in words.

        advice: What to do.
    """

    about: str
    state: Literal["good", "doubtful", "bad", "skipped"]
    what: str
    advice: str = ""

    def document(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)
