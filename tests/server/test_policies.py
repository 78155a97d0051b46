"""Policies over the API: put, read, changed, taken back, beside those of files; and what SDKs take of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.test_endpoints import question
from tests.support.control import a_policy, a_rule
from tests.support.servers import Caller, Place, a_place


def a_ban(tool: str, **more: Any) -> Any:
    """Return a policy that blocks one tool."""
    return a_policy(a_rule({"kind": "toolName", "op": "eq", "value": tool}), **{"name": f"no {tool}", **more})


def may(caller: Caller, agent: str, tool: str) -> bool:
    """Whether a call is allowed."""
    return bool("ALLOW" == caller.does("POST", "/v1/runs/run/evaluate", question(agent, tool))["verdict"])


class TestChanges:
    def test_a_policy_is_in_force_until_it_is_deleted(self, admin: Caller) -> None:
        """From the next decision on it decides, and from the next after its deletion it does not."""
        agent = admin.registers()
        assert may(admin, agent, "pay")
        made = admin.does("POST", "/v1/policies", a_ban("pay"))
        assert ("no-pay", 1, "api") == (made["id"], made["version"], made["source"])
        assert not may(admin, agent, "pay")
        assert {} == admin.does("DELETE", "/v1/policies/no-pay")
        assert may(admin, agent, "pay")
        assert (404, "not_found", None) == admin.refused("GET", "/v1/policies/no-pay")
        assert (404, "not_found", None) == admin.refused("DELETE", "/v1/policies/no-pay")

    def test_every_change_is_a_version(self, admin: Caller) -> None:
        """Versions count from 1, also over a deletion, and none is lost; what is unchanged makes none."""
        admin.does("POST", "/v1/policies", a_ban("pay", id="p"))
        assert 1 == admin.does("PUT", "/v1/policies/p", a_ban("pay"))["version"]
        assert 2 == admin.does("PUT", "/v1/policies/p", a_ban("look"))["version"]
        admin.does("DELETE", "/v1/policies/p")
        assert 4 == admin.does("PUT", "/v1/policies/p", a_ban("close", id="p"))["version"]
        versions = admin.does("GET", "/v1/policies/p/versions")["versions"]
        assert [1, 2, 3, 4] == [each["version"] for each in versions]
        assert ["no pay", "no look", None, "no close"] == [each.get("policy", {}).get("name") for each in versions]
        assert [4] == [each["version"] for each in admin.does("GET", "/v1/policies")["policies"]]

    def test_what_is_read_can_be_put(self, admin: Caller) -> None:
        """A policy as it is told is one that changes nothing when it is put again."""
        admin.does("POST", "/v1/policies", a_ban("pay", id="p", onMissingDefault="hitl"))
        told = admin.does("GET", "/v1/policies/p")
        assert told == admin.does("PUT", "/v1/policies/p", told["policy"])

    def test_an_id_is_new_only_once(self, admin: Caller) -> None:
        """A second policy of one id is refused; its rules may be put again as often as one likes."""
        admin.does("POST", "/v1/policies", a_ban("pay", id="p"))
        assert (409, "conflict", None) == admin.refused("POST", "/v1/policies", a_ban("look", id="p"))
        ban = a_ban("look")
        platform = {"policy": {"id": "p", "name": "bans"}, "rules": ban["rules"]}
        assert 2 == admin.does("POST", "/v1/rules/", platform)["version"]
        assert 2 == admin.does("POST", "/v1/rules/", platform)["version"]
        assert (400, "malformed", "rules") == admin.refused("POST", "/v1/rules/", {"policy": platform["policy"]})

    def test_of_two_changes_of_one_version_one_is_refused(self, admin: Caller) -> None:
        """Whoever sends If-Match changes only what they have seen."""
        seen = admin.call("POST", "/v1/policies", a_ban("pay", id="p")).headers["etag"]
        assert '"1"' == seen
        changed = admin.call("PUT", "/v1/policies/p", a_ban("look"), headers={"if-match": seen})
        assert (200, '"2"') == (changed.status_code, changed.headers["etag"])
        late = {"headers": {"if-match": seen}}
        assert (412, "precondition_failed", None) == admin.refused("PUT", "/v1/policies/p", a_ban("close"), **late)
        assert (412, "precondition_failed", None) == admin.refused("DELETE", "/v1/policies/p", **late)
        assert (412, "precondition_failed", None) == admin.refused("PUT", "/v1/policies/q", a_ban("close"), **late)
        wrong = {"headers": {"if-match": "3"}}
        assert (412, "precondition_failed", None) == admin.refused("PUT", "/v1/policies/p", a_ban("close"), **wrong)

    def test_ids_hold_any_text(self, admin: Caller) -> None:
        """Spaces and letters of any script are part of an id; slashes are not, as no path would lead there."""
        for policy_id in ("versions", "ü ?", "語"):
            assert policy_id == admin.does("PUT", f"/v1/policies/{policy_id.replace('?', '%3F')}", a_ban("x"))["id"]
        assert (400, "malformed", "id") == admin.refused("POST", "/v1/policies", a_ban("x", id="a/b"))


class TestRefusals:
    def test_the_loader_says_what_is_wrong(self, admin: Caller) -> None:
        """Every problem is told in the loader's words, and the field is the place of the first."""
        ban = a_ban("pay", mode="enforced")
        ban["rules"][0]["condition"]["op"] = "equals"
        answer = admin.call("POST", "/v1/policies", ban)
        error = answer.get_json()["error"]
        assert (422, "invalid_policy", "mode") == (answer.status_code, error["code"], error["field"])
        first, second = error["message"].splitlines()
        assert first.startswith("mode: 'enforced' is unknown")
        assert second.startswith("rules[0].condition.op: 'equals' is unknown")
        assert [] == admin.does("GET", "/v1/policies")["policies"]

    @pytest.mark.parametrize("body", [{}, {"policy": 5, "rules": []}, {"name": "x", "rules": []}, {"policy": {}}])
    def test_what_is_no_policy_is_refused(self, admin: Caller, body: Any) -> None:
        """Whatever its shape, it is a 422 with a field."""
        for method, path in (("POST", "/v1/policies"), ("PUT", "/v1/policies/p")):
            status, code, field = admin.refused(method, path, body)
            assert (422, "invalid_policy", True) == (status, code, bool(field))

    def test_a_policy_is_put_under_its_own_id(self, admin: Caller) -> None:
        """Another id in the body than in the path is refused."""
        assert (400, "malformed", "id") == admin.refused("PUT", "/v1/policies/p", a_ban("pay", id="q"))
        platform = {"policy": {"name": "n", "id": "q"}, "rules": a_ban("pay")["rules"]}
        assert (400, "malformed", "id") == admin.refused("PUT", "/v1/policies/p", platform)

    def test_who_may_do_what(self, place: Place) -> None:
        """Viewers read and change nothing; agents take what is in force for them and read nothing else."""
        viewer, agent = place.caller("viewer"), place.caller("agent")
        place.caller().does("PUT", "/v1/policies/p", a_ban("pay"))
        assert {200} == {viewer.call("GET", f"/v1/policies{rest}").status_code for rest in ("", "/p", "/p/versions")}
        assert {403} == {agent.call("GET", f"/v1/policies{rest}").status_code for rest in ("", "/p", "/p/versions")}
        changes = (("POST", "/v1/policies"), ("PUT", "/v1/policies/p"), ("DELETE", "/v1/policies/p"))
        for method, path in (*changes, ("POST", "/v1/rules/")):
            assert (403, "forbidden", None) == viewer.refused(method, path, a_ban("pay"))

    def test_tenants_have_policies_of_their_own(self, place: Place) -> None:
        """What one tenant puts, another neither sees nor feels, under the same id too."""
        ours, theirs = place.caller(), place.caller(tenant="other")
        ours.does("PUT", "/v1/policies/p", a_ban("pay"))
        assert 404 == theirs.call("GET", "/v1/policies/p").status_code
        assert 404 == theirs.call("GET", "/v1/policies/p/versions").status_code
        assert may(theirs, theirs.registers(), "pay")
        assert 1 == theirs.does("PUT", "/v1/policies/p", a_ban("look"))["version"]
        assert not may(ours, ours.registers(), "pay")


