"""What each endpoint takes, answers and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from handlebar.control import open_control_plane
from tests.support.control import a_policy, a_rule, url_of
from tests.support.servers import Caller, Place, a_place, is_problem
from tests.support.waiting import eventually

BATCH = {"x-handlebar-batch-id": "0197c1d2-0000-7000-8000-000000000001"}


def question(agent: str, tool: str = "refund", **more: Any) -> dict[str, Any]:
    """Return the body that asks for a decision."""
    return {"phase": "tool.before", "agentId": agent, "tool": {"name": tool}, "args": {}, **more}


def event(run: str = "run", **more: Any) -> dict[str, Any]:
    """Return an audit event."""
    known = {"schema": "handlebar.audit.v1", "kind": "error", "ts": "2026-07-01T12:00:00.123Z", "runId": run}
    return {**known, "data": {"scope": "agent", "message": "m"}, **more}


class TestTheWire:
    """The calls that the hosted platform knows, as it spells them."""

    def test_every_member_that_it_knows_is_taken(self, admin: Caller) -> None:
        """A registration, a start and a question with all that they may have are answered as the wire says."""
        tool = {"name": "refund", "description": "pays back", "tags": ["money"]}
        agent = admin.registers(name="Desk", description="answers", tags=["support"], tools=[tool])
        entry = {"key": "function:refund", "name": "refund", "version": 1, "kind": "function"}
        entries = {"tools": [{**entry, "description": "pays back", "metadata": {"metadata": ["money"]}}]}
        assert {} == admin.does("PUT", f"/v1/agents/{agent}/tools", entries)
        group = {"externalId": "acme", "name": "Acme", "metadata": {"plan": "gold"}}
        actor = {"externalId": "u-1", "name": "Ann", "metadata": {"tier": "free"}, "group": group}
        model = {"name": "gpt-4o", "provider": "openai"}
        start = {"agentId": agent, "sessionId": "s", "actor": actor, "model": model, "runTtlMs": 60_000}
        assert {"lockdown": {"active": False}} == admin.does("POST", "/v1/runs/run/start", start)
        subject = {"subjectType": "patient", "value": "P-1", "role": "primary", "idSystem": "mrn"}
        more = {"actor": {"externalId": "u-1"}, "tags": {"env": "prod"}, "subjects": [subject]}
        metrics = {"bytes_in": 12, "llm_cost_usd": 0.5, "rows_touched": 3}
        decided = admin.does("POST", "/v1/runs/run/evaluate", question(agent, metrics=metrics, **more))
        assert {"verdict", "control", "cause", "message", "evaluatedRules", "decidedBy"} == set(decided)
        assert ("ALLOW", "CONTINUE", {"kind": "ALLOW"}) == (
            decided["verdict"],
            decided["control"],
            decided["cause"],
        )
        after = question(agent, phase="tool.after", result=[1, None], metrics={"duration_ms": 1.5})
        assert "ALLOW" == admin.does("POST", "/v1/runs/run/evaluate", after)["verdict"]
        assert {} == admin.does("POST", "/v1/runs/run/end", {"agentId": agent, "status": "success"})

    def test_a_time_to_live(self, place: Place) -> None:
        """A run that was given one is over when it has passed, though nobody has ended it."""
        admin = place.caller()
        agent = admin.registers()
        admin.does("POST", "/v1/runs/run/start", {"agentId": agent, "runTtlMs": 0.5})
        with closing(open_control_plane(url_of(place.file))) as plane:
            assert eventually(lambda: ["timeout"] == [run.status for run in plane.runs_of_id("run")])

    def test_null_is_absent_and_unknown_members_are_ignored(self, admin: Caller) -> None:
        """What a newer or more talkative client sends changes nothing."""
        agent = admin.registers(name=None, tags=None, tools=None, invented={"by": "somebody"})
        absent = dict.fromkeys(("actor", "tags", "subjects", "metrics", "result", "args"))
        decided = admin.does("POST", "/v1/runs/run/evaluate", {**question(agent), **absent, "more": [1]})
        assert "ALLOW" == decided["verdict"]

    def test_a_slug_is_one_agent(self, admin: Caller) -> None:
        """Registering a slug again brings the same agent up to date."""
        assert admin.registers("desk") == admin.registers("desk", name="Desk")
        assert admin.registers("desk") != admin.registers("other")

    def test_a_rule_blocks(self, tmp_path: Path) -> None:
        """A blocked call's decision names its rule in cause and finalRuleId."""
        policy = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "drop"}, id="no-drop"), id="p")
        with a_place(tmp_path / "plane.db", policy) as place:
            caller = place.caller("agent")
            decided = caller.does("POST", "/v1/runs/run/evaluate", question(caller.registers(), "drop"))
            counted = caller.call("GET", "/metrics").text
        rule = decided["finalRuleId"]
        assert {"kind": "RULE_VIOLATION", "ruleId": rule} == decided["cause"]
        assert [{"ruleId": rule, "enabled": True, "matched": True, "violated": True}] == decided["evaluatedRules"]
        assert 'handlebar_decisions_total{verdict="BLOCK"} 1.0' in counted


