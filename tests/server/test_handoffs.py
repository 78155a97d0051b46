"""The hand-off API over HTTP: keys, shapes, limits, and our own client against our own server."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from handlebar.handoff.client import HandoffRailClient
from handlebar.handoff.exceptions import AuthenticationError, NotFoundError, ValidationError
from handlebar.handoff.models import PacketCreate
from tests.support.control import at_once
from tests.support.handoffs import QUESTION, WHOLE, a_draft
from tests.support.servers import Caller, Place, Served, a_key, servers


@pytest.fixture(name="agent")
def _agent(place: Place) -> Caller:
    """Somebody with an SDK's key, who sends it as the API wants it."""
    return place.caller("agent")


def asks(caller: Caller, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Make a request with the key in X-API-Key; return the answer."""
    sent = {"data": body, "content_type": "application/json"} if isinstance(body, bytes) else {"json": body}
    named = {"x-api-key": caller.secret, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return caller.app.test_client().open(f"/api/v1/{path}", method=method, headers=named, **sent)


class TestTheSkin:
    def test_a_packet_comes_and_goes(self, agent: Caller) -> None:
        """With the statuses, the type and the mark of every answer."""
        made = asks(agent, "POST", "packets", a_draft("ü"))
        assert (201, "application/json", "1") == (
            made.status_code,
            made.mimetype,
            made.headers["x-handlebar-idempotency"],
        )
        path = f"packets/{made.json['id']}"
        assert "ü" == asks(agent, "GET", path).json["context"]["summary"]
        assert (200, b"") == ((head := asks(agent, "HEAD", path)).status_code, head.data)
        gone = asks(agent, "DELETE", path)
        assert (204, b"") == (gone.status_code, gone.data)

    def test_keys(self, place: Place, agent: Caller) -> None:
        """In either header; none and a wrong one are 401, too low a role is 403, all in the one shape."""
        assert 200 == agent.call("GET", "/api/v1/packets").status_code
        stranger, reader = Caller(place.app, "hb_invented"), place.caller("reader")
        answers = [asks(stranger, "GET", "packets"), place.app.test_client().get("/api/v1/nothing")]
        answers += [asks(reader, "POST", "packets", a_draft()), asks(agent, "GET", "keys")]
        assert [401, 401, 403, 403] == [answer.status_code for answer in answers]
        assert all({"detail"} == set(answer.json) for answer in answers)
        assert not any("www-authenticate" in answer.headers for answer in answers)

    def test_a_slash_at_the_end_is_a_redirection(self, agent: Caller) -> None:
        """Within this server, with the query."""
        answer = asks(agent, "GET", "packets/?tags=a%2Cb&limit=1")
        assert (307, "/api/v1/packets?tags=a%2Cb&limit=1") == (answer.status_code, answer.headers["location"])
        assert "/api/v1/a%0D%0Ab" == asks(agent, "POST", "a%0D%0Ab//").headers["location"]
        assert "/api/v1//evil.example" == asks(agent, "GET", "/evil.example/").headers["location"]

    @pytest.mark.parametrize(
        "path", ["", "packets/../keys", "packets/..%2fkeys", "%00", "packets//awaiting", "nothing"]
    )
    def test_unknown_paths(self, agent: Caller, path: str) -> None:
        """Lead nowhere else, and are told in the one shape."""
        answer = asks(agent, "GET", path)
        assert (404, {"detail": "Not Found"}) == (answer.status_code, answer.json)

    def test_unknown_methods(self, agent: Caller) -> None:
        """Are 405."""
        for method in ("PUT", "OPTIONS"):
            answer = asks(agent, method, "packets")
            assert (405, {"detail": "Method Not Allowed"}) == (answer.status_code, answer.json)

    def test_bodies(self, agent: Caller) -> None:
        """No JSON is 422, too much is 413, whatever type it is said to be."""
        assert 422 == asks(agent, "POST", "packets", b"{").status_code
        huge = asks(agent, "POST", "packets", json.dumps(a_draft("x" * 1024 * 1024)).encode())
        assert (413, {"detail", "tier"}) == (huge.status_code, set(huge.json))

    def test_repeated_calls(self, agent: Caller) -> None:
        """Are answered as the first was."""
        answers = [asks(agent, "POST", "packets", a_draft(), idempotency_key="k") for _ in range(2)]
        assert answers[0].data == answers[1].data
        assert 1 == asks(agent, "GET", "packets").json["total"]

    def test_health(self, place: Place) -> None:
        """At the root, for everybody."""
        client = place.app.test_client()
        assert {"status": "ok", "service": "handoffrail"} == client.get("/health").json
        assert {"status": "ready", "service": "handoffrail", "db": True} == client.get("/ready").json

    @pytest.mark.sqlite
    def test_a_lost_database(self, place: Place) -> None:
        """Is told as such, and no failure."""
        client = place.app.test_client()
        place.file.unlink(missing_ok=True)
        place.file.mkdir()
        answer = client.get("/ready")
        assert (503, {"status": "not_ready", "service": "handoffrail", "db": False}) == (
            answer.status_code,
            answer.json,
        )
        assert 503 == client.get("/api/v1/packets", headers={"x-api-key": "k"}).status_code


@pytest.fixture(scope="module", name="served")
def _served(tmp_path_factory: pytest.TempPathFactory, database_kind: str) -> Iterator[list[Served]]:
    """Two processes that serve one database."""
    with servers(2, tmp_path_factory.mktemp("handoffs") / "plane.db") as made:
        yield made


@pytest.mark.slow
class TestOverTheNetwork:
    def test_the_client_and_two_servers(self, served: list[Served]) -> None:
        """What is handed over to one is claimed and completed at the other; the history knows both."""
        here, there = (HandoffRailClient(each.url, a_key(each.file, "agent").secret) for each in served)
        with here, there:
            packet = here.create_packet(PacketCreate.from_dict({**WHOLE, "hitl": QUESTION}))
            with pytest.raises(ValidationError, match="waits for a person"):
                there.claim_packet(packet.id, agent_id="a", agent_name="A")
            there.respond_to_hitl(packet.id, response="yes", responded_by="ann")
            assert "completed" == here.complete_packet(packet.id).status
            kinds = ["created", "hitl_responded", "in_progress", "completed"]
            assert kinds == [event.event_type for event in there.get_history(packet.id).events]
            assert packet.id in [each.id for each in here.search_packets("carrier confirmed").packets]
            with pytest.raises(NotFoundError):
                there.get_packet("5d1f0c1e-7c39-4a59-9a39-0f5d0f1f2a11")
            with pytest.raises(AuthenticationError):
                here.list_api_keys()

    def test_one_claim_wins_across_servers(self, served: list[Served]) -> None:
        """Sixteen at two servers: one has it, and the others are told who."""
        clients = [HandoffRailClient(each.url, a_key(each.file, "agent").secret) for each in served]
        with clients[0], clients[1]:
            for _ in range(5):
                packet = clients[0].create_packet(PacketCreate.from_dict(a_draft()))

                def claim(number: int, packet_id: Any = packet.id) -> str:
                    try:
                        clients[number % 2].claim_packet(packet_id, agent_id=f"a-{number}", agent_name="A")
                    except ValidationError as error:
                        return str(error.response_body["detail"]["claimed_by"]["id"])
                    return "won"

                outcomes = at_once([lambda number=number: claim(number) for number in range(16)])
                assert 1 == outcomes.count("won")
                winner = f"a-{outcomes.index('won')}"
                assert {winner, "won"} == set(outcomes)

    def test_chunked_bodies_have_the_same_limit(self, served: list[Served]) -> None:
        """Who does not say how much comes, may send no more."""
        place = urlsplit(served[0].url)
        assert place.hostname is not None
        with closing(http.client.HTTPConnection(place.hostname, place.port, timeout=30)) as connection:
            headers = {"x-api-key": a_key(served[0].file, "agent").secret, "transfer-encoding": "chunked"}
            parts = (b"x" * 65536 for _ in range(20))
            connection.request("POST", "/api/v1/packets", parts, headers, encode_chunked=True)
            assert 413 == connection.getresponse().status


def test_the_uuid_of_a_packet_is_one(agent: Caller) -> None:
    """In the usual spelling, whichever way it is asked for."""
    packet_id = asks(agent, "POST", "packets", a_draft()).json["id"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", packet_id)
    for spelling in (packet_id.upper(), packet_id.replace("-", "")):
        assert packet_id == asks(agent, "GET", f"packets/{spelling}").json["id"]