class TestBesideFiles:
    """The same database is served with a file of policies, and somebody puts others."""

    def test_a_reload_leaves_what_was_put(self, tmp_path: Path) -> None:
        """A file that changes changes its own policies only."""
        file, written = tmp_path / "plane.db", tmp_path / "policies.json"
        written.write_text(json.dumps([a_ban("pay")]))
        with a_place(file, str(written)) as place:
            admin = place.caller()
            admin.does("PUT", "/v1/policies/put", a_ban("look"))
            agent = admin.registers()
            assert [False, False] == [may(admin, agent, tool) for tool in ("pay", "look")]
        written.write_text(json.dumps([a_ban("close")]))
        with a_place(file, str(written)) as place:
            admin = place.caller()
            assert [True, False, False] == [may(admin, agent, tool) for tool in ("pay", "look", "close")]

    def test_what_a_file_holds_is_changed_there(self, tmp_path: Path) -> None:
        """Neither put nor delete reaches a policy of a file."""
        with a_place(tmp_path / "plane.db", a_ban("pay")) as place:
            admin = place.caller()
            agent = admin.registers()
            assert not may(admin, agent, "pay")
            assert "config of the server" == admin.does("GET", "/v1/policies/no-pay")["source"]
            assert (409, "conflict", None) == admin.refused("PUT", "/v1/policies/no-pay", a_ban("look"))
            assert (409, "conflict", None) == admin.refused("DELETE", "/v1/policies/no-pay")

    def test_a_file_does_not_replace_what_was_put(self, tmp_path: Path) -> None:
        """A file's policy of an id that somebody has put waits until that one is deleted."""
        file = tmp_path / "plane.db"
        with a_place(file) as place:
            place.caller().does("PUT", "/v1/policies/p", a_ban("look"))
        with a_place(file, a_ban("pay", id="p")) as place:
            admin = place.caller()
            agent = admin.registers()
            assert [True, False] == [may(admin, agent, tool) for tool in ("pay", "look")]
            admin.does("DELETE", "/v1/policies/p")
        with a_place(file, a_ban("pay", id="p")) as place:
            assert [False, True] == [may(place.caller(), agent, tool) for tool in ("pay", "look")]


