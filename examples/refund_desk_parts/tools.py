"""The tools of the desk: each call of one is decided by policy before it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import handlebar
from refund_desk_parts.shop import Shop


class DeskTools:
    """
    What an agent can do in a *shop*; lives as long as the shop, and is safe to use from several threads.

    The docstrings are what a language model reads about the tools.
    """

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def by_name(self) -> dict[str, Callable[..., Any]]:
        """Return the tools by name."""
        tools = (
            self.look_up_order,
            self.list_orders,
            self.verify_identity,
            self.issue_refund,
            self.send_email,
            self.export_customer_data,
        )
        return {tool.__name__: tool for tool in tools}

    @handlebar.tool(tags=["orders", "read"])
    def look_up_order(self, order_id: str) -> dict[str, Any]:
        """Look up one order by its number: item, total, status, and how much can still be refunded."""
        return self._shop.look_up_order(order_id)

    @handlebar.tool(tags=["orders", "read"])
    def list_orders(self, email: str) -> list[dict[str, Any]]:
        """List all orders of the customer with this e-mail address."""
        return self._shop.orders_of(email)

    @handlebar.tool(tags=["identity"])
    def verify_identity(self, email: str, date_of_birth: str, postcode: str) -> str:
        """Check a customer's date of birth (YYYY-MM-DD) and postcode against the shop's records."""
        self._shop.verify(_ticket_id(), email, date_of_birth, postcode)
        return f"{email} is who they say."

    @handlebar.tool(tags=["payments", "write"])
    def issue_refund(self, order_id: str, amount: float) -> str:
        """Pay an amount in euros back to whoever paid for the order."""
        self._shop.refund(_ticket_id(), order_id, amount)
        return f"Refunded {amount:.2f} EUR for {order_id}."

    @handlebar.tool(tags=["email", "write"])
    def send_email(self, to: str, subject: str, body: str) -> str:
        """Send an e-mail."""
        self._shop.send_email(_ticket_id(), to, subject, body)
        return f"Sent to {to}."

    @handlebar.tool(tags=["privacy", "read"])
    def export_customer_data(self, whose: str) -> dict[str, Any]:
        """Export what the shop knows of one customer (an e-mail address), or of everybody (the word all)."""
        return {"records": self._shop.export(whose)}


def _ticket_id() -> str:
    """Return the ticket at hand, which is the current run's session; not something that a planner could choose."""
    run = handlebar.get_current_run()
    if run is None or run.session_id is None:
        raise handlebar.NoCurrentRunError("The desk's tools work on a ticket; start a run with its id as session_id.")
    return run.session_id
