"""Rewriting text before anything is recorded."""

from __future__ import annotations

import copy
import logging
import re
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.core.messages import LLMMessage, LLMResponse
from handlebar.core.redaction import Redacted, Redaction, Redactor

SECRET = "4111"


def mask(text: str) -> str:
    """Hide the number of a card."""
    return text.replace(SECRET, "[card]")


def fail(text: str) -> str:
    """Fail, with words that must not be told."""
    raise ValueError(f"cannot redact {text}")


texts = st.text(st.sampled_from("ab 41"), max_size=8)
structure = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "input", "content", "id"]), inner, max_size=3)
    ),
    max_leaves=12,
)
contents = texts | st.lists(
    st.dictionaries(st.sampled_from(["type", "text", "input", "content", "name"]), structure), max_size=4
)
messages = st.builds(LLMMessage, st.sampled_from(["user", "assistant", "tool"]), contents)


def strings(value: Any) -> list[str]:
    """Return every string in *value*, names aside."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [text for part in parts for text in strings(part)]


def shape(value: Any) -> Any:
    """Return *value* with every string replaced by a mark."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    return [shape(part) for part in value] if isinstance(value, (list, tuple)) else value


def test_without_redactors_nothing_happens() -> None:
    """The very object comes back."""
    message = LLMMessage("user", SECRET)
    redacted = Redaction().message(message)
    assert message is redacted.value
    assert "none" == redacted.level


@given(messages)
def test_structure_stays_and_originals_are_left_alone(message: LLMMessage) -> None:
    """Only texts change, never the message that was handed in, and the level tells whether any did."""
    before = copy.deepcopy(message)
    redacted = Redaction((lambda text: text.replace("4", "#"),)).message(message)
    assert before == message
    assert shape(message.content) == shape(redacted.value.content)
    changed = redacted.value != message
    assert Redacted(redacted.value, "partial" if changed else "none") == redacted
    if not changed:
        assert message is redacted.value


@given(st.lists(st.dictionaries(st.sampled_from(["text", "input", "thinking", "content"]), structure), max_size=4))
def test_every_text_in_a_part_is_rewritten(parts: list[dict[str, Any]]) -> None:
    """However deep a text lies, the redactor has seen it, but for the words that name things inside content."""
    bare = [{key: value for key, value in part.items() if key != "content"} for part in parts]
    redacted = Redaction((lambda text: text.replace("4", "#"),)).message(LLMMessage("user", bare))
    assert not any("4" in text for text in strings(list(redacted.value.content)))


def test_redactors_are_applied_in_order() -> None:
    """Each gets what the one before it left."""
    redaction = Redaction((lambda text: text + "1", lambda text: text + "2", mask))
    assert "a12" == redaction.message(LLMMessage("user", "a")).value.content


def test_what_names_things_stays() -> None:
    """Types, ids and tool names are no text; a model's API would not understand a change."""
    parts = [
        {
            "type": "tool_use",
            "id": "x",
            "toolUseId": "x",
            "toolName": "x",
            "name": "x",
            "input": {"type": "x", "id": ["x"]},
        },
        {"type": "tool_result", "tool_use_id": "x", "content": [{"type": "x", "text": "x"}, "x"]},
        {"type": "text", "text": "x", "citations": ("x", 5, None, True)},
    ]
    redacted = Redaction((lambda text: text.replace("x", "y"),)).message(LLMMessage("user", parts))
    assert [
        {
            "type": "tool_use",
            "id": "x",
            "toolUseId": "x",
            "toolName": "x",
            "name": "x",
            "input": {"type": "y", "id": ["y"]},
        },
        {"type": "tool_result", "tool_use_id": "x", "content": [{"type": "x", "text": "y"}, "y"]},
        {"type": "text", "text": "y", "citations": ["y", 5, None, True]},
    ] == redacted.value.content


