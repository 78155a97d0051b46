"""Messages to and from the model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.core import messages
from handlebar.core.messages import (
    MAX_CONTENT_BYTES,
    LLMMessage,
    LLMResponse,
    TokenUsage,
    as_message,
    bounded,
    derive_output_text,
    event_kind,
    event_text,
)
from handlebar.core.schema.agents import ModelInfo
from handlebar.errors import ConfigError

SECRET = "my card is 4111"


@pytest.mark.parametrize(
    ("role", "kind"),
    [
        ("user", "input"),
        ("assistant", "output"),
        ("tool", "tool_result"),
        ("system", "observation"),
        ("developer", "observation"),
    ],
)
def test_what_a_message_is_called(role: Any, kind: str) -> None:
    """The kind of a message's event follows from its role."""
    assert kind == event_kind(role)
    assert role == LLMMessage(role, "text").role


@pytest.mark.parametrize("role", ["", "User", "human", None, 5, ["user"]])
def test_a_role_that_nobody_knows_is_refused(role: Any) -> None:
    """The error names the field and the roles that there are."""
    with pytest.raises(ConfigError, match=r"LLMMessage\.role.*'assistant'"):
        LLMMessage(role, "text")


@pytest.mark.parametrize("content", [5, None, b"bytes", [SECRET], [5], {"type": "text"}, [{}, SECRET]])
def test_content_of_another_kind_is_refused_without_being_shown(content: Any) -> None:
    """The error tells what is allowed, and keeps what was said to itself."""
    with pytest.raises(ConfigError, match="a str or a list of dicts") as caught:
        LLMMessage("user", content)
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError, match="a str or a list of dicts"):
        LLMResponse(content, "gpt-4o")


def test_no_content_in_a_repr() -> None:
    """A message that is logged by accident gives nothing away."""
    message = LLMMessage("user", SECRET)
    response = LLMResponse(SECRET, "gpt-4o", output_text=SECRET)
    assert SECRET not in repr(message) + repr(response)


def test_content_is_kept_as_it_was_given() -> None:
    """Parts are not copied or converted."""
    parts = [{"type": "text", "text": "hi"}]
    assert parts is LLMMessage("user", parts).content


def test_a_response_in_short_form() -> None:
    """Text becomes one part, a name becomes a model."""
    response = LLMResponse("hi", "gpt-4o")
    assert [{"type": "text", "text": "hi"}] == response.content
    assert ModelInfo("gpt-4o") == response.model


@pytest.mark.parametrize("count", [-1, 1.5, True, "5"])
def test_tokens_are_counted_in_whole_numbers(count: Any) -> None:
    """Neither side of the usage takes anything else."""
    with pytest.raises(ConfigError, match=r"TokenUsage\.input_tokens"):
        TokenUsage(input_tokens=count)
    with pytest.raises(ConfigError, match=r"TokenUsage\.output_tokens"):
        TokenUsage(output_tokens=count)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"model": 5}, "model"),
        ({"model": ""}, "name"),
        ({"usage": {"input_tokens": 1}}, "usage"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"duration_ms": float("nan")}, "duration_ms"),
        ({"output_text": 5}, "output_text"),
    ],
)
def test_a_response_is_checked(fields: dict[str, Any], name: str) -> None:
    """A wrong type is refused where it is given, by name."""
    with pytest.raises(ConfigError, match=rf"\.{name}:"):
        LLMResponse(**{"content": "hi", "model": "gpt-4o", **fields})


def test_dicts_are_taken_as_model_apis_have_them() -> None:
    """A dict with role and content is a message; content that is left out is empty."""
    message = LLMMessage("user", "hi")
    assert message is as_message(message)
    assert message == as_message({"role": "user", "content": "hi", "name": "ann"})
    assert LLMMessage("assistant", "") == as_message({"role": "assistant", "content": None, "tool_calls": []})
    assert LLMMessage("assistant", "") == as_message({"role": "assistant"})


@pytest.mark.parametrize("message", [SECRET, None, 5, [], {"content": SECRET}, {"role": "user", "content": 5}])
def test_what_is_no_message_is_refused(message: Any) -> None:
    """The error says what is allowed, and not what was said."""
    with pytest.raises(ConfigError) as caught:
        as_message(message)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("hi", "hi"),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "tool_call", "text": "no"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "text"}, {"type": "text", "text": None}, {"text": "no"}, {"type": "refusal", "refusal": "no"}], ""),
    ],
)
def test_the_text_is_the_text_parts_joined(content: Any, expected: str) -> None:
    """Only parts of type text with a string count, in order, with nothing between them."""
    assert expected == derive_output_text(LLMResponse(content, "gpt-4o"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [("a", "a"), ("", ""), ([{"a": 1}], '[{"a":1}]'), ([], "[]"), ([{"a": {1}}], '[{"a":[1]}]')],
)
def test_what_is_recorded_is_text(content: object, expected: str) -> None:
    """Text as it is, all else as JSON."""
    assert expected == event_text(content)


@given(st.text(st.characters(), max_size=200), st.integers(0, 300))
def test_long_content_is_cut_at_a_character(text: str, most: int) -> None:
    """What is kept fits, is the beginning of the text, and is whole exactly where nothing was cut off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "MAX_CONTENT_BYTES", most)
        kept, cut = bounded(text)
    size = len(text.encode("utf-8", "replace"))
    assert (size > most) == cut
    if not cut:
        assert text == kept
    else:
        assert most - 3 <= len(kept.encode()) <= most
        assert text.encode("utf-8", "replace").decode().startswith(kept)


@pytest.mark.parametrize("letter", ["a", "é", "€", "😀"])
def test_the_bound_is_in_bytes(letter: str) -> None:
    """A quarter of a mebibyte of any script is whole, one character more is cut."""
    most = MAX_CONTENT_BYTES // len(letter.encode())
    assert (letter * most, False) == bounded(letter * most)
    assert (letter * most, True) == bounded(letter * (most + 1))
