"""What language models cost."""

from __future__ import annotations

from handlebar import TokenUsage

# US dollars for a million tokens, in and out, as listed by the maker in mid-2025; models not listed have no price.
_PRICES = {
    "gpt-4o": (2.50, 10.00),
    "gpt-4o-mini": (0.15, 0.60),
    "gpt-4.1": (2.00, 8.00),
    "gpt-4.1-mini": (0.40, 1.60),
    "gpt-4.1-nano": (0.10, 0.40),
}


def cost_in_usd(model: str, usage: TokenUsage | None) -> float | None:
    """Return what *usage* of *model* cost; None where no tokens were used or no price is known."""
    if usage is None or model not in _PRICES:
        return None
    price_in, price_out = _PRICES[model]
    return ((usage.input_tokens or 0) * price_in + (usage.output_tokens or 0) * price_out) / 1_000_000