def test_objects_inside_parts_are_seen_as_json_shows_them() -> None:
    """Text inside an object is rewritten as well; an object with nothing to hide stays what it is."""

    class Order:
        def __init__(self, card: str) -> None:
            self.card = card

    harmless, harmful = Order("none"), Order(SECRET)
    redacted = Redaction((mask,)).message(
        LLMMessage("tool", [{"a": harmless, "b": harmful, "c": b"4111", "d": {SECRET}}])
    )
    assert [{"a": harmless, "b": {"card": "[card]"}, "c": "[card]", "d": ["[card]"]}] == redacted.value.content


def test_async_redactors_work_too() -> None:
    """A coroutine function is waited for."""

    async def mask_later(text: str) -> str:
        return mask(text)

    redacted = Redaction((mask_later, str.upper)).message(LLMMessage("user", "my 4111"))
    assert Redacted(LLMMessage("user", "MY [CARD]"), "partial") == redacted


@pytest.mark.parametrize(
    "redactor",
    [fail, lambda text: None, lambda text: b"x", lambda text: 5, lambda: "x"],
    ids=["raises", "none", "bytes", "number", "signature"],
)
def test_a_redactor_that_fails_withholds_the_content(redactor: Redactor, caplog: pytest.LogCaptureFixture) -> None:
    """Events must not show it, the agent keeps what it had, and nobody is told the words."""
    told: list[str] = []
    message = LLMMessage("user", f"card {SECRET}")
    redacted = Redaction((str.strip, redactor, mask), told.append).message(message)
    assert message is redacted.value
    assert "strict" == redacted.level
    assert 1 == len(told)
    assert [logging.WARNING] == [record.levelno for record in caplog.records]
    assert SECRET not in told[0] + caplog.text


def test_one_failing_text_withholds_the_whole_message() -> None:
    """Half a redacted message is no redacted message."""

    def fail_on_b(text: str) -> str:
        return fail(text) if text == "b" else text.upper()

    message = LLMMessage("user", [{"text": "a"}, {"text": "b"}])
    assert Redacted(message, "strict") == Redaction((fail_on_b,)).message(message)


def test_what_cannot_be_walked_is_withheld() -> None:
    """A part inside itself is a failure like any other."""
    part: dict[str, Any] = {"text": "a"}
    part["input"] = part
    assert "strict" == Redaction((mask,)).message(LLMMessage("user", [part])).level


def test_a_redactor_that_hangs_is_left_behind() -> None:
    """With a limit, the content is withheld and the agent goes on."""
    free = threading.Event()

    def hang(text: str) -> str:
        free.wait(30)
        return text

    told: list[str] = []
    try:
        assert "strict" == Redaction((hang,), told.append, 0.05).message(LLMMessage("user", "a")).level
    finally:
        free.set()
    assert ["took longer than 0.05 s"] == told


def test_interrupts_pass_through() -> None:
    """What a task queue throws into a task is not taken for a redactor's failure."""

    class SoftTimeLimitExceeded(Exception):  # Celery's, by its name
        pass

    def interrupted(text: str) -> str:
        raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        Redaction((interrupted,)).message(LLMMessage("user", "a"))


def test_responses_are_rewritten_in_parts_and_text() -> None:
    """Both say the same afterwards, and everything else stays."""
    response = LLMResponse("my 4111", "gpt-4o", output_text="my 4111", duration_ms=5)
    redacted = Redaction((mask,)).response(response)
    assert "partial" == redacted.level
    assert LLMResponse("my [card]", "gpt-4o", output_text="my [card]", duration_ms=5) == redacted.value
    harmless = LLMResponse("hello", "gpt-4o")
    assert harmless is Redaction((mask,)).response(harmless).value


def test_any_callable_from_text_to_text_will_do() -> None:
    """A compiled expression's method is a redactor with a partial around it."""
    digits = re.compile(r"\d+")
    assert (
        "# and #"
        == Redaction((lambda text: digits.sub("#", text),)).message(LLMMessage("user", "1 and 22")).value.content
    )
