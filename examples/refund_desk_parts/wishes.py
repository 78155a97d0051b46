"""What a ticket asks for, read with patterns."""

from __future__ import annotations

import re
from typing import Literal

from attrs import frozen

from refund_desk_parts.tickets import Ticket

_REFUND = re.compile(
    r"refund|money back|reimburse|charged (me )?twice"
    r"|erstatt|geld zurück|rembours|reembols|devoluci|rimbors|zwrot|terugbetal|återbetal|vrácení|返金"
)
_QUESTION = re.compile(r"how long|how do|do you|what is your|thank you for")
_EXPORT = re.compile(r"\b(export|dump)\b|copy of all|alle kundendaten")
_EVERYBODY = re.compile(r"(all|every|entire|whole) (the )?(of the )?(your )?(customer|client)|alle kundendaten")
_HURRY = re.compile(r"urgent|immediately|right now|at once|sofort|tout de suite|inmediat|subito")
_ORDER = re.compile(r"\b[A-Z]-\d{4}\b")
_EUROS = re.compile(r"(?:€|eur)\s?(\d[\d.,]*\d|\d)|(\d[\d.,]*\d|\d)\s?(?:€|eur)")
_EMAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_REDIRECT = re.compile(rf"\b(?:send|forward|copy)\b[^.]*? to ({_EMAIL})")


@frozen(kw_only=True)
class Wish:
    """
    What somebody wants, taken at their word.

    Attributes:
        amount: The sum asked for; None where it is what the order cost.

        hurried: Whether they press for time.

        reply_to: Where they want the answer sent.

        about: Whose data is meant: an address, or `all`.
    """

    kind: Literal["refund", "export", "question"]
    orders: tuple[str, ...]
    amount: float | None
    hurried: bool
    reply_to: str
    about: str


def read_wish(ticket: Ticket) -> Wish:
    """Read what *ticket* asks for; believes every word of it, which is what policies are for."""
    written = f"{ticket.subject}. {ticket.body}"
    text = written.casefold()
    orders = tuple(dict.fromkeys([ticket.order_id] if ticket.order_id else _ORDER.findall(written)))
    redirect = _REDIRECT.search(text)
    return Wish(
        kind=_kind(text),
        orders=orders,
        amount=_amount(text) if len(orders) == 1 else None,
        hurried=_HURRY.search(text) is not None,
        reply_to=redirect[1] if redirect else ticket.email,
        about=_about(text, ticket),
    )


def euros(number: str) -> float:
    """Read a sum as written in London or in Berlin: `1,250.00`, `1.250,00`, `39,90`, `40`."""
    whole, fraction = re.fullmatch(r"([\d.,]*?\d)(?:[.,](\d{1,2}))?", number).groups()  # type: ignore[union-attr]  # _EUROS matched
    return float(f"{re.sub(r'[.,]', '', whole)}.{fraction or 0}")


def _kind(text: str) -> Literal["refund", "export", "question"]:
    if _EXPORT.search(text):
        return "export"
    return "refund" if _REFUND.search(text) and not _QUESTION.search(text) else "question"


def _amount(text: str) -> float | None:
    found = _EUROS.search(text)
    return euros(found[1] or found[2]) if found else None


def _about(text: str, ticket: Ticket) -> str:
    """Return whose data is meant: everybody's, that of the first address in the text, or the writer's own."""
    if _EVERYBODY.search(text):
        return "all"
    named = re.search(_EMAIL, text)
    return named[0] if named else ticket.email
