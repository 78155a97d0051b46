"""One packet at a time, as the API answers."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from handlebar._plumbing.clock import Deadline
from handlebar.control.handoffs.api import ROUTES
from handlebar.control.tables import handoff_outbox
from handlebar.handoff.exchange import Call
from handlebar.handoff.models.packets import PacketResponse
from tests.support.handoffs import QUESTION, WHOLE, Office, Somebody, a_draft, an_office

BARE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?")
MEMBERS = (
    "id version parent_packet_id metadata context decisions actions dependencies hitl status created_at updated_at"
)

WRONG: list[tuple[Any, list[Any]]] = [
    (b"", ["body"]),
    (b"{", ["body"]),
    (b"[]", ["body"]),
    (b'{"metadata": NaN}', ["body"]),
    (b"\xff", ["body"]),
    (b"[" * 200_000, ["body"]),
    (b'{"context":' + b'{"a":' * 60 + b"1" + b"}" * 61, ["body"]),
    ({}, ["body", "metadata"]),
    ({**a_draft(), "metadata": {"source_agent": {"id": "a"}}}, ["body", "metadata", "source_agent", "name"]),
    (a_draft(decisions=[{"id": 3}]), ["body", "decisions", 0, "id"]),
    (a_draft(context={"artifacts": [{"key": "k", "value": 5}]}), ["body", "context", "artifacts", 0, "value"]),
    (a_draft(hitl={"reason": " "}), ["body", "hitl", "reason"]),
    (a_draft(priority="urgent"), ["body", "metadata", "priority"]),
    (a_draft(parent_packet_id="x"), ["body", "parent_packet_id"]),
]


def told(office: Office) -> list[tuple[str, str]]:
    """Return what streams and webhooks are told: kinds and statuses."""
    with office.database.read(Deadline.after(10)) as connection:
        return [(row.type, row.status) for row in connection.execute(select(handoff_outbox))]


class TestTheWire:
    """What is sent and what comes back, spelled as the API spells it."""

    def test_a_whole_packet_comes_back(self, agent: Somebody) -> None:
        """With the server's own members, and null for everything that was left out."""
        made = agent.does("POST", "packets", {**WHOLE, "hitl": QUESTION, "schema_id": None, "invented": 1})
        assert set(MEMBERS.split()) == set(made)
        assert ("awaiting_human", "1.0.0", None) == (made["status"], made["version"], made["parent_packet_id"])
        assert 4 == UUID(made["id"]).version
        assert {"id": "refunds-2", "name": "Refunds", "framework": None} == made["metadata"]["target_agent"]
        assert ("2026-03-04T10:00:00Z", None) == (made["metadata"]["created_at"], made["metadata"]["claimed_at"])
        turn = {"role": "user", "content": "Where is it?", "timestamp": None, "metadata": {"lang": "en"}}
        assert [turn] == made["context"]["conversation_state"]
        assert {**WHOLE["dependencies"][0], "status": "unknown", "source": None} == made["dependencies"][0]
        answers = dict.fromkeys(("response", "responded_at", "responded_by", "notes", "timeout_seconds"))
        assert {**QUESTION, "required": True, **answers} == made["hitl"]
        assert made == agent.does("GET", f"packets/{made['id']}")
        assert PacketResponse.from_dict(made).to_dict(nulls=True)["context"] == made["context"]

    def test_stamps_of_the_server_have_no_zone(self, agent: Somebody) -> None:
        """As the original writes them; those inside metadata have one."""
        packet = agent.claims(agent.makes())
        assert BARE.fullmatch(packet["created_at"])
        assert BARE.fullmatch(packet["updated_at"])
        assert packet["metadata"]["claimed_at"].endswith("Z")
        assert packet["created_at"] < packet["updated_at"]

    def test_times_keep_their_offset(self, agent: Somebody) -> None:
        """What a caller says about when comes back as it was said."""
        draft = a_draft()
        draft["metadata"]["created_at"] = "2026-03-04T10:00:00+05:30"
        assert "2026-03-04T10:00:00+05:30" == agent.does("POST", "packets", draft)["metadata"]["created_at"]

    def test_empty_texts_are_taken(self, agent: Somebody) -> None:
        """As the API does, though our own client refuses to send them."""
        empty = {"id": "", "name": ""}
        draft = {"metadata": {"source_agent": empty, "target_agent": empty}, "context": {"summary": ""}}
        assert "" == agent.does("POST", "packets", draft)["context"]["summary"]

    def test_a_human_answer_cannot_be_sent_along(self, agent: Somebody) -> None:
        """Neither in a new packet nor in a change."""
        forged = {"response": "yes", "responded_by": "ann", "responded_at": "2026-01-01T00:00:00Z", "notes": "n"}
        packet = agent.makes(hitl={**QUESTION, **forged})
        assert packet["hitl"]["response"] is None
        agent.does("PATCH", f"packets/{packet['id']}", {"hitl": {**QUESTION, **forged}})
        after = agent.does("GET", f"packets/{packet['id']}")
        assert ("awaiting_human", None, None) == (after["status"], after["hitl"]["response"], after["hitl"]["notes"])
        easier = {"hitl": {**QUESTION, "required": False}, "status": "in_progress"}
        assert 409 == agent.refused("PATCH", f"packets/{packet['id']}", easier)[0]
        assert 400 == agent.refused("PATCH", f"packets/{packet['id']}", {"status": "claimed"})[0]
        claim = {"agent_id": "a", "agent_name": "A"}
        assert 400 == agent.refused("POST", f"packets/{packet['id']}/claim", claim)[0]

    def test_what_is_wrong_is_told_with_its_place(self, agent: Somebody) -> None:
        """A 422 lists it as the original does."""
        for body, place in WRONG:
            status, detail = agent.refused("POST", "packets", body)
            assert (422, [place]) == (status, [each["loc"] for each in detail])
            assert {"type", "loc", "msg", "input"} == set(detail[0])

    def test_too_much_is_413(self, agent: Somebody) -> None:
        """With the member that the original has there."""
        answer = agent.asks("POST", "packets", a_draft("x" * 1024 * 1024))
        assert 413 == answer.status
        assert {"detail", "tier"} == set(json.loads(answer.body))

    def test_every_answer_says_that_calls_may_be_repeated(self, agent: Somebody) -> None:
        """Good ones and refusals."""
        answers = [agent.asks("GET", "packets"), agent.asks("GET", "nothing"), agent.asks("POST", "packets")]
        assert [200, 404, 422] == [answer.status for answer in answers]
        assert ["1"] * 3 == [answer.headers["x-handlebar-idempotency"] for answer in answers]


