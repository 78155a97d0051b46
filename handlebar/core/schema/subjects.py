"""Whom or what a tool call touches: the subjects of a call."""

from __future__ import annotations

from attrs import field, frozen

from handlebar.core.schema import checks


@frozen
class SubjectRef:
    """
    One entity that a tool call acts upon, e.g. `SubjectRef("patient", "P-17", role="primary")`.

    Attributes:
        subject_type: What kind of entity it is.

        value: Its id.

        role: Its part in the call.

        id_system: The system that the id belongs to.
    """

    subject_type: str = field(validator=checks.filled_text)
    value: str = field(validator=checks.text)
    role: str | None = field(default=None, validator=checks.optional(checks.text))
    id_system: str | None = field(default=None, validator=checks.optional(checks.text))
