"""Budgets in US dollars: from tokens, by a price list that a library keeps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from handlebar.control import costs
from handlebar.control.costs import cost_usd
from handlebar.core.plane import StartRequest
from handlebar.core.schema.agents import ModelInfo
from tests.support.control import PATIENT, Desk, a_desk, a_policy, a_rule

pytest.importorskip("genai_prices", reason="the extra `costs` is not installed")

TOKENS = {"llm_tokens_in": 1_000_000.0, "llm_tokens_out": 100_000.0}


def a_budget(dollars: float, **more: Any) -> Any:
    """Return a policy that blocks refunds once a run has cost so much."""
    metric = {"kind": "inbuilt", "key": "llm_cost_usd"}
    spent = {"kind": "metricWindow", "scope": "run", "metric": metric, "aggregate": "sum", "op": "gt", "value": dollars}
    rule = a_rule({**spent, **more})
    rule["selector"]["tool"] = {"name": "refund"}
    return a_policy(rule)


def start(desk: Desk, model: str | None) -> None:
    """Start the run that `desk.asks` asks for."""
    request = StartRequest(run_id="run", agent_id=desk.agent_id, model=None if model is None else ModelInfo(model))
    desk.plane.start_run(request, budget=PATIENT)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


def test_a_run_may_cost_so_much(file: Path) -> None:
    """What the model used before any tool call counts, this one's and those of tools that no rule is about."""
    price = cost_usd({"name": "gpt-4o"}, TOKENS)
    assert price is not None
    assert price > 0
    with a_desk(file, a_budget(2.5 * price)) as desk:
        start(desk, "gpt-4o")
        assert desk.may("refund", metrics=TOKENS)
        assert desk.may("search", metrics=TOKENS)
        assert desk.may("refund")
        assert not desk.may("refund", metrics=TOKENS)


def test_a_cost_that_is_reported_is_taken_as_it_is(file: Path) -> None:
    """It is not reckoned again from the tokens."""
    with a_desk(file, a_budget(5)) as desk:
        start(desk, "gpt-4o")
        assert desk.may(metrics={**TOKENS, "llm_cost_usd": 4.0})
        assert not desk.may(metrics={"llm_cost_usd": 1.5})


@pytest.mark.parametrize("model", [None, "nobody-knows-this-model"])
def test_an_unknown_model_is_not_free(file: Path, model: str | None) -> None:
    """Its cost is missing, so the rule's onMissing decides, which blocks where nothing is said."""
    with a_desk(file, a_budget(1000)) as desk:
        start(desk, model)
        assert not desk.may(metrics=TOKENS)
    with a_desk(file, a_budget(1000, onMissing="allow")) as desk:
        assert desk.may(metrics=TOKENS)


def test_without_the_library_no_cost_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As little as for an unknown model."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    costs._price_list.cache_clear()
    assert cost_usd({"name": "gpt-4o"}, TOKENS) is None
    costs._price_list.cache_clear()


def test_without_tokens_there_is_no_cost() -> None:
    """None is not nought."""
    assert cost_usd({"name": "gpt-4o"}, {"bytes_in": 3.0}) is None
