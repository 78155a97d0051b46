"""Conditions on signals: values that the host application provides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from handlebar.core.schema.rules import SignalBinding, SignalCondition
from handlebar.core.schema.subjects import SubjectRef
from handlebar.policy.answers import Test, asking
from handlebar.policy.arguments import ABSENT, reader
from handlebar.policy.comparing import json_test
from handlebar.policy.facts import Call, Facts, UnavailableError

Bind = Callable[[Call], Any]
"""What a binding takes from a call; `ABSENT` where the call has no such thing."""


def signal_test(condition: SignalCondition) -> Test:
    """Compile a condition on a signal; an argument that cannot be bound is a missing value."""
    bindings = {name: _BINDS[binding.from_](binding) for name, binding in condition.args.items()}
    test = json_test(condition.op, condition.value)

    def holds(call: Call, facts: Facts) -> bool:
        return test(facts.signal(condition.key, _bound(bindings, call)))

    return asking(holds, on_missing=condition.on_missing)


def _bound(bindings: Mapping[str, Bind], call: Call) -> dict[str, Any]:
    arguments = {name: bind(call) for name, bind in bindings.items()}
    if any(value is ABSENT for value in arguments.values()):
        raise UnavailableError("an argument of the signal is not in the call")
    return arguments


def _actor_id(binding: SignalBinding) -> Bind:
    return lambda call: call.actor.external_id if call.actor else ABSENT


def _actor_tag(binding: SignalBinding) -> Bind:
    tag = binding.tag or ""
    return lambda call: (call.actor.metadata or {}).get(tag, ABSENT) if call.actor else ABSENT


def _tool_name(binding: SignalBinding) -> Bind:
    return lambda call: call.tool_name


def _tool_tag(binding: SignalBinding) -> Bind:
    """Tags have no values: what is bound is whether the call bears the tag."""
    tag = (binding.tag or "").casefold()
    return lambda call: any(tag == own.casefold() for own in call.tool_tags)


def _argument(binding: SignalBinding) -> Bind:
    read = reader(binding.path or "")
    return lambda call: read(call.args)


def _subject(binding: SignalBinding) -> Bind:
    """Bind the id, or its system, of the first subject of the type (and role); two bindings mean the same one."""
    attribute = "id_system" if binding.field == "idSystem" else "value"

    def bind(call: Call) -> Any:
        meant = (each for each in call.subjects if _is_meant(each, binding))
        found = getattr(next(meant, None), attribute, None)
        return ABSENT if found is None else found

    return bind


def _is_meant(subject: SubjectRef, binding: SignalBinding) -> bool:
    return subject.subject_type == binding.subject_type and binding.role in (None, subject.role)


def _constant(binding: SignalBinding) -> Bind:
    return lambda call: binding.value


_BINDS: Mapping[str, Callable[[SignalBinding], Bind]] = {
    "enduserId": _actor_id,
    "enduserTag": _actor_tag,
    "toolName": _tool_name,
    "toolTag": _tool_tag,
    "toolArg": _argument,
    "subject": _subject,
    "const": _constant,
}