class TestEvents:
    def test_a_batch_is_stored_once(self, admin: Caller) -> None:
        """The same batch id again is answered well and stored no second time; another one is."""
        agent = admin.registers()
        for headers in (BATCH, BATCH, {"x-handlebar-batch-id": "2"}):
            admin.does("POST", "/v1/runs/events", {"agentId": agent, "events": [event()]}, headers=headers)
        assert 2 == len(admin.does("GET", "/v1/runs/run/events")["events"])

    def test_events_come_back_as_they_were_sent(self, admin: Caller) -> None:
        """Members that this version does not know, and letters of any script, are kept."""
        sent = [event(stepIndex=0, invented={"by": ["ü", "語", 1.5, True, None]}), event(kind="of.tomorrow")]
        admin.does("POST", "/v1/runs/events", {"agentId": admin.registers(), "events": sent}, headers=BATCH)
        assert sent == admin.does("GET", "/v1/runs/run/events")["events"]

    def test_half_a_letter_does_not_cost_a_batch(self, admin: Caller) -> None:
        """Text cut between the halves of a surrogate pair is taken, the half replaced."""
        batch = {"agentId": admin.registers(), "events": [event(data={"message": "cut \ud83d"})]}
        admin.does("POST", "/v1/runs/events", json.dumps(batch).encode(), headers=BATCH)
        assert ["cut \ufffd"] == [
            each["data"]["message"] for each in admin.does("GET", "/v1/runs/run/events")["events"]
        ]

    def test_a_batch_needs_its_id(self, admin: Caller) -> None:
        """Without the header, or with an empty one, nothing is stored."""
        batch = {"agentId": admin.registers(), "events": [event()]}
        for headers in ({}, {"x-handlebar-batch-id": " "}, {"x-handlebar-batch-id": "x" * 201}):
            refused = admin.refused("POST", "/v1/runs/events", batch, headers=headers)
            assert (400, "malformed", "x-handlebar-batch-id") == refused
        assert 404 == admin.call("GET", "/v1/runs/run/events").status_code


class TestApprovals:
    @pytest.fixture
    def asked(self, tmp_path: Path) -> Any:
        """Somebody who may answer, and the path of a question."""
        policy = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "wire"}, "hitl"))
        with a_place(tmp_path / "asked.db", policy) as place:
            caller = place.caller()
            cause = caller.does("POST", "/v1/runs/run/evaluate", question(caller.registers(), "wire"))["cause"]
            assert "HITL_PENDING" == cause["kind"]
            yield caller, f"/v1/approvals/{cause['approvalId']}"

    def test_it_is_answered_once(self, asked: tuple[Caller, str]) -> None:
        """The first answer stands, with its note; a second one is a conflict."""
        caller, path = asked
        answer = {"status": "denied", "respondedBy": "ann", "note": "too much"}
        told = caller.does("POST", f"{path}/respond", answer)
        assert ("denied", 1, "wire") == (told["status"], told["required"], told["toolName"])
        assert ("denied", "ann", "too much") == tuple(
            told["answers"][0][name] for name in ("status", "respondedBy", "note")
        )
        assert told == caller.does("GET", path)
        assert (409, "conflict", None) == caller.refused("POST", f"{path}/respond", answer)

    def test_they_are_listed_by_status(self, asked: tuple[Caller, str]) -> None:
        """A list holds the questions of one status, or of all, newest first, and so many at most."""
        caller, path = asked
        agent = caller.registers()
        caller.does("POST", "/v1/runs/run/evaluate", question(agent, "wire", args={"n": 2}))
        caller.does("POST", f"{path}/respond", {"status": "approved", "respondedBy": "ann"})

        def listed(query: str) -> list[Any]:
            return [each["args"] for each in caller.does("GET", f"/v1/approvals{query}")["approvals"]]

        assert [{"n": 2}, {}] == listed("")
        assert [{"n": 2}] == listed("?limit=1")
        assert [{"n": 2}] == listed("?status=pending")
        assert [{}] == listed("?status=approved&limit=1000")
        assert [] == listed("?status=expired")

    @pytest.mark.parametrize(
        "query", ["status=lost", "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=٣"]
    )
    def test_a_wrong_query_is_refused(self, admin: Caller, query: str) -> None:
        """A status that there is not, and a limit that is none, are named."""
        assert (400, "malformed", query.partition("=")[0]) == admin.refused("GET", f"/v1/approvals?{query}")


