"""The host application's signals and functions: when they are called, how often, and what if they fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlebar._plumbing import time_limits
from handlebar.control.database import Database
from handlebar.control.host import Host
from handlebar.control.policies import read_sources
from handlebar.control.service import EmbeddedControlPlane
from handlebar.core.schema.agents import AgentDescriptor
from tests.support.control import PATIENT, Desk, a_desk, a_limit, a_policy, a_rule, at_once, url_of
from tests.support.waiting import eventually

RISK = {
    "kind": "signal",
    "key": "risk",
    "args": {"who": {"from": "enduserId"}, "amount": {"from": "toolArg", "path": "amount"}},
    "op": "gt",
    "value": 5,
}
NIGHT = {"kind": "custom", "name": "night", "args": {"zone": "UTC"}}


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


@pytest.fixture(name="let")
def _let() -> Iterator[threading.Event]:
    """Give an event that hanging functions wait for, and let them go at the end."""
    let = threading.Event()
    yield let
    let.set()
    assert eventually(lambda: 0 == time_limits._hanging.get().number)


def hurried(file: Path, policy: Any, **functions: Any) -> Desk:
    """Return a desk whose functions have a twentieth of a second each."""
    host = Host(functions.get("signals", {}), functions.get("custom_functions", {}), timeout_seconds=0.05)
    plane = EmbeddedControlPlane(Database(url_of(file)), read_sources([policy], owner="desk"), host=host)
    return Desk(plane, plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT))


def test_a_signal_decides(file: Path) -> None:
    """A signal is given its bound arguments as one dict, and its value decides."""
    asked: list[Any] = []

    def risk(args: dict[str, Any]) -> int:
        asked.append(args)
        return 9 if args["amount"] > 10 else 1

    with a_desk(file, a_policy(a_rule(RISK)), signals={"risk": risk}) as desk:
        assert [True, False] == [desk.may(actor="ann", args={"amount": amount}) for amount in (3, 30)]
    assert [{"who": "ann", "amount": 3}, {"who": "ann", "amount": 30}] == asked


def test_a_custom_function_decides(file: Path) -> None:
    """A custom function is given the rule's arguments and the call, and its truth decides; a coroutine is awaited."""

    async def night(args: dict[str, Any], call: Any) -> bool:
        return args == {"zone": "UTC"} and call.tool_name == "pay"

    with a_desk(file, a_policy(a_rule(NIGHT)), custom_functions={"night": night}) as desk:
        assert [False, True] == [desk.may(tool) for tool in ("pay", "look")]


LIMITED = a_policy(
    a_rule({"kind": "and", "all": [RISK, a_limit(1)]}, name="limited risk"),
    a_rule(RISK, name="any risk", mode="shadow"),
    a_rule({"kind": "not", "not": NIGHT}, name="day"),
)


def test_each_is_called_once_for_a_decision(file: Path) -> None:
    """Though several rules ask, and the past is looked at twice, a function is called once for each decision."""
    called: list[str] = []
    signals = {"risk": lambda args: called.append("risk") or 9}
    functions = {"night": lambda args, call: not called.append("night")}
    with a_desk(file, LIMITED, signals=signals, custom_functions=functions) as desk:
        decisions = [desk.asks(actor="ann", args={"amount": 3}) for _ in range(3)]
    assert [True, False, False] == [decision.allowed for decision in decisions]
    assert [1] * 3 == [len(decision.shadow) for decision in decisions]
    assert ["night", "risk"] * 3 == [
        name for pair in zip(called[::2], called[1::2], strict=True) for name in sorted(pair)
    ]


def test_nobody_waits_for_the_database_meanwhile(file: Path) -> None:
    """While a function takes its time, other threads and planes write: it is called outside the write transaction."""
    inside, let = threading.Event(), threading.Event()

    def risk(args: Any) -> int:
        inside.set()
        assert let.wait(PATIENT)
        return 9

    with a_desk(file, LIMITED, signals={"risk": risk}) as desk, a_desk(file, slug="other") as other:
        waiting = threading.Thread(target=desk.may, kwargs={"args": {"amount": 3}, "actor": "ann"})
        waiting.start()
        assert inside.wait(PATIENT)
        for each in (desk, other):
            each.plane.register_tools(each.agent_id, [], budget=1.5)
        let.set()
        waiting.join()


def test_limits_hold_beside_functions(file: Path) -> None:
    """Threads that race while a function is asked take exactly as many places as there are."""
    limit = a_policy(a_rule({"kind": "and", "all": [NIGHT, a_limit(3)]}))
    with a_desk(file, limit, custom_functions={"night": lambda args, call: True}) as desk:
        assert 3 == sum(at_once([desk.may] * 12))


def hang(let: threading.Event) -> bool:
    """Wait as no function should."""
    return let.wait(PATIENT)


def fail(let: threading.Event) -> bool:
    """Fail as any function may."""
    raise RuntimeError("no value today")


@pytest.mark.parametrize("trouble", [hang, fail])
@pytest.mark.parametrize(("on_missing", "allowed"), [({}, False), ({"onMissing": "allow"}, True)])
@pytest.mark.parametrize("condition", [RISK, NIGHT], ids=["signal", "custom"])
def test_a_function_that_is_no_help(
    file: Path, let: threading.Event, condition: Any, on_missing: Any, allowed: bool, trouble: Any
) -> None:
    """A function that fails, or takes longer than its time, leaves the decision to onMissing, else it blocks."""
    functions = {
        "signals": {"risk": lambda args: trouble(let)},
        "custom_functions": {"night": lambda args, _: trouble(let)},
    }
    desk = hurried(file, a_policy(a_rule(condition, **on_missing)), **functions)
    assert [allowed] * 2 == [desk.may(actor="ann", args={"amount": 1}) for _ in range(2)]
    desk.plane.close()


@pytest.mark.parametrize("condition", [RISK, NIGHT], ids=["signal", "custom"])
def test_a_function_that_nobody_gave(file: Path, condition: Any) -> None:
    """A rule about a function that the client was not given is left to onMissing, else it blocks."""
    with a_desk(file, a_policy(a_rule(condition))) as desk:
        assert not desk.may(actor="ann", args={"amount": 1})


def test_a_failed_function_is_not_asked_again(file: Path, let: threading.Event) -> None:
    """Where several rules ask what cannot be had, one decision waits for it once."""
    called: list[Any] = []

    def night(args: Any, call: Any) -> bool:
        called.append(args)
        return hang(let)

    rules = [a_rule({"kind": "and", "all": [NIGHT, a_limit(0)]}, name=f"rule {number}") for number in range(3)]
    desk = hurried(file, a_policy(*rules), custom_functions={"night": night})
    assert not desk.may()
    assert [{"zone": "UTC"}] == called
    desk.plane.close()
