"""Which messages of a conversation are new: frameworks hand over the whole of it at each model call."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence

from attrs import frozen

from handlebar._plumbing import safe_json
from handlebar.core.messages import LLMMessage

_FROM_THE_MODEL = "assistant"


@frozen
class Keyed:
    """
    A message, and what it is known again by.

    Attributes:
        key: The framework's own id of the message, or a `fingerprint`.
    """

    key: Hashable
    message: LLMMessage


def fingerprint(message: LLMMessage) -> Hashable:
    """Return a key for a *message* that has no id: the same content has the same key."""
    return hash((message.role, safe_json.encode(message.content)))


class Deltas:
    """
    Remembers which messages of one run have been seen; thread-safe.

    A message is known by its key and by how often that key came before it in the same list. So a list that grows, is
    rewritten between agents, or starts again after a retry shows each message once, and a user who says "yes" twice
    is heard twice.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[tuple[Hashable, int]] = set()

    def unseen(self, messages: Sequence[Keyed]) -> list[int]:
        """
        Return the places of the new *messages*, and remember all of them.

        What the model has said is left out: its answers are recorded when they come. At the first call, so is
        the conversation up to the model's last answer, which belongs to earlier runs; instructions are not.
        """
        names = _numbered(messages)
        with self._lock:
            first = not self._seen
            new = [place for place, name in enumerate(names) if name not in self._seen]
            self._seen.update(names)
        begin = _after_the_last_answer(messages) if first else 0
        return [place for place in new if _is_for_the_model(messages[place].message, place >= begin)]


def _numbered(messages: Sequence[Keyed]) -> list[tuple[Hashable, int]]:
    counts: dict[Hashable, int] = {}
    names = []
    for each in messages:
        counts[each.key] = counts.get(each.key, 0) + 1
        names.append((each.key, counts[each.key]))
    return names


def _after_the_last_answer(messages: Sequence[Keyed]) -> int:
    places = [place for place, each in enumerate(messages) if each.message.role == _FROM_THE_MODEL]
    return places[-1] + 1 if places else 0


def _is_for_the_model(message: LLMMessage, recent: bool) -> bool:
    return message.role != _FROM_THE_MODEL and (recent or message.role in ("system", "developer"))