class TestALife:
    def test_from_hand_to_hand(self, office: Office, agent: Somebody) -> None:
        """Claimed, worked on, completed: each step in the history, and told."""
        packet = agent.moves(agent.claims(agent.makes(), "other"), "in_progress", "completed", "completed")
        assert ("completed", "other") == (packet["status"], packet["metadata"]["target_agent"]["id"])
        assert packet["metadata"]["completed_at"] is not None
        moves = [{"from_status": "claimed", "to_status": "in_progress"}]
        moves += [{"from_status": "in_progress", "to_status": "completed"}]
        assert [
            ("created", "agent:intake-7", {}),
            ("claimed", "agent:other", {"agent_name": "Other", "framework": None}),
            ("in_progress", "agent:other", moves[0]),
            ("completed", "agent:other", moves[1]),
        ] == agent.history(packet)
        kinds = ["packet.created", "packet.claimed", "packet.in_progress", "packet.completed", "packet.completed"]
        assert kinds == [kind for kind, _ in told(office)]

    def test_a_person_answers(self, office: Office, agent: Somebody) -> None:
        """Once; then somebody goes on with it."""
        packet = agent.makes(hitl=QUESTION)
        answer = {"response": "yes", "responded_by": "ann", "notes": "fine"}
        after = agent.does("POST", f"packets/{packet['id']}/respond", answer)
        assert ("claimed", "yes") == (after["status"], after["hitl"]["response"])
        assert after["hitl"]["responded_at"].endswith("Z")
        assert 409 == agent.refused("POST", f"packets/{packet['id']}/respond", answer)[0]
        noted = {"response": "yes", "notes": "fine", "transition_to": "claimed"}
        assert ("hitl_responded", "human:ann", noted) == agent.history(packet)[-1]
        asked = [("packet.created", "awaiting_human"), ("packet.awaiting_human", "awaiting_human")]
        assert [*asked, ("hitl.response_ready", "claimed")] == told(office)

    def test_an_unknown_option_is_no_answer(self, agent: Somebody) -> None:
        """The packet goes on waiting."""
        packet = agent.makes(hitl=QUESTION)
        answer = {"response": "perhaps", "responded_by": "ann"}
        status, detail = agent.refused("POST", f"packets/{packet['id']}/respond", answer)
        assert (422, ["body", "response"]) == (status, detail[0]["loc"])
        assert "awaiting_human" == agent.does("GET", f"packets/{packet['id']}")["status"]

    def test_a_claim_names_who_was_first(self, agent: Somebody) -> None:
        """The conflict tells the claimant."""
        packet = agent.claims(agent.makes(), "first")
        claim = {"agent_id": "second", "agent_name": "Second"}
        status, detail = agent.refused("POST", f"packets/{packet['id']}/claim", claim)
        assert (409, {"id": "first", "name": "First", "framework": None}) == (status, detail["claimed_by"])

    def test_a_chain(self, office: Office, agent: Somebody) -> None:
        """The child has the parent's conversation; each has it in its history."""
        parent = agent.does("POST", "packets", WHOLE)
        turns = {"conversation_state": [{"role": "agent", "content": "lost"}]}
        sent = a_draft(context=turns, parent_packet_id=str(uuid4()))
        child = agent.does("POST", f"packets/{parent['id']}/chain", sent)
        assert parent["id"] == child["parent_packet_id"]
        assert ["Where is it?", "lost"] == [each["content"] for each in child["context"]["conversation_state"]]
        pair = {"parent_packet_id": parent["id"], "chain": True}
        assert [("created", "agent:intake-7", pair)] == agent.history(child)
        assert ("chained", "agent:intake-7", {"child_packet_id": child["id"]}) == agent.history(parent)[-1]
        assert ("packet.chained", "created") == told(office)[-1]
        events = agent.does("GET", f"packets/{parent['id']}/history")["events"]
        assert child["created_at"] == events[-1]["timestamp"]

    def test_what_is_deleted_is_kept_for_the_record(self, office: Office, agent: Somebody) -> None:
        """It can be read and was expired; it is not listed, changed, claimed, chained or deleted again."""
        packet = agent.makes()
        assert 204 == agent.asks("DELETE", f"packets/{packet['id']}").status
        assert "expired" == agent.does("GET", f"packets/{packet['id']}")["status"]
        reason = {"previous_status": "created", "reason": "soft_delete"}
        assert ("expired", "system:soft_delete", reason) == agent.history(packet)[-1]
        assert ([], 1) == (agent.finds(), len(agent.finds("status=expired")))
        claim = {"agent_id": "a", "agent_name": "A"}
        tried = [("DELETE", "", None), ("POST", "/claim", claim), ("PATCH", "", {}), ("POST", "/chain", a_draft())]
        refusals = [agent.refused(method, f"packets/{packet['id']}{path}", body)[0] for method, path, body in tried]
        assert [409, 410, 400, 404] == refusals
        assert ("packet.expired", "expired") == told(office)[-1]

    def test_a_refused_change_leaves_nothing_behind(self, office: Office, agent: Somebody) -> None:
        """Neither in the packet nor in what is told."""
        packet = agent.makes()
        before = told(office)
        assert 400 == agent.refused("PATCH", f"packets/{packet['id']}", {"status": "completed", "decisions": []})[0]
        assert packet == agent.does("GET", f"packets/{packet['id']}")
        assert before == told(office)


