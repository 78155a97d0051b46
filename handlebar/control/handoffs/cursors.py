"""Cursors: where a page of packets has ended, in a form that callers need not understand."""

from __future__ import annotations

import base64
import json

from attrs import frozen

from handlebar.control.handoffs.problems import ProblemError
from handlebar.control.handoffs.wording import bare_stamp, read_stamp


@frozen
class Cursor:
    """
    The last packet of a page.

    Attributes:
        created_at: When it was made, in microseconds since 1970.

        id: Its id.
    """

    created_at: int
    id: str

    def written(self) -> str:
        """Return the cursor as text."""
        members = json.dumps({"created_at": bare_stamp(self.created_at), "id": self.id})
        return base64.urlsafe_b64encode(members.encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """
    Return the cursor that *text* is.

    Raises:
        ProblemError: It is none (400).
    """
    try:
        members = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return Cursor(read_stamp(members["created_at"]), str(members["id"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProblemError(400, "The cursor is not one that this API has given") from error
