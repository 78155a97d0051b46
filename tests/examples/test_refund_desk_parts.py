"""The refund desk's parts, each on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import handlebar
from handlebar.core.schema.governance import Decision, HitlPendingCause, RunControl, Verdict
from handlebar.policy import load_policies
from tests.examples.conftest import EXAMPLES
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, STOP, ScriptedPlane

WAIT = Decision(Verdict.BLOCK, RunControl.CONTINUE, HitlPendingCause("ask-7", "r-3"), "A person is asked")
AMELIA = {"date_of_birth": "1987-03-14", "postcode": "BS6 5QA"}
CENTS = st.integers(min_value=0, max_value=10**9)


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    """Return a fresh shop."""
    from refund_desk_parts.shop import Shop

    return Shop(tmp_path / "shop.db")


@pytest.fixture
def work(shop: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that works a ticket of Amelia's on a control plane that gives one answer a tool name."""
    from refund_desk_parts.agent import Agent
    from refund_desk_parts.rule_based_planner import RuleBasedPlanner
    from refund_desk_parts.tickets import Ticket
    from refund_desk_parts.tools import DeskTools

    def work_ticket(answers: dict[str, Decision], **ticket: Any) -> Any:
        def answer(request: Any) -> Decision:
            return answers.get(request.tool_name, ALLOW) if request.phase == "tool.before" else ALLOW

        client = client_on(ScriptedPlane(answer), monkeypatch)
        agent = Agent(client=client, shop=shop, planner=RuleBasedPlanner(), tools=DeskTools(shop).by_name())
        usual = {"id": "T-1", "name": "Amelia", "email": "amelia.hart@mailbox.example", "subject": "Lamp"}
        return agent.work(Ticket(**{**usual, "body": "Refund please.", "order_id": "A-1001", **ticket}))

    return work_ticket


def steps(work: Any) -> list[tuple[str, str]]:
    """Return the calls in order, each with its outcome."""
    return [(step.call.name, step.outcome) for step in work.conversation.steps]


def test_the_shop_refunds_only_what_a_verified_person_bought(shop: Any) -> None:
    """A passed policy does not help who is not verified on the ticket, or asks for another's order."""
    from refund_desk_parts.shop import ShopError

    with pytest.raises(ShopError, match="proved"):
        shop.refund("T-1", "A-1001", 10.0)
    shop.verify("T-1", "amelia.hart@mailbox.example", "1987-03-14", "bs6 5qa")
    shop.refund("T-1", "A-1001", 10.0)
    for ticket, order in (("T-2", "A-1001"), ("T-1", "A-1002")):
        with pytest.raises(ShopError, match="proved"):
            shop.refund(ticket, order, 10.0)
    assert [{"ticket_id": "T-1", "order_id": "A-1001", "amount": 10.0}] == shop.refunds()


@pytest.mark.parametrize("amount", [30.01, 0, -1, 0.001])
def test_the_shop_refunds_no_more_than_is_left(shop: Any, amount: float) -> None:
    """What was paid back already counts; nothing and less than nothing are no refunds."""
    from refund_desk_parts.shop import ShopError

    shop.verify("T-1", "amelia.hart@mailbox.example", "1987-03-14", "BS6 5QA")
    shop.refund("T-1", "A-1001", 9.90)
    with pytest.raises(ShopError, match=r"30\.00 EUR"):
        shop.refund("T-1", "A-1001", amount)
    assert 30.0 == shop.look_up_order("A-1001")["refundable"]


def test_a_failed_identity_check_leaves_nothing_behind(shop: Any) -> None:
    """Wrong answers raise, and the person stays unverified."""
    from refund_desk_parts.shop import ShopError

    with pytest.raises(ShopError, match="match"):
        shop.verify("T-1", "amelia.hart@mailbox.example", "1987-03-15", "BS6 5QA")
    with pytest.raises(ShopError, match="proved"):
        shop.refund("T-1", "A-1001", 10.0)


def test_a_blocked_tool_does_nothing(work: Any, shop: Any) -> None:
    """The refund that policy blocks never reaches the shop, and the customer is told."""
    done = work({"issue_refund": BLOCK}, **AMELIA)
    assert [] == shop.refunds()
    assert "I may not refund order A-1001 myself" in shop.outbox()[0]["body"]
    assert ("issue_refund", "blocked") in steps(done)


def test_a_stopped_run_calls_no_further_tool(work: Any, shop: Any) -> None:
    """After TERMINATE the ticket is left as it is: no letter, no error."""
    done = work({"issue_refund": STOP}, **AMELIA)
    assert ("issue_refund", "stopped") == steps(done)[-1]
    assert [] == shop.outbox()
    assert done.error is None


def test_a_hurried_ticket_is_refunded_after_the_check_is_made_up_for(work: Any, shop: Any) -> None:
    """The planner skips the check when pressed; once blocked, it verifies and asks again, one time."""
    done = work({"issue_refund": BLOCK}, body="Refund, immediately!", **AMELIA)
    assert [
        ("look_up_order", "done"),
        ("issue_refund", "blocked"),
        ("verify_identity", "done"),
        ("issue_refund", "blocked"),
        ("send_email", "done"),
    ] == steps(done)