class TestWhoMay:
    def test_roles(self, office: Office) -> None:
        """A reader reads, an agent works with packets, an admin sees the figures."""
        tried = [("GET", "packets", None), ("POST", "packets", a_draft()), ("GET", "stats", None)]
        for role, allowed in {"": 0, "reader": 1, "viewer": 1, "agent": 2, "writer": 2, "admin": 3}.items():
            statuses = [office.somebody(role).asks(*each).status for each in tried]
            assert [200, 201, 200][:allowed] + [403] * (3 - allowed) == statuses

    def test_tenants_are_apart(self, office: Office, agent: Somebody) -> None:
        """Another tenant's packet is answered exactly like one that does not exist."""
        packet = agent.makes("secret")
        stranger = office.somebody(tenant="other")
        for method, path, body in [
            ("GET", "", None),
            ("GET", "/history", None),
            ("PATCH", "", {}),
            ("DELETE", "", None),
            ("POST", "/claim", {"agent_id": "a", "agent_name": "A"}),
            ("POST", "/respond", {"response": "a", "responded_by": "b"}),
            ("POST", "/chain", a_draft()),
        ]:
            mine, nobodys = packet["id"], str(uuid4())
            refused = [stranger.refused(method, f"packets/{each}{path}", body) for each in (mine, nobodys)]
            assert [(404, refused[0][1].replace(mine, nobodys))] == [refused[1]]
        claims = {"packet_ids": [packet["id"]], "agent_id": "a", "agent_name": "A"}
        assert [] == stranger.does("POST", "packets/batch/claim", claims)["claimed"]
        assert ([], 0) == (stranger.finds(), stranger.does("GET", "packets/search?q=secret")["total"])
        assert 0 == stranger.does("GET", "stats")["total_packets"]

    def test_hostile_ids(self, agent: Somebody) -> None:
        """What is no UUID is 422, whatever it looks like."""
        for packet_id in ("x", "", "..", "awaiting/", "%2e%2e", "a?limit=1", "' OR 1=1 --", "\x00", "é"):
            call = Call(method="PATCH", path=("packets", packet_id), body=b"{}")
            assert 422 == agent.api.answer(call, agent.key).status

    def test_unknown_paths_and_methods(self, agent: Somebody) -> None:
        """404 and 405, in words."""
        assert (404, "Not Found") == agent.refused("GET", "nothing/there")
        assert (405, "Method Not Allowed") == agent.refused("PUT", "packets")

    @pytest.mark.sqlite
    def test_failures_are_answered(self, tmp_path: Any) -> None:
        """A database that cannot be used is a 503 in the usual shape."""
        (tmp_path / "plane.db").write_text("no database" * 100)
        with an_office(tmp_path / "plane.db") as office:
            assert 503 == office.somebody().refused("GET", "packets")[0]