class TestSnapshots:
    def test_it_holds_what_is_in_force_for_the_agent(self, admin: Caller) -> None:
        """Policies for others, and disabled ones, are left out; lockdowns of its own are there."""
        agent = admin.registers(tags=["money"])
        admin.registers("other")
        admin.does("PUT", "/v1/policies/mine", a_ban("pay", agentSelector={"anyOfTags": ["money"]}))
        admin.does("PUT", "/v1/policies/others", a_ban("pay", agentSelector={"anyOfSlugs": ["other"]}))
        admin.does("PUT", "/v1/policies/off", a_ban("pay", enabled=False))
        for slug in ("desk", "other"):
            admin.does("PUT", f"/v1/agents/{slug}/lockdown", {"reason": "leak", "tool": "wire"})
        told = admin.does("GET", f"/v1/agents/{agent}/policies")
        assert [("mine", 1)] == [(each["policy"]["id"], each["version"]) for each in told["policies"]]
        assert [("leak", "wire")] == [(each["reason"], each["tool"]) for each in told["lockdowns"]]
        assert {"slug": "desk", "tags": ["money"]} == told["agent"]

    def test_what_is_known_is_not_told_again(self, admin: Caller) -> None:
        """The ETag stays while nothing changes for this agent, and every change makes another."""
        agent = admin.registers()
        path = f"/v1/agents/{agent}/policies"
        tags: list[str] = []

        def unchanged() -> bool:
            answer = admin.call("GET", path, headers={"if-none-match": tags[-1] if tags else '""'})
            tags.append(answer.headers["etag"])
            return 304 == answer.status_code and b"" == answer.data

        assert [False, True] == [unchanged(), unchanged()]
        admin.does("PUT", "/v1/policies/p", a_ban("pay"))
        assert [False, True] == [unchanged(), unchanged()]
        admin.does("PUT", "/v1/agents/desk/lockdown", {"reason": "leak"})
        assert [False, True] == [unchanged(), unchanged()]
        admin.does("DELETE", "/v1/agents/desk/lockdown")
        admin.registers("other")
        assert [False, True] == [unchanged(), unchanged()]
        assert 3 == len(set(tags))

    def test_it_is_a_tenants_own(self, place: Place) -> None:
        """Another tenant's agent is one that does not exist."""
        agent = place.caller().registers()
        path = f"/v1/agents/{agent}/policies"
        assert (404, "not_found", None) == place.caller(tenant="other").refused("GET", path)


def test_decisions_name_who_and_what_decided(admin: Caller) -> None:
    """Each decision says that the control plane made it, and the versions that were in force."""
    agent = admin.registers()
    admin.does("PUT", "/v1/policies/p", a_ban("pay"))
    admin.does("PUT", "/v1/policies/p", a_ban("look"))
    decided = admin.does("POST", "/v1/runs/run/evaluate", question(agent, "look"))
    assert "control_plane" == decided["decidedBy"]
    assert [{"policyId": "p", "version": 2}] == decided["policyVersions"]
