"""Whom or what a tool call touches."""

from __future__ import annotations

import asyncio
import logging
import threading
from itertools import repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.core.schema.subjects import SubjectRef
from handlebar.core.subject_registry import MAX_LENGTH, MAX_SUBJECTS, SubjectRegistry, sanitise_subjects
from handlebar.errors import ConfigError

ORDER = SubjectRef("order", "A-17", role="primary", id_system="shop")
names = st.text(min_size=1, max_size=400).filter(str.strip)
subjects = st.builds(SubjectRef, names, st.text(max_size=400), st.none() | st.text(max_size=400), st.none() | st.text())


class _Asker:
    """Asks a registry about calls of `refund`, and keeps the errors."""

    def __init__(self, extractor: Any, **more: Any) -> None:
        self.registry = SubjectRegistry()
        self.registry.register("refund", extractor, **more)
        self.errors: list[tuple[str, str]] = []

    def ask(self, tool_name: str = "refund") -> list[SubjectRef]:
        """Return the subjects of one call."""
        return self.registry.extract(
            tool="a tool",
            tool_name=tool_name,
            tool_args={"order": "A-17"},
            run="a run",
            on_error=lambda key, reason: self.errors.append((key, reason)),
        )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, []),
        (ORDER, [ORDER]),
        ([], []),
        ([ORDER, ORDER], [ORDER, ORDER]),
        ((ORDER,), [ORDER]),
        (iter([ORDER]), [ORDER]),
        (repeat(ORDER), [ORDER] * MAX_SUBJECTS),
    ],
    ids=["none", "one", "empty", "two", "tuple", "iterator", "endless"],
)
def test_what_an_extractor_may_return(found: Any, expected: list[SubjectRef]) -> None:
    """Nothing, one subject, or any number of them; of an endless number the first hundred."""
    asker = _Asker(lambda context: found)
    assert expected == asker.ask()
    assert [] == asker.errors


def test_what_an_extractor_is_told() -> None:
    """The names are Python's, and those that the documentation publishes."""
    seen: list[Any] = []
    _Asker(seen.append).ask()
    call = {"tool": "a tool", "run": "a run", "tool_name": "refund", "tool_args": {"order": "A-17"}}
    assert [{**call, "toolName": "refund", "toolArgs": {"order": "A-17"}}] == seen


def test_tools_that_nobody_knows_have_no_subjects() -> None:
    """Names are exact, and can be taken back."""
    asker = _Asker(lambda context: ORDER)
    assert [] == asker.ask("Refund")
    asker.registry.register("refund", lambda context: None)
    assert [] == asker.ask()
    asker.registry.unregister("refund")
    asker.registry.unregister("refund")
    assert [] == asker.ask()
    assert [] == asker.errors


def test_async_extractors_are_waited_for() -> None:
    """With a limit or without."""

    async def find(context: dict[str, Any]) -> SubjectRef:
        await asyncio.sleep(0.001)
        return ORDER

    assert [ORDER] == _Asker(find).ask()
    assert [ORDER] == _Asker(find, timeout_seconds=20).ask()


def _fail(context: Any) -> None:
    raise ValueError("secret A-17")


@pytest.mark.parametrize(
    "extractor",
    [
        _fail,
        lambda context: "order",
        lambda context: 5,
        lambda context: [ORDER, {"subject_type": "order", "value": "1"}],
        lambda context: SubjectRef("", "A-17"),
        lambda: [],
    ],
    ids=["raises", "text", "number", "dict", "blank", "signature"],
)
def test_an_extractor_that_fails_harms_nobody(extractor: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The call has no subjects, and the failure is logged and reported once, without its words."""
    asker = _Asker(extractor)
    for _ in range(3):
        assert [] == asker.ask()
    assert ["refund"] == [key for key, _ in asker.errors]
    assert [logging.WARNING] == [record.levelno for record in caplog.records]
    assert "secret" not in caplog.text + asker.errors[0][1]


def test_an_extractor_that_hangs_is_left_behind() -> None:
    """After its limit the call goes on without subjects."""
    free = threading.Event()
    asker = _Asker(lambda context: free.wait(30) and None, timeout_seconds=0.05)
    try:
        assert [] == asker.ask()
        assert [("refund", "took longer than 0.05 s")] == asker.errors
    finally:
        free.set()


@pytest.mark.parametrize(("name", "extractor"), [(5, len), (None, len), ("refund", None), ("refund", "len")])
def test_registering_is_checked(name: Any, extractor: Any) -> None:
    """A mistake is found where it is made."""
    with pytest.raises(ConfigError, match=r"a str|a callable"):
        SubjectRegistry().register(name, extractor)


@pytest.mark.parametrize(
    "fields",
    [{"subject_type": " "}, {"subject_type": 5}, {"value": None}, {"role": 5}, {"id_system": b"x"}],
    ids=lambda fields: next(iter(fields)) + type(next(iter(fields.values()))).__name__,
)
def test_a_subject_is_checked(fields: dict[str, Any]) -> None:
    """Type and value must be there, all parts are text."""
    with pytest.raises(ConfigError, match=rf"SubjectRef\.{next(iter(fields))}"):
        SubjectRef(**{"subject_type": "order", "value": "A-17", **fields})


@given(st.lists(subjects, max_size=5))
def test_what_is_sent_is_cut(several: list[SubjectRef]) -> None:
    """Each string has 256 characters at most, what is shorter stays, order stays, and cutting twice changes nothing."""
    cut = sanitise_subjects(several)
    assert len(several) == len(cut)
    for before, after in zip(several, cut, strict=True):
        assert before.value[:MAX_LENGTH] == after.value
        assert (before.role or "")[:MAX_LENGTH] == (after.role or "")
        assert (before.role is None) == (after.role is None)
        assert 0 < len(after.subject_type) <= MAX_LENGTH
        assert after.subject_type in before.subject_type
    assert cut == sanitise_subjects(cut)


def test_at_most_a_hundred_are_sent() -> None:
    """The first ones, of an endless number too."""
    many = [SubjectRef("order", str(number)) for number in range(150)]
    assert many[:MAX_SUBJECTS] == sanitise_subjects(many)
    assert MAX_SUBJECTS == len(sanitise_subjects(repeat(ORDER)))


def test_what_is_cut_is_not_blank() -> None:
    """A type that begins with a page of spaces is still one after the cut."""
    assert [SubjectRef("order", "1")] == sanitise_subjects([SubjectRef(" " * 300 + "order", "1")])
