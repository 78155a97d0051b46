"""What was said and decided in a run, the latest of it: what a hand-off takes along."""

from __future__ import annotations

from collections import deque

from attrs import Factory, frozen

from handlebar._plumbing import safe_json
from handlebar.core.questions import ToolUse
from handlebar.core.schema.governance import Decision, HitlPendingCause

_MOST = 200
"""So many turns, decisions and open questions are kept; older ones go."""


@frozen
class Said:
    """One message to the model, or from it, as the redactors have left it."""

    role: str
    text: str


@frozen
class Decided:
    """What was decided on a call that was about to be made."""

    use: ToolUse
    decision: Decision


@frozen
class Minutes:
    """
    Keeps what was said and decided; lives as long as its run. Thread-safe.

    Texts are kept by reference, and a bounded number of them.
    """

    _said: deque[Said] = Factory(lambda: deque(maxlen=_MOST))
    _decided: deque[Decided] = Factory(lambda: deque(maxlen=_MOST))

    def said(self, role: str, text: str) -> None:
        """Note a message."""
        self._said.append(Said(role, text))

    def decided(self, use: ToolUse, decision: Decision) -> None:
        """Note a decision on a call that was about to be made."""
        self._decided.append(Decided(use, decision))

    @property
    def conversation(self) -> list[Said]:
        """The messages so far, oldest first."""
        return list(self._said.copy())

    @property
    def decisions(self) -> list[Decided]:
        """The decisions so far, oldest first."""
        return list(self._decided.copy())

    @property
    def waiting(self) -> dict[str, Decided]:
        """What waits for a person, by the question's id: the same call has not been decided otherwise since."""
        latest = {(each.use.name, safe_json.encode(each.use.args)): each for each in self.decisions}
        waiting: dict[str, Decided] = {}
        for each in latest.values():
            if isinstance(each.decision.cause, HitlPendingCause):
                # The first is what the question is about; others are only held up by it.
                waiting.setdefault(each.decision.cause.approval_id, each)
        return waiting
