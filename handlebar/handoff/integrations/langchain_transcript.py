"""What was said in one run of a LangChain chain, put together from its callbacks."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from handlebar.handoff.integrations.contents import text_of
from handlebar.handoff.integrations.langchain_messages import as_turns
from handlebar.handoff.run_link import TOOL_OUTPUT

_SAID = ("input", "question", "query", "messages")
_ANSWERED = ("output", "result", "answer", "text", "messages")


class Transcript:
    """
    The turns of one run, each once, however many callbacks tell of it; lives as long as the run. Thread-safe.

    What a model is asked supersedes what the chain was given, of which it is made. Instructions to models stay out:
    they are for the agent that hands over.

    Attributes:
        is_paused: Whether the run waits for somebody, and goes on as another run later.
    """

    def __init__(self, given: Any) -> None:
        self._lock = threading.Lock()
        self._turns = _spoken(_part(given, _SAID))
        self._is_given_only = True
        self.is_paused = False

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The turns so far."""
        with self._lock:
            return list(self._turns)

    def asked(self, messages: Any) -> None:
        """A model is asked; it gets everything again that was said before."""
        with self._lock:
            if self._is_given_only:
                self._turns = []
            self._is_given_only = False
            self._add(_spoken(messages))

    def answered(self, messages: Iterable[Any]) -> None:
        """A model has answered."""
        with self._lock:
            self._turns += _spoken(list(messages))

    def returned(self, output: Any) -> None:
        """A tool has returned."""
        with self._lock:
            is_message = hasattr(output, "type") and hasattr(output, "content")
            self._turns += as_turns([output]) if is_message else [_tool_turn(output)]

    def ended(self, outputs: Any) -> None:
        """The run has ended; what it gives is mostly what was said last."""
        found = _part(outputs, _ANSWERED)
        if isinstance(found, str):
            found = [("ai", found)]
        with self._lock:
            self._add(_spoken(found))

    def _add(self, turns: list[dict[str, Any]]) -> None:
        """Add the turns that are new; one that is known already is kept, unless it can be told better now."""
        known: dict[Hashable, list[int]] = {}
        for place, turn in enumerate(self._turns):
            known.setdefault(_key(turn), []).append(place)
        for turn in turns:
            places = known.get(_key(turn))
            if not places:
                self._turns.append(turn)
            elif "metadata" not in self._turns[place := places.pop(0)]:
                self._turns[place] = turn


def _part(value: Any, names: Iterable[str]) -> Any:
    """Return what is said in a chain's input or output: itself, or one of its entries; nothing if that is no words."""
    if isinstance(value, Mapping) and "role" not in value:
        value = next((value[name] for name in names if name in value), None)
    if isinstance(value, (str, list, tuple)) or hasattr(value, "content") or hasattr(value, "to_messages"):
        return value
    return None


def _spoken(messages: Any) -> list[dict[str, Any]]:
    return [turn for turn in as_turns(messages) if not _is_instruction(turn)]


def _is_instruction(turn: Mapping[str, Any]) -> bool:
    return turn["role"] == "system" and _kind(turn) not in ("tool", "function")


def _kind(turn: Mapping[str, Any]) -> str:
    beside = turn.get("metadata") or {}
    return str(beside.get("langchain", {}).get("type", ""))


def _key(turn: Mapping[str, Any]) -> Hashable:
    """Return what two tellings of one turn have in common."""
    content = turn["content"].removeprefix(TOOL_OUTPUT) if turn["role"] == "system" else turn["content"]
    return turn["role"], content


def _tool_turn(output: Any) -> dict[str, Any]:
    return {"role": "system", "content": TOOL_OUTPUT + text_of(output)}
