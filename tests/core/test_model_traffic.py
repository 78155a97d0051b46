"""What goes to the model and comes from it, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from handlebar.core.messages import MAX_CONTENT_BYTES, LLMMessage, LLMResponse, TokenUsage
from handlebar.core.model_traffic import ModelTraffic
from handlebar.core.redaction import WITHHELD, Redaction, Redactor
from handlebar.core.run_recorder import RunRecorder
from handlebar.core.schema.agents import ModelInfo
from handlebar.core.schema.events import AuditEvent
from handlebar.errors import ConfigError

SECRET = "4111"


class _Envelope:
    """Keeps the events of one run."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def emit(
        self, kind: type[AuditEvent], make_data: Callable[[], Any], *, step_index: int | None, **more: Any
    ) -> None:
        """Keep it."""
        self.events.append(kind(time_ns=0, run_id="r", step_index=step_index, data=make_data(), **more))

    def shown(self) -> list[tuple[str, str, str, str | None]]:
        """Return role, kind, content and level of each message."""
        return [
            (event.data.role, event.data.kind, event.data.content, event.redaction and event.redaction.level)
            for event in self.events
            if event.kind == "message.raw.created"
        ]


def _traffic(*redactors: Redactor) -> tuple[ModelTraffic, _Envelope]:
    envelope = _Envelope()
    return ModelTraffic(RunRecorder(envelope), Redaction(redactors)), envelope


def mask(text: str) -> str:
    """Hide the number of a card."""
    return text.replace(SECRET, "[card]")


def fail_on_card(text: str) -> str:
    """Fail where there is a card."""
    if SECRET in text:
        raise ValueError(text)
    return text.replace("bob", "[name]")


def test_each_message_is_recorded_once_in_order() -> None:
    """One event a message, structured content as JSON, with the step it belongs to."""
    traffic, envelope = _traffic()
    sent = [
        LLMMessage("system", "be kind"),
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "tool_calls": [{"id": "1"}]},
        LLMMessage("tool", "42"),
    ]
    assert sent is traffic.to_model(sent, step_index=3)
    assert [
        ("system", "observation", "be kind", None),
        ("user", "input", '[{"type":"text","text":"hi"}]', None),
        ("assistant", "output", "", None),
        ("tool", "tool_result", "42", None),
    ] == envelope.shown()
    assert {3} == {event.step_index for event in envelope.events}
    assert 4 == len({event.data.message_id for event in envelope.events})


def test_redacted_messages_come_back_in_the_form_they_had() -> None:
    """Dicts stay dicts with all their keys, untouched messages are the very same, originals keep their text."""
    traffic, envelope = _traffic(mask)
    first, second, third = (
        LLMMessage("user", "hi"),
        {"role": "user", "content": SECRET, "name": "ann"},
        LLMMessage("user", SECRET),
    )
    back = traffic.to_model([first, second, third], step_index=0)
    assert [first, {"role": "user", "content": "[card]", "name": "ann"}, LLMMessage("user", "[card]")] == back
    assert first is back[0]
    assert (SECRET, SECRET) == (second["content"], third.content)
    assert [("hi", None), ("[card]", "partial"), ("[card]", "partial")] == [each[2:] for each in envelope.shown()]


def test_where_a_redactor_fails_events_show_nothing() -> None:
    """The content is withheld from the trail only; other messages are not concerned."""
    traffic, envelope = _traffic(fail_on_card)
    sent = [LLMMessage("user", SECRET), LLMMessage("user", "bob"), LLMMessage("user", "hi")]
    assert [sent[0], LLMMessage("user", "[name]"), sent[2]] == traffic.to_model(sent, step_index=0)
    assert [(WITHHELD, "strict"), ("[name]", "partial"), ("hi", None)] == [each[2:] for each in envelope.shown()]


def test_long_content_is_cut_in_the_event_only() -> None:
    """The model gets all of it; the event says that it does not show all."""
    traffic, envelope = _traffic()
    sent = [LLMMessage("user", "a" * (MAX_CONTENT_BYTES + 1))]
    assert sent is traffic.to_model(sent, step_index=0)
    data = envelope.events[0].data
    assert (MAX_CONTENT_BYTES, True) == (len(data.content), data.content_truncated)


