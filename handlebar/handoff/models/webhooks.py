"""Webhooks: who is told of what, and what came of the telling."""

from datetime import datetime
from typing import Any

from attrs import Attribute, field, frozen

from handlebar.handoff.exceptions import invalid
from handlebar.handoff.models.base import Model, checked
from handlebar.handoff.models.words import WebhookEvent

DEFAULT_EVENTS = (
    WebhookEvent.PACKET_CREATED,
    WebhookEvent.PACKET_CLAIMED,
    WebhookEvent.PACKET_COMPLETED,
    WebhookEvent.PACKET_FAILED,
)
"""What a webhook is told of where nothing else is said."""


def _web_address(_: Model, attribute: "Attribute[str]", url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise invalid(attribute.name, "needs a URL that starts with http:// or https://")


def _long_enough(_: Model, attribute: "Attribute[str]", secret: str) -> None:
    if not 16 <= len(secret) <= 256:
        raise invalid(attribute.name, "needs 16 to 256 characters")


@frozen(kw_only=True, field_transformer=checked)
class WebhookCreate(Model):
    """What is sent to be told of events; each message is signed with the *secret*."""

    url: str = field(validator=_web_address)
    events: list[WebhookEvent] = field(factory=lambda: list(DEFAULT_EVENTS))
    secret: str = field(validator=_long_enough, repr=False)


@frozen(kw_only=True, field_transformer=checked)
class WebhookResponse(Model):
    """A webhook; the secret stays with the server."""

    id: str
    url: str
    events: list[str]
    tenant_id: str
    active: bool = True
    created_at: datetime


@frozen(kw_only=True, field_transformer=checked)
class WebhookDelivery(Model):
    """One message to a webhook; among the dead letters it has no *status*, about an approval no *packet_id*."""

    id: str
    webhook_id: str
    packet_id: str | None = None
    event_type: str
    status: str | None = None
    attempts: int
    last_error: str | None = None
    last_status_code: int | None = None
    next_retry_at: datetime | None = None
    delivered_at: datetime | None = None
    created_at: datetime
    updated_at: datetime | None = None

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name: the published client gives dicts."""
        return self.to_dict(nulls=True)[name]


@frozen(kw_only=True, field_transformer=checked)
class ReplayResponse(Model):
    """A dead letter that was sent again."""

    delivery_id: str
    replayed: bool


@frozen(kw_only=True, field_transformer=checked)
class RetryAllResponse(Model):
    """What came of sending all dead letters again."""

    retried: int
    succeeded: int
    failed: int