class TestLockdowns:
    def test_one_is_imposed_told_and_lifted(self, admin: Caller) -> None:
        """An agent is locked down by its id or its slug, and its status says so until it is lifted."""
        agent = admin.registers()
        order = {"reason": "leak", "until": "2999-01-01T00:00:00+01:00"}
        made = admin.does("PUT", f"/v1/agents/{agent}/lockdown", order)
        assert (agent, "leak", "2998-12-31T23:00:00.000000Z") == (made["agentId"], made["reason"], made["until"])
        status = admin.does("GET", "/v1/agents/desk/status")
        assert {"active": True, "reason": "leak", "until_ts": 32472140400000} == status["lockdown"]
        assert [made] == status["lockdowns"]
        assert status["lockdown"] == admin.does("POST", "/v1/runs/run/start", {"agentId": agent})["lockdown"]
        assert {"lifted": 1} == admin.does("DELETE", "/v1/agents/desk/lockdown")
        free = {"lockdown": {"active": False}, "lockdowns": [], "policies": []}
        assert free == admin.does("GET", f"/v1/agents/{agent}/status")

    @pytest.mark.parametrize("about", [{"actor": "u-1"}, {"tool": "refund"}, {"actor": "u-1", "tool": "refund"}])
    def test_one_may_be_about_an_actor_or_a_tool(self, admin: Caller, about: dict[str, str]) -> None:
        """Only what it is about is stopped, and it is lifted by the same words."""
        agent = admin.registers()
        made = admin.does("PUT", "/v1/agents/desk/lockdown", {"reason": "leak", **about})
        status = admin.does("GET", "/v1/agents/desk/status")
        assert ({"active": False}, [made]) == (status["lockdown"], status["lockdowns"])
        named = {**question(agent), "actor": {"externalId": "u-1"}}
        cause = admin.does("POST", "/v1/runs/run/evaluate", named)["cause"]
        assert {"kind": "LOCKDOWN", "lockdownId": made["id"]} == cause
        other = {**question(agent, "read"), "actor": {"externalId": "u-2"}}
        assert "ALLOW" == admin.does("POST", "/v1/runs/run/evaluate", other)["verdict"]
        assert {"lifted": 0} == admin.does("DELETE", "/v1/agents/desk/lockdown")
        assert {"lifted": 1} == admin.does("DELETE", "/v1/agents/desk/lockdown", about)


