"""What SDKs ask again and again: how their agent stands, what is left of its budgets; and who has confirmed what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from handlebar.control import open_control_plane
from handlebar.core.config import RunConfig
from handlebar.core.schema.governance import LockdownCause
from tests.support.control import a_policy, a_rule, url_of
from tests.support.servers import Caller, a_place, servers
from tests.support.waiting import eventually

STATUS = "/v1/agents/desk/status"
BUDGET = "/v1/agents/desk/metrics/budget"


def a_bound(value: float, scope: str = "agent", *, metric: str = "records_in", **more: Any) -> dict[str, Any]:
    """Return the condition that a metric has reached a value, within a day."""
    kind = "inbuilt" if metric == "records_in" else "custom"
    known = {"scope": scope, "metric": {"kind": kind, "key": metric}, "aggregate": "sum", "windowSeconds": 86400}
    return {"kind": "metricWindow", **known, "op": "gte", "value": value, **more}


def uses(caller: Caller, agent: str, records: float, actor: str) -> str:
    """Make a call that uses so many records; return the verdict."""
    body = {"phase": "tool.before", "agentId": agent, "tool": {"name": "refund"}, "args": {}}
    more = {"actor": {"externalId": actor}, "metrics": {"records_in": records}}
    return str(caller.does("POST", "/v1/runs/run/evaluate", {**body, **more})["verdict"])


class TestStatus:
    """How an agent stands."""

    def test_the_policies_that_are_for_it(self, tmp_path: Path) -> None:
        """Enabled, disabled and in shadow; those of other agents are left out."""
        never = a_rule({"kind": "toolName", "op": "eq", "value": "delete"})
        other = {"agentSelector": {"anyOfSlugs": ["other"]}}
        policies = [
            a_policy(never, name="on"),
            a_policy(never, name="off", enabled=False),
            a_policy(never, name="watching", mode="shadow"),
            a_policy(never, name="elsewhere", **other),
        ]
        with a_place(tmp_path / "plane.db", *policies) as place:
            caller = place.caller("agent")
            agent = caller.registers()
            by_id, by_slug = caller.does("GET", f"/v1/agents/{agent}/status"), caller.does("GET", STATUS)
        assert by_id == by_slug
        found = {each["name"]: each["status"] for each in by_id["policies"]}
        assert {"on": "enabled", "off": "disabled", "watching": "shadow"} == found

    def test_an_agent_that_there_is_not(self, admin: Caller) -> None:
        """Neither its status nor its budgets can be had; another tenant's are no different."""
        for path in (STATUS, BUDGET):
            assert (404, "not_found", None) == admin.refused("GET", path)

    @pytest.mark.parametrize(
        ("path", "field"),
        [
            (f"{STATUS}?process=", "process"),
            (f"{STATUS}?process={'x' * 201}", "process"),
            (f"{STATUS}?process=p&obeys={'x' * 201}", "obeys"),
            (f"{STATUS}?process=p{'&obeys=x' * 101}", "obeys"),
            (f"{BUDGET}?actor=", "actor"),
        ],
    )
    def test_parameters_that_are_none(self, admin: Caller, path: str, field: str) -> None:
        """Too long, too many or empty is refused."""
        admin.registers()
        assert (400, "malformed", field) == admin.refused("GET", path)


class TestConfirmations:
    """Who has confirmed a lockdown, and who has not."""

    def test_one_has_and_one_has_not(self, tmp_path: Path) -> None:
        """A process confirms what it names; one that only asks was seen; one that says nothing of itself is unknown."""
        with a_place(tmp_path / "plane.db") as place:
            caller = place.caller()
            caller.registers()
            made = caller.does("PUT", "/v1/agents/desk/lockdown", {"reason": "stop"})
            caller.does("GET", STATUS)
            caller.does("GET", f"{STATUS}?process=p-1&host=web-1")
            caller.does("GET", f"{STATUS}?process=p-2&host=web-2&obeys={made['id']}&obeys=nothing")
            plane = place.app.extensions["handlebar"].plane("default")
            (standing,) = plane.lockdown_standings("desk")
        assert made["id"] == standing.lockdown.id
        assert [("p-2", "web-2")] == [(each.process, each.host) for each in standing.confirmed]
        assert [("p-1", "web-1")] == [(each.process, each.host) for each in standing.unconfirmed]

    def test_what_was_confirmed_stays_so(self, tmp_path: Path) -> None:
        """A process that asks again, naming it or not, is noted once; other agents' lockdowns confirm nothing."""
        with a_place(tmp_path / "plane.db") as place:
            caller = place.caller()
            caller.registers()
            caller.registers("other")
            mine = caller.does("PUT", "/v1/agents/desk/lockdown", {"reason": "stop"})["id"]
            others = caller.does("PUT", "/v1/agents/other/lockdown", {"reason": "stop"})["id"]
            for obeyed in (f"&obeys={mine}&obeys={others}", f"&obeys={mine}", ""):
                caller.does("GET", f"{STATUS}?process=p-1&host=web-1{obeyed}")
            plane = place.app.extensions["handlebar"].plane("default")
            standings = {each.lockdown.id: each for each in plane.lockdown_standings()}
        assert (1, 0) == (len(standings[mine].confirmed), len(standings[mine].unconfirmed))
        assert (0, 0) == (len(standings[others].confirmed), len(standings[others].unconfirmed))

    def test_a_repeated_order_changes_the_one_in_force(self, admin: Caller) -> None:
        """The same agent, actor and tool keep the id, with the new reason; other scopes are others."""
        admin.registers()
        path = "/v1/agents/desk/lockdown"
        first = admin.does("PUT", path, {"reason": "a", "tool": "refund"})
        again = admin.does("PUT", path, {"reason": "b", "tool": "refund", "until": "2999-01-01T00:00:00Z"})
        whole = admin.does("PUT", path, {"reason": "c"})
        assert {**first, "reason": "b", "until": again["until"]} == again
        assert [again, whole] == sorted(admin.does("GET", STATUS)["lockdowns"], key=lambda each: each["reason"])
        assert {"lifted": 1} == admin.does("DELETE", path, {"tool": "refund"})
        assert first["id"] != admin.does("PUT", path, {"reason": "d", "tool": "refund"})["id"]


