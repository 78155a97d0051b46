"""The signature by which a webhook's receiver knows that a delivery is ours."""

from __future__ import annotations

import hashlib
import hmac

SIGNATURE = "x-hr-signature"
EVENT = "x-hr-event"
DELIVERY_ID = "x-hr-delivery-id"


def signature(secret: str, body: bytes) -> str:
    """Return what proves that somebody who knows *secret* has sent exactly *body*: HMAC-SHA256, in lower-case hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed_headers(secret: str, body: bytes, *, event: str, delivery_id: str) -> dict[str, str]:
    """Return the headers that go with a delivery; its id is the same at every attempt."""
    return {
        "content-type": "application/json",
        SIGNATURE: signature(secret, body),
        EVENT: event,
        DELIVERY_ID: delivery_id,
    }
