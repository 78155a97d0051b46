"""The engine by the number of rules, most of them for other tools; and whole embedded decisions."""

from __future__ import annotations

import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from handlebar.core import Handlebar, HandlebarClientConfig, RunConfig, Sink
from handlebar.policy import Call, compile_policies, load_policies
from tests.benchmarks.peers import KERNEL, peer_process
from tests.benchmarks.tables import Table, compared
from tests.benchmarks.timing import Arm, arm, medians
from tests.support.policy_facts import StatedFacts

_CONDITIONS: tuple[dict[str, Any], ...] = (
    {"kind": "toolArg", "type": "number", "path": "amount", "op": "gt", "value": 500},
    {"kind": "toolArg", "type": "string", "path": "to", "op": "regex", "value": "@example[.]com$"},
    {"kind": "toolTag", "op": "has", "tag": "payments"},
    {"kind": "enduserTag", "op": "has", "tag": "vip"},
)


class _Nowhere(Sink):
    def write_batch(self, agent_id: str, events: object) -> None:
        """Take them."""


def report(kernel_python: Path | None) -> list[Table]:
    """Measure, and return the tables."""
    ours = {"1 rule": _evaluation(1)} | {f"{count:,} rules": _evaluation(count) for count in (100, 1_000, 10_000)}
    with peer_process(kernel_python, "peer_engine.py") as ask:
        kernel = {f"{KERNEL}, 100 rules": lambda calls: ask(100, calls // 10)} if ask else {}
        figures = medians({**ours, **kernel}, calls=3_000)
    return [compared("The engine, one evaluation", figures, base="100 rules"), _embedded()]


def _evaluation(count: int) -> Arm:
    engine = compile_policies(load_policies([_policy(count)]), agent_slug="bench")
    call = Call(
        phase="tool.before",
        agent_slug="bench",
        tool_name="issue_refund",
        args={"order_id": "A-17", "amount": 40.0},
        now=datetime.now(timezone.utc),
    )
    facts = StatedFacts()
    return arm(lambda: engine.evaluate(call, facts))


def _policy(count: int) -> dict[str, Any]:
    """Return a policy in which one rule is for the tool that is called, and the others are for others."""
    rules = [_rule("issue_refund", _CONDITIONS[0])]
    rules += [_rule(f"other_{number}", _CONDITIONS[number % 4]) for number in range(count - 1)]
    return {"name": f"{count} rules", "agentSelector": {"anyOfSlugs": ["bench"]}, "rules": rules}


def _rule(tool: str, condition: dict[str, Any]) -> dict[str, Any]:
    selector = {"phase": "tool.before", "tool": {"name": tool}}
    return {"name": f"for {tool}", "selector": selector, "condition": condition, "effect": {"type": "block"}}


def _limit() -> dict[str, Any]:
    counted = {"by": "toolName", "patterns": ["send_email"]}
    return _rule("send_email", {"kind": "maxCalls", "selector": counted, "max": 10**6, "windowSeconds": 0.1})


def _embedded() -> Table:
    policy = {**_policy(10)}
    policy["rules"] = [*policy["rules"], _limit()]
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"sqlite:///{Path(folder) / 'bench.db'}"
        config = HandlebarClientConfig("bench", api_endpoint=endpoint, policies=[policy], sinks=[_Nowhere()])
        client = Handlebar.init_sync(config)
        run = client.start_run_sync(RunConfig("run-1"))
        arms = {
            "stateless rules": arm(lambda: run.before_tool_sync("issue_refund", {"amount": 40.0})),
            "an exact shared limit": arm(lambda: run.before_tool_sync("send_email", {"to": "a@b.example"})),
        }
        figures = medians(arms, calls=500)
        client.shutdown_sync()
    return compared("Embedded before_tool_sync, event queued", figures, base="stateless rules")
