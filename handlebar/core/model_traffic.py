"""What goes to the model and comes from it: redacted, recorded, handed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import Factory, evolve, frozen

from handlebar.core.messages import LLMMessage, LLMResponse, as_message, derive_output_text, event_text
from handlebar.core.minutes import Minutes
from handlebar.core.redaction import WITHHELD, Redacted, Redaction
from handlebar.core.run_recorder import RunRecorder


@frozen
class ModelTraffic:
    """Passes the messages of one run through the redactors, into the audit trail and into the run's minutes."""

    recorder: RunRecorder
    redaction: Redaction
    minutes: Minutes = Factory(Minutes)

    def to_model(self, messages: Sequence[Any], *, step_index: int) -> Sequence[Any]:
        """Record *messages*, and return them as the redactors have left them; the very same if nothing changed."""
        redacted = [self.redaction.message(as_message(message)) for message in messages]
        for one in redacted:
            text = event_text(one.value.content)
            self._message(one.value.role, text, one, step_index=step_index)
        if all(one.level != "partial" for one in redacted):
            return messages
        return [_like(message, one) for message, one in zip(messages, redacted, strict=True)]

    def from_model(self, response: LLMResponse, *, step_index: int) -> LLMResponse:
        """Record *response*, and return it as the redactors have left it, its text filled in."""
        whole = evolve(response, output_text=derive_output_text(response) or response.output_text)
        redacted = self.redaction.response(whole)
        answer = redacted.value
        usage = answer.usage
        if usage is not None and (usage.input_tokens is not None or usage.output_tokens is not None):
            self.recorder.model_answered(answer, usage, step_index=step_index)
        text = answer.output_text or event_text(answer.content)
        self._message("assistant", text, redacted, step_index=step_index)
        return answer

    def _message(self, role: str, text: str, redacted: Redacted[Any], *, step_index: int) -> None:
        shown = WITHHELD if redacted.level == "strict" else text
        self.minutes.said(role, shown)
        self.recorder.message(role, shown, level=redacted.level, step_index=step_index)


def _like(message: Any, redacted: Redacted[LLMMessage]) -> Any:
    """Return the redacted message in the form in which it came."""
    if redacted.level != "partial":
        return message
    if isinstance(message, Mapping):
        return {**message, "content": redacted.value.content}
    return redacted.value
