"""Idempotency keys: a call that is repeated is answered as it was, and does nothing again."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from handlebar._plumbing.clock import Deadline
from handlebar.control.handoffs import remembering
from handlebar.control.handoffs.asking import Asked, Reply
from handlebar.control.handoffs.problems import ProblemError
from handlebar.control.tables import handoff_answers
from handlebar.handoff.exchange import Call
from tests.support.control import at_once
from tests.support.handoffs import Office, Somebody, a_draft


def test_the_same_call_has_the_same_answer(agent: Somebody) -> None:
    """Byte for byte, and one packet."""
    first, again = (agent.asks("POST", "packets", a_draft(), idempotency_key="k") for _ in range(2))
    assert (201, first.body) == (again.status, again.body)
    assert 1 == len(agent.finds())
    assert first.body != agent.asks("POST", "packets", a_draft(), idempotency_key="k2").body


def test_a_repeated_claim_is_no_conflict(agent: Somebody) -> None:
    """Whoever did not hear the answer learns that the claim was theirs."""
    packet = agent.makes()
    claim = ("POST", f"packets/{packet['id']}/claim", {"agent_id": "a", "agent_name": "A"})
    assert agent.does(*claim, idempotency_key="k") == agent.does(*claim, idempotency_key="k")
    assert 409 == agent.refused(*claim, idempotency_key="other")[0]


def test_a_key_is_for_one_call(office: Office, agent: Somebody) -> None:
    """Another body or path under it is 422; another tenant's key is another key."""
    agent.does("POST", "packets", a_draft("one"), idempotency_key="k")
    assert 422 == agent.refused("POST", "packets", a_draft("two"), idempotency_key="k")[0]
    assert 422 == agent.refused("POST", "packets/batch", {"packets": [a_draft()]}, idempotency_key="k")[0]
    assert 422 == agent.refused("POST", "packets", a_draft(), idempotency_key="k" * 256)[0]
    assert (
        "two"
        == office.somebody(tenant="other").does("POST", "packets", a_draft("two"), idempotency_key="k")["context"][
            "summary"
        ]
    )


def test_a_refusal_is_not_remembered(agent: Somebody) -> None:
    """What did not happen may happen when it is tried again."""
    packet = agent.makes()
    completes = ("POST", f"packets/{packet['id']}/respond", {"response": "a", "responded_by": "b"})
    assert 409 == agent.refused(*completes, idempotency_key="k")[0]
    agent.moves(packet, "awaiting_human")
    agent.does("PATCH", f"packets/{packet['id']}", {"hitl": {"reason": "r"}})
    assert "claimed" == agent.does(*completes, idempotency_key="k")["status"]


def test_at_once(agent: Somebody) -> None:
    """Of many that race with one key, one makes the packet, and all hear of it."""
    answers = at_once([lambda: agent.asks("POST", "packets", a_draft(), idempotency_key="k").body] * 12)
    assert 1 == len(set(answers)) == len(agent.finds())


def test_what_is_shown_once_is_not_kept(office: Office, agent: Somebody) -> None:
    """The one who repeats is told that it was done."""
    call = Call(method="POST", path=("keys",), headers={"idempotency-key": "k"})
    asked = Asked(call=call, key=agent.key, names={}, database=office.database, deadline=Deadline.after(30))
    assert "secret" == asked.change(lambda _: Reply(201, "secret"), secret=True).body
    with pytest.raises(ProblemError) as told:
        asked.change(lambda _: Reply(201, "secret"), secret=True)
    assert 409 == told.value.status
    with office.database.read(Deadline.after(30)) as connection:
        assert [None] == connection.execute(select(handoff_answers.c.body)).scalars().all()


def test_old_keys_are_forgotten(office: Office, agent: Somebody, monkeypatch: pytest.MonkeyPatch) -> None:
    """After more than a day."""
    agent.does("POST", "packets", a_draft(), idempotency_key="old")
    now = remembering.time_ns()
    monkeypatch.setattr(remembering, "time_ns", lambda: now + 49 * 3600 * 10**9)
    agent.does("POST", "packets", a_draft(), idempotency_key="new")
    with office.database.read(Deadline.after(30)) as connection:
        assert 1 == connection.execute(select(func.count()).select_from(handoff_answers)).scalar()