def test_content_that_json_does_not_know_is_recorded_all_the_same() -> None:
    """A circle in a part is no reason to lose the event."""
    traffic, envelope = _traffic()
    part: dict[str, Any] = {"type": "text"}
    part["self"] = part
    traffic.to_model([LLMMessage("user", [part])], step_index=0)
    assert '[{"type":"text","self":"<circular>"}]' == envelope.events[0].data.content


def test_what_is_no_message_is_the_callers_mistake() -> None:
    """It is refused before anything of the call is recorded."""
    traffic, envelope = _traffic()
    with pytest.raises(ConfigError, match="messages"):
        traffic.to_model([LLMMessage("user", "hi"), "hello"], step_index=0)
    assert [] == envelope.events


def test_an_answer_is_recorded_with_its_usage() -> None:
    """First what it used, then what it said; the text is filled in."""
    traffic, envelope = _traffic()
    parts = [{"type": "text", "text": "a"}, {"type": "tool_call", "toolName": "t"}, {"type": "text", "text": "b"}]
    response = LLMResponse(parts, ModelInfo("gpt-4o", "openai"), usage=TokenUsage(7, 2), duration_ms=12.5)
    back = traffic.from_model(response, step_index=1)
    assert "ab" == back.output_text
    used, said = envelope.events
    assert ("llm.result", ModelInfo("gpt-4o", "openai"), 7, 2, 3, 12.5) == (
        used.kind,
        used.data.model,
        used.data.tokens.in_,
        used.data.tokens.out,
        used.data.message_count,
        used.data.duration_ms,
    )
    assert [("assistant", "output", "ab", None)] == envelope.shown()
    assert (1, 1) == (used.step_index, said.step_index)


@pytest.mark.parametrize("usage", [None, TokenUsage()])
def test_without_usage_there_is_no_result_event(usage: TokenUsage | None) -> None:
    """Nobody makes up a count of zero."""
    traffic, envelope = _traffic()
    traffic.from_model(LLMResponse("hi", "gpt-4o", usage=usage), step_index=0)
    assert ["message.raw.created"] == [event.kind for event in envelope.events]


@pytest.mark.parametrize("usage", [TokenUsage(input_tokens=5), TokenUsage(output_tokens=5), TokenUsage(0, 0)])
def test_half_a_usage_is_a_usage(usage: TokenUsage) -> None:
    """What is not known counts as zero."""
    traffic, envelope = _traffic()
    traffic.from_model(LLMResponse("hi", "gpt-4o", usage=usage), step_index=0)
    tokens = envelope.events[0].data.tokens
    assert (usage.input_tokens or 0, usage.output_tokens or 0) == (tokens.in_, tokens.out)


def test_without_text_the_parts_are_recorded_as_json() -> None:
    """An answer that only calls tools is shown as it is."""
    traffic, envelope = _traffic()
    back = traffic.from_model(LLMResponse([{"type": "refusal", "refusal": "no"}], "gpt-4o"), step_index=0)
    assert not back.output_text
    assert '[{"type":"refusal","refusal":"no"}]' == envelope.shown()[0][2]


def test_a_text_that_the_caller_gave_is_kept_where_there_is_none_in_the_parts() -> None:
    """Some adapters know the text and not the parts."""
    traffic, envelope = _traffic()
    assert "hello" == traffic.from_model(LLMResponse([], "gpt-4o", output_text="hello"), step_index=0).output_text
    assert "hello" == envelope.shown()[0][2]


def test_answers_are_redacted_before_they_are_recorded_and_returned() -> None:
    """Parts and text both, and the level is told."""
    traffic, envelope = _traffic(mask)
    back = traffic.from_model(LLMResponse(f"card {SECRET}", "gpt-4o"), step_index=0)
    assert ([{"type": "text", "text": "card [card]"}], "card [card]") == (back.content, back.output_text)
    assert [("assistant", "output", "card [card]", "partial")] == envelope.shown()


def test_an_answer_whose_redactor_fails_is_withheld_from_the_trail() -> None:
    """The agent gets its answer, with its text filled in, and its tokens are counted."""
    traffic, envelope = _traffic(fail_on_card)
    back = traffic.from_model(LLMResponse(SECRET, "gpt-4o", usage=TokenUsage(1, 1)), step_index=0)
    assert SECRET == back.output_text
    assert [("assistant", "output", WITHHELD, "strict")] == envelope.shown()
    assert SECRET not in repr(envelope.events)
    assert "llm.result" == envelope.events[0].kind