WRONG: list[tuple[str, str, Callable[[str], Any], str]] = [
    ("POST", "/v1/agents", lambda _: {}, "slug"),
    ("POST", "/v1/agents", lambda _: {"slug": " "}, "slug"),
    ("POST", "/v1/agents", lambda _: {"slug": 1}, "slug"),
    ("POST", "/v1/agents", lambda _: {"slug": "a", "tags": "b"}, "tags"),
    ("POST", "/v1/agents", lambda _: {"slug": "a", "tags": [1]}, "tags"),
    ("POST", "/v1/agents", lambda _: {"slug": "a", "tools": [{"name": "t"}, {}]}, "tools.1.name"),
    ("POST", "/v1/agents", lambda _: {"slug": "a", "tools": [[]]}, "tools.0"),
    ("PUT", "/v1/agents/{}/tools", lambda _: {}, "tools"),
    ("PUT", "/v1/agents/{}/tools", lambda _: {"tools": [{"name": "t", "metadata": []}]}, "tools.0.metadata"),
    ("POST", "/v1/runs/r/start", lambda _: {}, "agentId"),
    ("POST", "/v1/runs/r/start", lambda agent: {"agentId": agent, "actor": {}}, "actor.externalId"),
    (
        "POST",
        "/v1/runs/r/start",
        lambda agent: {"agentId": agent, "actor": {"externalId": "u", "group": {"externalId": "g", "metadata": 1}}},
        "actor.group.metadata",
    ),
    ("POST", "/v1/runs/r/start", lambda agent: {"agentId": agent, "model": "gpt"}, "model"),
    ("POST", "/v1/runs/r/start", lambda agent: {"agentId": agent, "runTtlMs": 0}, "runTtlMs"),
    ("POST", "/v1/runs/r/evaluate", lambda agent: {**question(agent), "phase": "later"}, "phase"),
    ("POST", "/v1/runs/r/evaluate", lambda agent: {**question(agent), "phase": []}, "phase"),
    ("POST", "/v1/runs/r/evaluate", lambda agent: {**question(agent), "tool": {}}, "tool.name"),
    ("POST", "/v1/runs/r/evaluate", lambda agent: {**question(agent), "tool": None}, "tool.name"),
    ("POST", "/v1/runs/r/evaluate", lambda agent: question(agent, tags={"a": 1}), "tags"),
    ("POST", "/v1/runs/r/evaluate", lambda agent: question(agent, metrics={"bytes_in": True}), "metrics"),
    ("POST", "/v1/runs/r/evaluate", lambda agent: question(agent, metrics={"bytes_in": 10**400}), "metrics"),
    ("POST", "/v1/runs/r/evaluate", lambda agent: question(agent, metrics={"a b": 1}), "metrics"),
    ("POST", "/v1/runs/r/evaluate", lambda agent: question(agent, subjects=[{}] * 101), "subjects"),
    ("POST", "/v1/runs/r/evaluate", lambda agent: question(agent, subjects=[{"subjectType": "x"}]), "subjects.0.value"),
    ("POST", "/v1/runs/r/end", lambda agent: {"agentId": agent, "status": "fine"}, "status"),
    ("POST", "/v1/runs/events", lambda agent: {"agentId": agent}, "events"),
    ("POST", "/v1/runs/events", lambda agent: {"agentId": agent, "events": [event(schema="x")]}, "events.0.schema"),
    ("POST", "/v1/runs/events", lambda agent: {"agentId": agent, "events": [event(ts="noon")]}, "events.0.ts"),
    ("POST", "/v1/runs/events", lambda agent: {"agentId": agent, "events": [event(), event(run="")]}, "events.1.runId"),
    ("PUT", "/v1/agents/{}/lockdown", lambda _: {}, "reason"),
    ("PUT", "/v1/agents/{}/lockdown", lambda _: {"reason": "r", "until": "2026-07-01T12:00:00"}, "until"),
    ("PUT", "/v1/agents/{}/lockdown", lambda _: {"reason": "r", "until": "2026-02-31T12:00:00Z"}, "until"),
    ("PUT", "/v1/agents/{}/lockdown", lambda _: {"reason": "r", "until": "9999-12-31T23:59:59-23:59"}, "until"),
    ("PUT", "/v1/agents/{}/lockdown", lambda _: {"reason": "r", "actor": 5}, "actor"),
    ("DELETE", "/v1/agents/{}/lockdown", lambda _: {"tool": []}, "tool"),
    ("POST", "/v1/approvals/a/respond", lambda _: {"status": "used", "respondedBy": "a"}, "status"),
    ("POST", "/v1/approvals/a/respond", lambda _: {"status": "denied"}, "respondedBy"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"), WRONG, ids=[f"{place}-{each[-1]}" for place, each in enumerate(WRONG)]
)
def test_what_is_wrong_is_named(admin: Caller, method: str, path: str, body: Callable[[str], Any], field: str) -> None:
    """A wrong or missing member is a 400 that says where it stands."""
    agent = admin.registers()
    assert (400, "malformed", field) == admin.refused(method, path.format(agent), body(agent), headers=BATCH)


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"1",
            b"null",
            b'{"a": NaN}',
            b'{"a": "\xff"}',
            b"[" * 100_000,
            b'{"a": ' + b"1" * 5000 + b"}",
        ],
        ids=range(9),
    )
    def test_only_json_objects_are_taken(self, admin: Caller, body: bytes) -> None:
        """What is no JSON object in UTF-8 is a 400."""
        assert (400, "malformed", None) == admin.refused("POST", "/v1/agents", body)

    def test_they_are_nested_a_hundred_deep_at_most(self, admin: Caller) -> None:
        """A body of 100 levels is taken, one of 101 is not."""

        def nested(levels: int) -> bytes:
            return b'{"slug": "desk", "deep": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

        assert 200 == admin.call("POST", "/v1/agents", nested(100)).status_code
        assert (400, "malformed", None) == admin.refused("POST", "/v1/agents", nested(101))

    def test_they_have_to_be_said_to_be_json(self, admin: Caller) -> None:
        """Anything that a form could send is refused."""
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            answer = admin.app.test_client().post(
                "/v1/agents",
                data=b'{"slug": "desk"}',
                content_type=kind,
                headers={"authorization": f"Bearer {admin.secret}"},
            )
            assert 415 == answer.status_code
            assert is_problem(answer)

    def test_they_have_a_size(self, admin: Caller) -> None:
        """One MiB is taken, or eight of events; one byte more is a 413."""
        agent = admin.registers()
        sizes = {"/v1/agents": 1 << 20, "/v1/runs/run/evaluate": 1 << 20, "/v1/runs/events": 8 << 20}
        for path, most in sizes.items():
            body = json.dumps({"slug": "desk", **question(agent), "events": []}).encode()
            whole = body[:-1] + b',"x":"' + b"x" * (most - len(body) - 7) + b'"}'
            assert most == len(whole)
            assert 200 == admin.call("POST", path, whole, headers=BATCH).status_code
            assert (413, "too_large", None) == admin.refused("POST", path, whole + b" ", headers=BATCH)


