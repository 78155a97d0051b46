"""What is wrong with a call of the hand-off API, and how that is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ProblemError(Exception):
    """
    A call that is not answered as it wished.

    Attributes:
        status: The HTTP status.

        detail: What stands under `detail` in the answer: text for people, or JSON of another shape.

        more: Further members of the answer.
    """

    def __init__(self, status: int, detail: Any, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.more = more

    @property
    def body(self) -> Mapping[str, Any]:
        """The answer's JSON."""
        return {"detail": self.detail, **self.more}

    @property
    def words(self) -> str:
        """What is wrong, as text for people."""
        if isinstance(self.detail, list):
            return "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in self.detail)
        return str(self.detail["message"] if isinstance(self.detail, dict) else self.detail)


def misfit(place: Sequence[str | int], message: str, *, kind: str = "value_error", given: Any = None) -> ProblemError:
    """
    Return the problem (422) that one thing in a call has the wrong shape, type or range.

    Args:
        place: Where it stands: `body`, `path` or `query`, then names of fields and places in lists.

        message: What is wrong.

        kind: The same in one word, for programs.

        given: What was sent.
    """
    # A key with a slip in it is still nearly a key, and answers are logged by proxies.
    shown = None if "secret" in place else given
    return ProblemError(422, [{"type": kind, "loc": list(place), "msg": message, "input": shown}])
