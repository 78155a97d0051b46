"""
A refund desk: works customers' tickets with tools on a real shop database, governed by `policies.yaml`.

    python examples/refund_desk.py [tickets.jsonl]

Without a key a rule-based planner stands in for the language model; with OPENAI_API_KEY set, a real one is asked.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from time import perf_counter
from typing import Any

import handlebar
from refund_desk_parts.agent import Agent, Work
from refund_desk_parts.planner import Planner
from refund_desk_parts.rule_based_planner import RuleBasedPlanner
from refund_desk_parts.screens import Screen, screen
from refund_desk_parts.shop import Shop
from refund_desk_parts.summary import tables, totals
from refund_desk_parts.tickets import Ticket, TicketFileError, read_tickets
from refund_desk_parts.tools import DeskTools

HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Work the tickets and show the summary; return 1 where a ticket could not be worked."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        tickets = read_tickets(options.tickets)[: options.limit]
    except TicketFileError as error:
        parser.error(str(error))
    shop = Shop(options.shop or Path(tempfile.mkdtemp(prefix="refund-desk-")) / "shop.db")
    tools = DeskTools(shop).by_name()
    planner = _planner(options, tools)
    client = _client(options.database.resolve(), tools)
    output, started = screen(), perf_counter()
    output.line(f"{len(tickets)} tickets, {options.workers} at a time, planned by {planner.model.name}")
    works = _work_all(Agent(client=client, shop=shop, planner=planner, tools=tools), tickets, options.workers, output)
    client.shutdown_sync()
    _show(output, works, planner, perf_counter() - started)
    _show_places(output, client, options.database.resolve(), shop)
    return 1 if any(work.error for work in works) else 0


def _client(database: Path, tools: Mapping[str, Callable[..., Any]]) -> handlebar.HandlebarClient:
    try:
        return handlebar.init(
            "refund-desk",
            api_endpoint=f"sqlite:///{database}",
            policies=HERE / "policies.yaml",
            tools=list(tools.values()),
            fail_closed=True,  # where nobody can be asked, no money moves
        )
    except handlebar.ConfigError as error:
        sys.exit(f"Handlebar cannot start:\n{error}")


def _work_all(agent: Agent, tickets: Sequence[Ticket], workers: int, output: Screen) -> list[Work]:
    """Work all tickets, several at once; return what became of them, in the order of the file."""
    with ThreadPoolExecutor(workers, thread_name_prefix="desk") as desk, output.progress(len(tickets)) as advance:
        futures = [desk.submit(agent.work, ticket) for ticket in tickets]
        try:
            for future in as_completed(futures):
                advance(future.result().conversation.ticket.id)
        except KeyboardInterrupt:
            desk.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _show(output: Screen, works: Sequence[Work], planner: Planner, seconds: float) -> None:
    for table in tables(works, planner.model.name):
        output.table(table)
    output.line()
    for word, text in totals(works, planner.model.name, seconds):
        output.line(f"{word:<8} {text}")


def _show_places(output: Screen, client: handlebar.HandlebarClient, database: Path, shop: Shop) -> None:
    stats = client.stats()
    lost = sum(stats.events_dropped.values())
    output.line(f"{'Audit':<8} {database}: {stats.events_sent} events sent, {lost} lost (table `events`)")
    output.line(f"{'Shop':<8} {shop.path}")
    output.line(f"{'Again':<8} limits and approvals are remembered there; a fresh day: --database other.db")


def _planner(options: argparse.Namespace, tools: Mapping[str, Callable[..., Any]]) -> Planner:
    if options.planner == "rules":
        return RuleBasedPlanner()
    try:
        from openai import OpenAI, OpenAIError  # only those who ask a model need it

        from refund_desk_parts.openai_planner import OpenAIPlanner

        return OpenAIPlanner(client=OpenAI(), model=options.model, tools=tools)
    except ImportError:
        sys.exit('The OpenAI client is not installed: pip install ".[examples]"')
    except OpenAIError as error:
        sys.exit(f"The OpenAI client cannot be used: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Works customers' tickets, governed by policies.yaml.")
    planner = "openai" if os.environ.get("OPENAI_API_KEY") else "rules"
    parser.add_argument("tickets", nargs="?", type=Path, default=HERE / "tickets.jsonl", help="a JSONL file")
    parser.add_argument("--database", type=Path, default=Path("handlebar.db"), help="Handlebar's file")
    parser.add_argument("--shop", type=Path, help="the shop's file; a fresh temporary one if left out")
    parser.add_argument("--workers", type=_at_least_one, default=4, help="how many tickets at once")
    parser.add_argument("--planner", choices=("rules", "openai"), default=planner, help=f"here: {planner}")
    parser.add_argument("--model", default="gpt-4o-mini", help="the model that openai is asked for")
    parser.add_argument("--limit", type=_at_least_one, help="work the first so many tickets only")
    return parser


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
