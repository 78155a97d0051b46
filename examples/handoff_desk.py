"""
A desk of two agents in two processes: triage hears a customer out, and hands the case over to billing.

    python examples/handoff_desk.py

Billing claims the hand-off, goes on in the same conversation, and is stopped by a rule: a person has to approve the
refund. That is done on the command line, here by this script in your place; then billing completes, and
`handlebar runs show` tells the whole story. Needs no key and no network, but the extra `cli`. `--answer denied` shows
what happens where the person says no.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import handlebar
from handlebar import HandlebarClient, HandlebarClientConfig, LLMMessage, LLMResponse
from handlebar.handoff import HandoffRailClient, PacketResponse

HERE = Path(__file__).resolve().parent
PATIENCE = 60
"""So many seconds one process waits for the other, and billing for the person."""


@handlebar.tool(tags=["orders"])
def look_up_order(order_id: str) -> dict[str, Any]:
    """Return what the shop knows of an order."""
    return {"id": order_id, "total": 240.0, "carrier": "lost on the way"}


@handlebar.tool(tags=["payments"], wait_for_approval=PATIENCE)
def issue_refund(order_id: str, amount: float) -> str:
    """Pay an order back."""
    return f"{amount:.2f} paid back for {order_id}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Play one of the two agents; triage, which is the default, starts the other one."""
    options = _parser().parse_args(arguments)
    database = options.database or Path(tempfile.mkdtemp(prefix="handoff-desk-")) / "handlebar.db"
    return bill(database) if options.agent == "billing" else triage(database, options.answer)


def triage(database: Path, answer: str) -> int:
    """Hear the customer out, hand over, start the colleague, and be the person who answers."""
    url = _url(database)
    client = HandlebarClient.init_sync(HandlebarClientConfig(agent="triage", api_endpoint=url))
    with HandoffRailClient(url) as handoffs, client.run(session_id="customer-4711", actor="maria") as run:
        _hear_out(run)
        builder = run.to_packet(summary="Parcel lost: pay 240.00 back for order A-1001").to_agent("billing", "Billing")
        order = {"id": "A-1001", "total": 240.0}
        packet = handoffs.create_packet(builder.with_artifact("order", order).with_priority("high").build())
    client.shutdown_sync()
    _say(f"triage   handed over to billing: packet {packet.id}")
    with subprocess.Popen([sys.executable, __file__, "--agent", "billing", "--database", str(database)]) as colleague:
        question = _question(url, colleague)
        _command("inbox", "--database", url)
        _command(
            "inbox", "answer", question, answer, "--by", "ann", "--note", "I called the carrier", "--database", url
        )
        code = colleague.wait(PATIENCE)
    _command("runs", "show", run.run_id, "--database", url)
    return code


def _hear_out(run: handlebar.Run) -> None:
    """Talk with the customer, as a model would; both sides are part of the packet."""
    run.before_llm_sync([LLMMessage("user", "Hello, my parcel A-1001 never came. I want my money back.")])
    order = look_up_order("A-1001")
    words = f"I see that it was {order['carrier']}. I hand you over to billing, who will pay you back."
    run.after_llm_sync(LLMResponse([{"type": "text", "text": words}], model="a-script"))


def bill(database: Path) -> int:
    """Claim what was handed over, pay back what a person approves, and complete."""
    url = _url(database)
    config = HandlebarClientConfig(agent="billing", api_endpoint=url, policies=HERE / "handoff_desk.yaml")
    client = HandlebarClient.init_sync(config)
    with HandoffRailClient(url) as handoffs:
        (waiting,) = handoffs.list_packets(status="created", target_agent="billing").packets
        packet = handoffs.claim_packet(waiting.id, agent_id="billing", agent_name="Billing")
        _say(f"billing  claimed it: {packet.context.summary}")
        with client.run(resume=packet, actor="maria"):
            _pay_back(handoffs, packet)
    client.shutdown_sync()
    return 0


def _pay_back(handoffs: HandoffRailClient, packet: PacketResponse) -> None:
    order: Any = packet.context.artifacts[0].value
    try:
        _say(f"billing  {issue_refund(order['id'], amount=order['total'])}")
    except (handlebar.ToolBlockedError, handlebar.RunTerminatedError) as refused:
        _say(f"billing  paid nothing: {refused}")
        handoffs.update_packet(packet.id, {"status": "failed"})
        return
    handoffs.complete_packet(packet.id)


def _question(url: str, colleague: subprocess.Popen[bytes]) -> str:
    """Wait until something is in the inbox, and return its id."""
    until = monotonic() + PATIENCE
    while monotonic() < until and colleague.poll() is None:
        found = json.loads(_handlebar("inbox", "--json", "--database", url, capture_output=True).stdout)
        if found:
            return str(found[0]["id"])
        sleep(0.2)
    colleague.kill()
    sys.exit("billing has asked nobody")


def _command(*arguments: str) -> None:
    """Show a command, and do it."""
    _say(f"\n$ handlebar {' '.join(each if ' ' not in each else repr(each) for each in arguments)}")
    _handlebar(*arguments)


def _handlebar(*arguments: str, capture_output: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "handlebar.cli", *arguments]
    return subprocess.run(command, check=True, text=True, encoding="utf-8", capture_output=capture_output)


def _url(database: Path) -> str:
    return f"sqlite:///{database.resolve()}"


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Two agents, one hand-off, one approval.")
    parser.add_argument(
        "--agent", choices=("triage", "billing"), default="triage", help="whom to play; triage starts billing"
    )
    parser.add_argument("--database", type=Path, help="Handlebar's file; a fresh temporary one if left out")
    parser.add_argument("--answer", choices=("approved", "denied"), default="approved", help="what the person says")
    return parser


if __name__ == "__main__":
    sys.exit(main())
