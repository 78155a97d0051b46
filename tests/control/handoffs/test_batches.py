"""Packets by the dozen: each for itself."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.support.handoffs import QUESTION, Somebody, a_draft


def claims(*packets: Any) -> dict[str, Any]:
    """Return the body that claims them."""
    return {"packet_ids": list(packets), "agent_id": "x", "agent_name": "X", "framework": None}


def test_bad_ones_do_not_cost_the_good_ones(agent: Somebody) -> None:
    """Each is told with its place in the list."""
    sent = [a_draft("one"), {"context": {}}, "no packet", a_draft("two", hitl={"reason": ""}), a_draft("three")]
    made = agent.does("POST", "packets/batch", {"packets": sent})
    assert ["one", "three"] == [each["context"]["summary"] for each in made["created"]]
    assert [1, 2, 3] == [each["index"] for each in made["errors"]]
    assert "metadata: is missing" in made["errors"][0]["error"]
    assert 201 == agent.asks("POST", "packets/batch", {"packets": [1]}).status
    assert ["three", "one"] == agent.finds()


def test_limits(agent: Somebody) -> None:
    """None is 422; more than fifty 400 where packets are made, and 422 where they are named."""
    ids = [str(uuid4()) for _ in range(51)]
    assert 422 == agent.refused("POST", "packets/batch", {"packets": []})[0]
    assert 422 == agent.refused("POST", "packets/batch", {"packets": {}})[0]
    assert 400 == agent.refused("POST", "packets/batch", {"packets": [a_draft()] * 51})[0]
    for given in ([], ids, [*ids[:3], "x"]):
        assert 422 == agent.refused("POST", "packets/batch/claim", claims(*given))[0]
        assert 422 == agent.refused("POST", "packets/batch/complete", {"packet_ids": given})[0]
    assert 50 == len(agent.does("POST", "packets/batch", {"packets": [a_draft()] * 50})["created"])


def test_claims(agent: Somebody) -> None:
    """What cannot be claimed is told, an id that comes twice once; the history says who has claimed."""
    free, taken, asked = agent.makes(), agent.claims(agent.makes()), agent.makes(hitl=QUESTION)
    unknown = str(uuid4())
    done = agent.does("POST", "packets/batch/claim", claims(free["id"], taken["id"], asked["id"], unknown, free["id"]))
    assert [("claimed", "x")] == [(each["status"], each["metadata"]["target_agent"]["id"]) for each in done["claimed"]]
    assert [taken["id"], asked["id"], unknown, free["id"]] == [each["packet_id"] for each in done["errors"]]
    assert ("claimed", "agent:x", {"agent_name": "X", "framework": None}) == agent.history(free)[-1]


def test_completions(agent: Somebody) -> None:
    """Only of what is in progress; the history says what it was before."""
    busy, new = agent.moves(agent.claims(agent.makes()), "in_progress"), agent.makes()
    done = agent.does("POST", "packets/batch/complete", {"packet_ids": [busy["id"], new["id"], busy["id"]]})
    assert [busy["id"]] == [each["id"] for each in done["completed"]]
    assert done["completed"][0]["metadata"]["completed_at"] is not None
    assert [new["id"], busy["id"]] == [each["packet_id"] for each in done["errors"]]
    assert ("completed", "system:batch_complete", {"from_status": "in_progress"}) == agent.history(busy)[-1]
