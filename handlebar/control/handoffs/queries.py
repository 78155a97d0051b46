"""Queries of calls: names and values, read one by one."""

# Annotations are real types here: they are what a field is checked against.

from datetime import datetime

from attrs import frozen

from handlebar.control.handoffs.problems import misfit
from handlebar.handoff.exceptions import ValidationError
from handlebar.handoff.models.base import Model, checked

MOST_LISTED = 200
_LARGEST = 2**53


@frozen(kw_only=True, field_transformer=checked)
class _Moment(Model):
    at: datetime


@frozen
class Query:
    """
    The query of a call; of a name that comes twice the last value counts.

    Every method raises `ProblemError` (422) where a value is not what is asked for.
    """

    pairs: tuple[tuple[str, str], ...]

    def text(self, name: str) -> str | None:
        """Return the value of that *name*; None where there is none, or an empty one."""
        return dict(self.pairs).get(name) or None

    def words(self, name: str) -> tuple[str, ...]:
        """Return what a value lists with commas between."""
        return tuple(word.strip() for word in (self.text(name) or "").split(",") if word.strip())

    def number(self, name: str, *, default: int, least: int = 0, most: int = _LARGEST) -> int:
        """Return a whole number."""
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
            raise misfit(("query", name), f"needs a whole number from {least} to {most}", kind="int_range", given=text)
        return int(text)

    def moment(self, name: str) -> datetime | None:
        """Return a time; one without a zone is in UTC."""
        text = self.text(name)
        if text is None:
            return None
        # A plus that nobody has percent-encoded arrives as a blank.
        zoned = text[:11] + text[11:].replace(" ", "+")
        try:
            return _Moment.from_dict({"at": zoned}).at
        except ValidationError as error:
            raise misfit(("query", name), "needs a time in ISO 8601", kind="datetime_parsing", given=text) from error

    @property
    def limit(self) -> int:
        """How many are asked for at most."""
        return self.number("limit", default=50, least=1, most=MOST_LISTED)

    @property
    def offset(self) -> int:
        """How many to leave out before that."""
        return self.number("offset", default=0)
