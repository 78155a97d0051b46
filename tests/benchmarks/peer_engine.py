"""Runs in the environment of agent-os-kernel: times its engine as it is told on standard input."""

from __future__ import annotations

import json
import statistics
import sys
import time

from agent_os.policies.evaluator import PolicyEvaluator
from agent_os.policies.schema import PolicyDocument


def evaluator(count: int) -> PolicyEvaluator:
    """Return one with so many rules, of which the last is for the tool that is called."""
    names = [*(f"other_{number}" for number in range(count - 1)), "issue_refund"]
    rules = [
        {
            "name": f"for {name}",
            "condition": {"field": "tool_name", "operator": "matches", "value": f"^{name}$"},
            "action": "block",
        }
        for name in names
    ]
    document = {"version": "1.0", "name": "bench", "description": "", "rules": rules}
    return PolicyEvaluator([PolicyDocument.model_validate(document)])


def main() -> None:
    for line in sys.stdin:
        count, calls = json.loads(line)
        engine = evaluator(count)
        times = []
        for _ in range(calls):
            context = {"tool_name": "issue_refund", "args": {"order_id": "A-17", "amount": 40.0}}
            began = time.perf_counter()
            decision = engine.evaluate(context)
            times.append(time.perf_counter() - began)
        assert decision.matched_rule == "for issue_refund", decision
        print(statistics.median(times) * 1e6, flush=True)


main()
