"""The client's part for webhooks."""

from __future__ import annotations

from collections.abc import Iterable

from handlebar.handoff.asking import Asking, Id, listed, page, segment, several
from handlebar.handoff.models import (
    ReplayResponse,
    RetryAllResponse,
    WebhookCreate,
    WebhookDelivery,
    WebhookResponse,
)


class WebhookCalls(Asking):
    """What can be done with webhooks, and with what could not be delivered to them."""

    def register_webhook(self, *, url: str, events: Iterable[str] | None = None, secret: str) -> WebhookResponse:
        """
        Have *url* told of events, each message signed with *secret*.

        Args:
            url: Where to.

            events: Of what; created, claimed, completed and failed packets where it is None or empty.

            secret: 16 to 256 characters; the server never shows it again.
        """
        chosen = several("events", events)
        webhook = WebhookCreate.from_dict({"url": url, "secret": secret, "events": chosen or None})
        return self._ask(WebhookResponse, "POST", "hooks", body=webhook.to_dict())

    def list_webhooks(self) -> list[WebhookResponse]:
        """Return all webhooks, inactive ones too."""
        return self._ask_list(WebhookResponse, "hooks")

    def delete_webhook(self, webhook_id: Id) -> None:
        """Have a webhook told no more."""
        self._delete("hooks", segment("webhook_id", webhook_id))

    def list_webhook_deliveries(
        self, webhook_id: Id, *, status: str | None = None, limit: int = 50, offset: int = 0
    ) -> list[WebhookDelivery]:
        """Return what was sent to a webhook, newest first."""
        query = {"status": listed("status", status), **page(limit, offset)}
        return self._ask_list(WebhookDelivery, "hooks", segment("webhook_id", webhook_id), "deliveries", query=query)

    def list_dead_letters(self, *, limit: int = 50, offset: int = 0) -> list[WebhookDelivery]:
        """Return what could not be delivered, and is not tried any more."""
        return self._ask_list(WebhookDelivery, "hooks", "dlq", query=page(limit, offset))

    def replay_dead_letter(self, delivery_id: Id) -> ReplayResponse:
        """Send a dead letter once more."""
        return self._ask(ReplayResponse, "POST", "hooks", "dlq", segment("delivery_id", delivery_id), "replay")

    def retry_dead_letters(self) -> RetryAllResponse:
        """Send all dead letters once more."""
        return self._ask(RetryAllResponse, "POST", "hooks", "dlq", "retry-all")
