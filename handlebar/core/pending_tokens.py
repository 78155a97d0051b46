"""The model's tokens since the last question to the control plane."""

from __future__ import annotations

from collections import deque

from handlebar.core.messages import TokenUsage


class PendingTokens:
    """
    Gathers token counts until one question takes them along.

    Thread-safe, and safe to inherit by a fork: it has no lock, each usage is popped by one taker only.
    """

    def __init__(self) -> None:
        self._usages: deque[TokenUsage] = deque()

    def add(self, usage: TokenUsage) -> None:
        """Add what one model call used."""
        self._usages.append(usage)

    def take(self) -> dict[str, float]:
        """Return the counts by metric key, and start again from nothing."""
        taken: dict[str, float] = {}
        while self._usages:
            try:
                usage = self._usages.popleft()
            except IndexError:  # another thread took the last one
                break
            for key, count in (
                ("llm_tokens_in", usage.input_tokens),
                ("llm_tokens_out", usage.output_tokens),
            ):
                if count:
                    taken[key] = taken.get(key, 0) + count
        return taken