class TestBudgets:
    """What is left of the limits that rules set to metrics."""

    def test_sums_of_an_agent_and_its_actors(self, tmp_path: Path) -> None:
        """What was used counts; an actor has a budget to itself."""
        policy = a_policy(
            a_rule(a_bound(10), name="agent", id="all"), a_rule(a_bound(4, "agent_user"), "hitl", name="user", id="one")
        )
        with a_place(tmp_path / "plane.db", policy) as place:
            caller = place.caller("agent")
            agent = caller.registers()
            assert {"all": ("allow", 10.0)} == told(caller.does("GET", BUDGET))
            assert ["ALLOW", "ALLOW"] == [uses(caller, agent, 3, "ann"), uses(caller, agent, 1, "ben")]
            path = f"{BUDGET}?actor=ann&actor=ben&actor=eve"
            grants = {"all": 6.0, "one:ann": 1.0, "one:ben": 3.0, "one:eve": 4.0}
            assert {name: ("allow", left) for name, left in grants.items()} == told(caller.does("GET", path))
            answer = caller.does("GET", BUDGET)
        known = {"metric": "records_in", "aggregate": "sum", "windowSeconds": 86400, "used": 4.0, "limit": 10.0}
        assert known == answer["responses"][0]["computed"]
        assert (60.0, 60.0) == (answer["expires_seconds"], answer["responses"][0]["expires_seconds"])

    def test_one_that_is_used_up(self, tmp_path: Path) -> None:
        """What a call turned out to use may go beyond the limit; the decision says what the rule does then."""
        policy = a_policy(a_rule(a_bound(4, "agent_user", metric="points"), "hitl", id="one"))
        with a_place(tmp_path / "plane.db", policy) as place:
            caller = place.caller("agent")
            body = {"phase": "tool.after", "agentId": caller.registers(), "tool": {"name": "refund"}, "args": {}}
            more = {"actor": {"externalId": "ann"}, "metrics": {"points": 5}}
            caller.does("POST", "/v1/runs/run/evaluate", {**body, **more})
            assert {"one:ann": ("defer", 0.0)} == told(caller.does("GET", f"{BUDGET}?actor=ann"))

    def test_what_is_no_budget(self, tmp_path: Path) -> None:
        """Rules that are disabled, in shadow, about a run, from below, or of an average grant nothing."""
        rules = [
            a_rule(a_bound(1), name="off", enabled=False),
            a_rule(a_bound(1), name="shadow", mode="shadow"),
            a_rule(a_bound(1, "run"), name="run"),
            a_rule(a_bound(1, op="lt"), name="below"),
            a_rule(a_bound(1, aggregate="avg"), name="average"),
        ]
        with a_place(tmp_path / "plane.db", a_policy(*rules)) as place:
            caller = place.caller("agent")
            caller.registers()
            assert [] == caller.does("GET", BUDGET)["responses"]

    def test_a_limit_inside_a_condition(self, tmp_path: Path) -> None:
        """Limits that are ANDed with others are told each, and a short window is not believed for longer."""
        both = {"kind": "and", "all": [a_bound(5, windowSeconds=20), a_bound(7, metric="points")]}
        with a_place(tmp_path / "plane.db", a_policy(a_rule(both, id="both"))) as place:
            caller = place.caller("agent")
            caller.registers()
            found = caller.does("GET", BUDGET)["responses"]
        assert [("both", 20.0), ("both#2", 60.0)] == [(each["id"], each["expires_seconds"]) for each in found]


def told(answer: Any) -> dict[str, tuple[str, float]]:
    """Return decision and grant by the budgets' ids."""
    return {each["id"]: (each["decision"], each["grant"]) for each in answer["responses"]}


@pytest.mark.slow
def test_a_client_of_another_process_confirms(tmp_path: Path) -> None:
    """A run in progress sees the lockdown without asking for a decision; its process has then confirmed it."""
    file = tmp_path / "plane.db"
    with servers(1, file) as (served,), served.client(poll_seconds=0.1) as client:
        run = client.start_run_sync(RunConfig("run", actor="ann"))
        plane = open_control_plane(url_of(file))
        made = plane.lock_down("desk", "stop")
        assert eventually(lambda: [made.id] == [each.id for each in client.lockdowns])
        assert eventually(lambda: bool(plane.lockdown_standings("desk")[0].confirmed))
        (standing,) = plane.lockdown_standings()
        plane.close()
        served.process.kill()
        assert LockdownCause(made.id) == run.before_tool_sync("refund", {}).cause
    assert (1, ()) == (len(standing.confirmed), standing.unconfirmed)
