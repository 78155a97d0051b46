"""What a model call costs, by the price list that genai-prices keeps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from handlebar._plumbing import logs
from handlebar.core.schema.metrics import InbuiltAgentMetricKind as Kind

_IN, _OUT = Kind.LLM_TOKENS_IN.value, Kind.LLM_TOKENS_OUT.value


def cost_usd(model: Mapping[str, Any] | None, metrics: Mapping[str, float]) -> float | None:
    """
    Return what the tokens in *metrics* cost, in US dollars.

    None where there is no telling: no model or one that is not on the list, no tokens, or no list because the
    extra `costs` is not installed. A model that is unknown is not free.
    """
    prices = _price_list()
    if prices is None or model is None or not (_IN in metrics or _OUT in metrics):
        return None
    usage = prices.Usage(input_tokens=int(metrics.get(_IN, 0)), output_tokens=int(metrics.get(_OUT, 0)))
    try:
        price = prices.calc_price(usage, model_ref=model["name"], provider_id=model.get("provider"))
    except LookupError:
        logs.warn_once_a_minute("costs", "No price is known for a run's model, so its cost counts as missing")
        return None
    return float(price.total_price)


@cache
def _price_list() -> Any:
    """Return the library, which takes a while to import; None where it is not installed."""
    try:
        import genai_prices
    except ModuleNotFoundError:
        logs.warn_once_a_minute("costs", 'A rule asks for llm_cost_usd: pip install "handlebar[costs]" for prices')
        return None
    return genai_prices