class TestPaths:
    @pytest.mark.parametrize("path", ["/v1", "/v1/agents/", "//v1/runs", "/v1/runs//events", "/static/x", "/v2/runs"])
    def test_what_is_not_there_is_said_in_json(self, admin: Caller, path: str) -> None:
        """A path that is none is a 404, never a page or a redirection."""
        assert (404, "not_found", None) == admin.refused("GET", path)

    @pytest.mark.parametrize("method", ["GET", "OPTIONS", "PATCH", "TRACE", "BREW"])
    def test_what_a_path_cannot_do_is_said_in_json(self, admin: Caller, method: str) -> None:
        """A method that a path has not is a 405 that names those that it has."""
        answer = admin.call(method, "/v1/agents")
        assert (405, "POST") == (answer.status_code, answer.headers["allow"])
        assert is_problem(answer)

    def test_requests_are_counted_by_their_patterns(self, place: Place, admin: Caller) -> None:
        """The numbers for Prometheus hold no id, however many ids are asked for."""
        for number in range(3):
            admin.call("GET", f"/v1/approvals/secret-{number}")
            admin.call("GET", f"/nowhere/secret-{number}")
        text = place.app.test_client().get("/metrics").text
        assert 'route="/v1/approvals/<approval>",status="404"} 3.0' in text
        assert 'handlebar_requests_total{method="any",route="unknown",status="404"} 3.0' in text
        assert "handlebar_request_seconds_bucket" in text
        assert "secret" not in text


class TestLongNames:
    """What others choose may be long."""

    def test_calls_with_long_names_are_decided(self, admin: Caller) -> None:
        """A refusal would let a client go on that fails open; only a slug may not be long."""
        agent = admin.registers()
        long = "".join(map(str, range(2000)))
        start = {"agentId": agent, "sessionId": long, "actor": {"externalId": long}}
        assert {"lockdown": {"active": False}} == admin.does("POST", f"/v1/runs/{long}/start", start)
        asked = question(agent, long, actor={"externalId": long})
        assert "ALLOW" == admin.does("POST", f"/v1/runs/{long}/evaluate", asked)["verdict"]
        assert {} == admin.does("POST", "/v1/runs/events", {"agentId": agent, "events": [event(long)]}, headers=BATCH)
        assert {} == admin.does("POST", f"/v1/runs/{long}/end", {"agentId": agent, "status": "success"})
        assert (400, "malformed", "slug") == admin.refused("POST", "/v1/agents", {"slug": "s" * 201})
