"""Whether a call is made again, and when; pure: outcomes in, seconds out."""

from __future__ import annotations

from random import random

from attrs import field, frozen

from handlebar._plumbing.retry import RetryPolicy, parse_retry_after
from handlebar.errors import UnreachableError
from handlebar.handoff.exchange import Answer

LONGEST_WAIT = 30.0

_PASSING = (502, 503, 504)
# Certificates do not change while we wait.
_LASTING = ("tls",)


@frozen
class Persistence:
    """
    How often a call is made, and how long that may take.

    Attributes:
        timeout: Seconds for one attempt.

        retries: How many further attempts may follow the first.

        delay: Seconds to wait before the first of them; each further wait is twice as long.

        total: Seconds for all attempts and waits; None for as long as they can take.
    """

    timeout: float
    retries: int
    delay: float
    total: float | None = None
    _policy: RetryPolicy = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        policy = RetryPolicy(retries=self.retries, base=self.delay, cap=max(LONGEST_WAIT, self.delay))
        object.__setattr__(self, "_policy", policy)

    @property
    def budget(self) -> float:
        """The seconds that a call may take in all."""
        if self.total is not None:
            return self.total
        return self.timeout * (self.retries + 1) + sum(map(self._policy.delay, range(self.retries)))

    def wait_after(self, outcome: Answer | UnreachableError, attempt: int, *, repeatable: bool) -> float | None:
        """
        Return the seconds to wait before another attempt; None where there is to be none.

        Args:
            outcome: What came of the last one.

            attempt: Its number, from 0.

            repeatable: Whether the call may be made twice.
        """
        if not self._policy.allows(attempt):
            return None
        if isinstance(outcome, UnreachableError):
            again = outcome.reason == "refused" or (repeatable and outcome.reason not in _LASTING)
            return self._jittered(attempt) if again else None
        asked = parse_retry_after(outcome.headers.get("retry-after"))
        if outcome.status == 429:
            return asked
        if repeatable and outcome.status in _PASSING:
            return max(self._jittered(attempt), asked or 0.0)
        return None

    def _jittered(self, attempt: int) -> float:
        """Return the doubled wait, less up to half of it by chance: those who failed together come back apart."""
        return self._policy.delay(attempt) * (1 - random() / 2)  # noqa: S311  # no secret depends on it


def may_have_arrived(outcome: Answer | UnreachableError) -> bool:
    """Whether a call that failed like this may have been carried out all the same."""
    if isinstance(outcome, Answer):
        return outcome.status in _PASSING
    return outcome.reason != "refused"
