"""Subjects: the user's functions that tell whom or what a tool call touches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any

from attrs import evolve, frozen

from handlebar._plumbing.time_limits import CallError, call_within
from handlebar.core.failures import Failures, OnError, tell_nobody
from handlebar.core.schema.subjects import SubjectRef
from handlebar.errors import ConfigError

MAX_SUBJECTS = 100
MAX_LENGTH = 256

SubjectExtractor = Callable[[dict[str, Any]], Any]
"""
Tells the subjects of one call, sync or async: a list of SubjectRef, one SubjectRef, or None.

It gets a dict with `tool`, `tool_name`, `tool_args` and `run`; name and arguments also as `toolName` and
`toolArgs`, as the documentation has them.
"""


@frozen
class _Registered:
    """An extractor and its time limit."""

    extractor: SubjectExtractor
    timeout_seconds: float | None


class SubjectRegistry:
    """
    A client's subject extractors by tool name; lives as long as the client.

    Thread-safe and fork-safe. An extractor that raises, takes too long or returns something else harms
    nobody: the call has no subjects then; it is logged, and reported once.
    """

    def __init__(self) -> None:
        # One dict whose single operations are atomic: no lock that a fork's child could inherit.
        self._extractors: dict[str, _Registered] = {}
        self._failures = Failures("subject extractor")

    def register(self, tool_name: str, extractor: SubjectExtractor, *, timeout_seconds: float | None = None) -> None:
        """
        Ask *extractor* about the calls of *tool_name* from now on; it replaces an earlier one.

        Args:
            tool_name: The tool's exact name.

            extractor: See `SubjectExtractor`.

            timeout_seconds: How long it may take; None for no limit. With a limit it runs on a thread of its
                own.

        Raises:
            ConfigError: *tool_name* is no str, or *extractor* cannot be called.
        """
        if not isinstance(tool_name, str):
            raise ConfigError("tool_name", tool_name, "a str")
        if not callable(extractor):
            raise ConfigError("extractor", extractor, "a callable")
        self._extractors[tool_name] = _Registered(extractor, timeout_seconds)

    def unregister(self, tool_name: str) -> None:
        """Ask about that tool no more."""
        self._extractors.pop(tool_name, None)

    def extract(
        self, *, tool: Any, tool_name: str, tool_args: Any, run: Any, on_error: OnError = tell_nobody
    ) -> list[SubjectRef]:
        """
        Return the subjects of one call, none where nobody knows any.

        Args:
            tool: What is known of the tool.

            tool_name: Its name.

            tool_args: The call's arguments.

            run: The run.

            on_error: Called with the tool's name and the reason when its extractor has failed for the first
                time.
        """
        registered = self._extractors.get(tool_name)
        if registered is None:
            return []
        context = {"tool": tool, "tool_name": tool_name, "tool_args": tool_args, "run": run}
        context |= {"toolName": tool_name, "toolArgs": tool_args}
        return self._failures.guard(tool_name, on_error, partial(_extracted, registered, context)) or []


def sanitise_subjects(subjects: Iterable[SubjectRef]) -> list[SubjectRef]:
    """Return the first 100 of *subjects*, each string cut at 256 characters."""
    return [_cut(subject) for subject in islice(subjects, MAX_SUBJECTS)]


def _extracted(registered: _Registered, context: Mapping[str, Any]) -> list[SubjectRef]:
    found = call_within(registered.extractor, context, timeout_seconds=registered.timeout_seconds)
    if found is None:
        return []
    subjects = [found] if isinstance(found, SubjectRef) else list(islice(found, MAX_SUBJECTS))
    if not all(isinstance(subject, SubjectRef) for subject in subjects):
        raise CallError("returned something other than SubjectRef objects")
    return subjects


def _cut(subject: SubjectRef) -> SubjectRef:
    return evolve(
        subject,
        subject_type=subject.subject_type.lstrip()[:MAX_LENGTH],  # what is cut must not be blank
        value=subject.value[:MAX_LENGTH],
        role=subject.role and subject.role[:MAX_LENGTH],
        id_system=subject.id_system and subject.id_system[:MAX_LENGTH],
    )
