"""The tree of errors."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

import handlebar.errors
from handlebar.core.schema.governance import FAILCLOSED_DECISION
from handlebar.errors import (
    ApprovalPendingError,
    BadAnswerError,
    ConfigError,
    ControlPlaneError,
    HandlebarError,
    NoCurrentRunError,
    NotInitialisedError,
    PolicyError,
    RefusedError,
    RunTerminatedError,
    ToolBlockedError,
    UnreachableError,
)

ALL = [
    HandlebarError("words"),
    ConfigError("agent.slug", "", "a str that is not empty"),
    PolicyError(["a.yaml:1: rules: wrong", "a.yaml:2: id: missing"]),
    NotInitialisedError("words"),
    NoCurrentRunError("words"),
    ToolBlockedError(FAILCLOSED_DECISION),
    RunTerminatedError(FAILCLOSED_DECISION),
    ApprovalPendingError(FAILCLOSED_DECISION, "approval-1", "token"),
    ControlPlaneError("words", reason="network"),
    UnreachableError("words", reason="timeout"),
    RefusedError("words", status=503, retry_after=2.5),
    RefusedError("words", status=401),
    BadAnswerError("words"),
]


def _name(error: Any) -> str:
    return f"{type(error).__name__}-{ALL.index(error)}"


def test_every_class_is_here_and_in_the_drawing() -> None:
    """The module's docstring draws the whole tree, and the tests below go through it."""
    classes = {
        each for each in vars(handlebar.errors).values() if inspect.isclass(each) and issubclass(each, Exception)
    }
    assert classes == {type(error) for error in ALL}
    drawing = str(handlebar.errors.__doc__)
    assert {each.__name__ for each in classes if each.__name__ not in drawing} == set()


@pytest.mark.parametrize("error", ALL, ids=_name)
def test_one_root(error: HandlebarError) -> None:
    """Whoever catches HandlebarError catches all."""
    assert isinstance(error, HandlebarError)


@pytest.mark.parametrize("error", ALL, ids=_name)
@pytest.mark.parametrize(
    "carry", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deep"]
)
def test_errors_travel_whole(error: HandlebarError, carry: Any) -> None:
    """Task queues pickle what a task raises: words and data arrive."""
    arrived = carry(error)
    assert type(error) is type(arrived)
    assert str(error) == str(arrived)
    assert vars(error) == vars(arrived)


def test_configuration_errors_are_value_errors() -> None:
    """Code that knows nothing of Handlebar can catch them; what went wrong is said and can be read."""
    error = ConfigError("enforce_mode", "enforced", "one of 'enforce', 'shadow', 'off'")
    assert isinstance(error, ValueError)
    assert "enforce_mode: 'enforced' is not allowed; expected one of 'enforce', 'shadow', 'off'" == str(error)
    assert ("enforce_mode", "enforced") == (error.field, error.value)


def test_a_policy_error_lists_every_problem() -> None:
    """One line each, and it is a configuration error of the field `policies`."""
    error = PolicyError(["one", "two"])
    assert isinstance(error, ConfigError)
    assert ("one\ntwo", ("one", "two"), "policies") == (str(error), error.problems, error.field)


class _Unshowable:
    def __repr__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("value", "shown"), [(_Unshowable(), "<_Unshowable>"), ("x" * 1000, "...")], ids=["fails", "long"]
)
def test_what_is_shown_of_a_value_is_brief(value: object, shown: str) -> None:
    """A repr that fails, or has no end, does not hide the error."""
    text = str(ConfigError("tools", value, "a list of tools"))
    assert shown in text
    assert len(text) < 200


def test_blocked_and_terminated_carry_the_decision() -> None:
    """The words are the decision's own."""
    for kind in (ToolBlockedError, RunTerminatedError):
        error = kind(FAILCLOSED_DECISION)
        assert FAILCLOSED_DECISION is error.decision
        assert "API unavailable; failing closed" == str(error)


def test_reasons_are_single_words_for_counters() -> None:
    """Each failure of a control plane has one."""
    assert "timeout" == UnreachableError("words", reason="timeout").reason
    assert "answer" == BadAnswerError("words").reason
    refused = RefusedError("words", status=429, retry_after=2.0)
    assert ("http_429", 429, 2.0) == (refused.reason, refused.status, refused.retry_after)