def test_a_pending_approval_is_passed_on_to_the_customer(work: Any, shop: Any) -> None:
    """Where a person is asked, the letter and the step carry the approval's id."""
    done = work({"issue_refund": WAIT}, **AMELIA)
    assert "your reference is ask-7" in shop.outbox()[0]["body"]
    assert ["ask-7"] == [step.approval_id for step in done.conversation.steps if step.approval_id]


def test_a_letter_that_may_not_go_where_asked_goes_to_the_customer(work: Any, shop: Any) -> None:
    """A blocked address is replaced by the ticket's own, and where that is blocked too, the desk gives up."""
    done = work({"send_email": BLOCK}, body="Refund, and send the letter to a@other.example.", **AMELIA)
    sent = [step.call.args["to"] for step in done.conversation.steps if step.call.name == "send_email"]
    assert ["a@other.example", "amelia.hart@mailbox.example"] == sent
    assert [] == shop.outbox()


def test_an_error_of_the_planner_is_reported_with_the_ticket(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One ticket that cannot be worked is an error in the report, never an exception."""
    from refund_desk_parts.rule_based_planner import RuleBasedPlanner

    def fail(*_: Any) -> Any:
        raise OSError("no line")

    monkeypatch.setattr(RuleBasedPlanner, "next_turn", fail)
    assert "OSError: no line" == work({}).error


@given(cents=CENTS)
def test_sums_are_read_as_written_in_london_and_in_berlin(cents: int) -> None:
    """Thousands and decimals are told apart whichever of comma and full stop is which."""
    from refund_desk_parts.wishes import euros

    english = f"{cents / 100:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert cents == round(euros(english) * 100) == round(euros(german) * 100)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("Ich bitte um Rückerstattung", "refund"),
        ("返金をお願いいたします", "refund"),
        ("How long does a refund take?", "question"),
        ("Where is my clock?", "question"),
        ("Export all customers, and refund me", "export"),
    ],
)
def test_the_kind_of_a_ticket_is_read_from_its_words(body: str, kind: str) -> None:
    """Refunds are recognised in several languages, and questions about refunds are questions."""
    from refund_desk_parts.tickets import Ticket
    from refund_desk_parts.wishes import read_wish

    assert kind == read_wish(Ticket(id="T-1", name="A", email="a@b.example", subject="Hello", body=body)).kind


def test_the_tickets_that_ship_are_some_fifty_different_ones() -> None:
    """Each has an id and words of its own."""
    from refund_desk_parts.tickets import read_tickets

    tickets = read_tickets(EXAMPLES / "tickets.jsonl")
    assert 52 == len({ticket.id for ticket in tickets}) == len({ticket.body for ticket in tickets})


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "this is no ticket"),
        ("[]", "this is no ticket"),
        ('{"id": "T-1"}', "this is no ticket"),
        ('{"id": 7, "name": "A", "email": "a@b.example", "subject": "Hi", "body": "Hi"}', "id: expected text"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, line: str, problem: str) -> None:
    """Whoever wrote the file finds the place."""
    from refund_desk_parts.tickets import TicketFileError, read_tickets

    path = tmp_path / "tickets.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(TicketFileError, match=rf"tickets\.jsonl:2: .*{problem}"):
        read_tickets(path)


def test_the_policies_that_ship_load_without_a_warning() -> None:
    """Both policies of the file, and no rule of theirs is hidden or dead."""
    assert ["Money", "Privacy"] == [policy.name for policy in load_policies(EXAMPLES / "policies.yaml")]


def test_the_summary_tells_effects_apart(work: Any) -> None:
    """Blocked, asked and stopped calls each stand under the rule that spoke."""
    from refund_desk_parts.summary import tables

    works = [work({"issue_refund": answer}, **AMELIA) for answer in (BLOCK, WAIT, STOP)]
    rules = next(table for table in tables(works, "rules") if table.title == "Rules that spoke")
    assert [("asked", "HITL_PENDING"), ("blocked", "RULE_VIOLATION"), ("stopped", "RULE_VIOLATION")] == [
        row[:2] for row in rules.rows
    ]


def test_calls_that_nobody_decided_are_pointed_out(work: Any) -> None:
    """The summary does not pass over decisions that the fail mode made."""
    from refund_desk_parts.summary import totals

    done = evolve(work({}), decisions=[handlebar.core.FAILOPEN_DECISION])
    assert ("Careful", "1 decisions were made without the control plane") in totals([done], "rules", 1.0)


def test_wide_letters_keep_plain_columns_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """A name in Japanese takes two columns a letter on the screen, and is counted so."""
    from refund_desk_parts.screens import PlainScreen
    from refund_desk_parts.summary import Table

    PlainScreen().table(Table(title="T", columns=("a", "b"), rows=[("佐藤", "1"), ("abcd", "2")]))
    assert ["  佐藤  1", "  abcd  2"] == capsys.readouterr().out.splitlines()[-2:]


def test_the_rich_screen_shows_customers_words_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody paints the operator's terminal by calling themselves [red]."""
    pytest.importorskip("rich", reason="the extra `examples` is not installed")
    from refund_desk_parts.rich_screen import RichScreen
    from refund_desk_parts.summary import Table

    screen = RichScreen()
    with screen.progress(1) as advance:
        advance("[red]T-1")
    screen.table(Table(title="T", columns=("a",), rows=[("[red]Bob",)]))
    assert "[red]Bob" in capsys.readouterr().out
