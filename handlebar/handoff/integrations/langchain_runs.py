"""Which run of LangChain a callback belongs to."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

from handlebar.handoff.integrations.langchain_transcript import Transcript


class Runs:
    """The parts that are under way, each with the transcript of the run around it; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._transcripts: dict[UUID, Transcript] = {}
        self._outermost: set[UUID] = set()
        self._latest = Transcript(None)

    @property
    def latest(self) -> Transcript:
        """The transcript of the run that has begun last."""
        return self._latest

    def begin(self, run_id: UUID, parent_run_id: UUID | None, given: Any = None) -> Transcript:
        """A part has begun: a run of its own, with what it was *given*, where nothing known is around it."""
        with self._lock:
            around = None if parent_run_id is None else self._transcripts.get(parent_run_id)
            if around is None:
                self._latest = around = Transcript(given)
                self._outermost.add(run_id)
            self._transcripts[run_id] = around
            return around

    def find(self, run_id: UUID) -> Transcript:
        """Return the transcript that a part belongs to."""
        with self._lock:
            return self._transcripts.get(run_id) or Transcript(None)

    def end(self, run_id: UUID) -> bool:
        """A part has ended; return whether it was a run of its own."""
        with self._lock:
            self._transcripts.pop(run_id, None)
            is_outermost = run_id in self._outermost
            self._outermost.discard(run_id)
            return is_outermost