TEXTS = st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)
NAMES = "metadata context decisions actions dependencies hitl status packets packet_ids agent_id agent_name response"
MEMBER = st.sampled_from([*NAMES.split(), "responded_by", "summary", "custom", "source_agent", "id", "reason"])
BODIES = st.dictionaries(MEMBER, VALUES | st.dictionaries(MEMBER, VALUES, max_size=4), max_size=6)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route=st.sampled_from(ROUTES), body=BODIES, changes=st.dictionaries(MEMBER, VALUES, max_size=3))
def test_whatever_is_sent_is_answered(office: Office, route: Any, body: Any, changes: Any) -> None:
    """Any JSON on any way in: a good answer, or a refusal in the one shape."""
    admin = office.somebody()
    path = re.sub(r"{\w+}", str(uuid4()), route.pattern)
    for sent in (body, {**WHOLE, "hitl": QUESTION, **changes}):
        answer = admin.asks(route.method, path, sent)
        assert answer.status < 500, answer.body
        assert answer.status < 300 or "detail" in json.loads(answer.body)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES, words=TEXTS)
def test_whatever_is_handed_over_is_kept(agent: Somebody, value: Any, words: str) -> None:
    """Any JSON in a packet comes back as it was, but for what no UTF-8 can hold, and can be searched for."""
    sent = json.loads(json.dumps({"v": value}).replace("NaN", "0").replace("-Infinity", "1").replace("Infinity", "1"))
    made = agent.does("POST", "packets", a_draft(words, context={"custom": sent}, tags=[words]))
    read = agent.does("GET", f"packets/{made['id']}")
    assert made == read
    plain = json.dumps(sent)
    assert "\\ud" in plain or sent == read["context"]["custom"]


def test_every_way_in_is_there_once() -> None:
    """No two routes mean the same."""
    ways = [(route.method, route.pattern) for route in ROUTES]
    assert len(ways) == len(set(ways))
