"""Those who come at once: threads, processes that were forked, in any mix."""

from __future__ import annotations

import json
from pathlib import Path

from handlebar._plumbing.clock import Deadline
from handlebar.control.handoff_exchange import open_exchange
from handlebar.handoff.exchange import Call
from tests.support.control import at_once, url_of
from tests.support.forks import in_child
from tests.support.handoffs import QUESTION, Somebody, an_office

ROUNDS = 50


def test_one_of_sixteen_claims_wins(agent: Somebody) -> None:
    """In every round; the fifteen others are told who, and the history knows of one claim."""
    for _ in range(ROUNDS):
        packet = agent.makes()

        def claim(number: int, path: str = f"packets/{packet['id']}/claim") -> int:
            return agent.asks("POST", path, {"agent_id": str(number), "agent_name": "A"}).status

        statuses = at_once([lambda number=number: claim(number) for number in range(16)])
        assert [200] + [409] * 15 == sorted(statuses)
        assert ["created", "claimed"] == [kind for kind, _, _ in agent.history(packet)]


def test_moves_do_not_overlap(agent: Somebody) -> None:
    """Of a claim, an end and a delete that race, the history is a way through the table."""
    for _ in range(10):
        packet = agent.makes()
        path = f"packets/{packet['id']}"
        at_once(
            [
                lambda path=path: agent.asks("POST", f"{path}/claim", {"agent_id": "a", "agent_name": "A"}),
                lambda path=path: agent.asks("PATCH", path, {"status": "failed"}),
                lambda path=path: agent.asks("DELETE", path),
            ]
        )
        kinds = [kind for kind, _, _ in agent.history(packet)]
        assert "expired" == kinds[-1]
        allowed = [["created", "claimed", "failed", "expired"], ["created", "failed", "expired"]]
        assert kinds in [*allowed, ["created", "claimed", "expired"], ["created", "expired"]]


def test_one_of_many_answers_counts(agent: Somebody) -> None:
    """The others come too late."""
    packet = agent.makes(hitl=QUESTION)

    def answer(number: int) -> int:
        sent = {"response": "yes", "responded_by": str(number)}
        return agent.asks("POST", f"packets/{packet['id']}/respond", sent).status

    assert [200] + [409] * 7 == sorted(at_once([lambda number=number: answer(number) for number in range(8)]))


def test_a_child_of_a_fork_hands_over_too(tmp_path: Path) -> None:
    """The exchange is good in the parent, in its child, and in the parent again; one claim of three wins."""
    file = tmp_path / "plane.db"
    exchange = open_exchange(url_of(file), None)

    def claim() -> str:
        body = json.dumps({"agent_id": "a", "agent_name": "A"}).encode()
        call = Call(method="POST", path=("packets", packet["id"], "claim"), body=body)
        return str(exchange.send(call, deadline=Deadline.after(30)).status)

    with an_office(file) as office:
        packet = office.somebody().makes()
        try:
            assert ["200", "409", "409"] == [in_child(claim), claim(), in_child(claim)]
        finally:
            exchange.close()
