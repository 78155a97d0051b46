"""The API itself: whatever an answering function does, there is one answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from handlebar.control.handoffs import api
from handlebar.control.handoffs.api import HandoffApi
from handlebar.control.handoffs.asking import Reply, Route
from handlebar.errors import ConfigError, RefusedError, UnreachableError
from tests.support.handoffs import Office, Somebody


class SoftTimeLimitExceeded(Exception):
    """What Celery throws into a task."""


def raises(error: Exception) -> Callable[[Any], Reply]:
    """Return a function that answers with *error*."""

    def answer(asked: Any) -> Reply:
        raise error

    return answer


ERRORS = {
    409: RefusedError("taken", status=409),
    422: ConfigError("name", "x", "another"),
    503: UnreachableError("busy: secret", reason="database"),
    500: KeyError("secret"),
}


@pytest.mark.sqlite
def test_errors_are_answers(office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Each in the one shape; what an unexpected one says is neither told nor logged."""
    routes = [Route("GET", str(status), "reader", raises(error)) for status, error in ERRORS.items()]
    monkeypatch.setattr(api, "ROUTES", routes)
    for status in ERRORS:
        answer = office.somebody().asks("GET", str(status))
        assert (status, ["detail"]) == (answer.status, list(json.loads(answer.body)))
        assert b"secret" not in answer.body
    assert "secret" not in caplog.text


@pytest.mark.sqlite
def test_what_is_thrown_in_from_outside_goes_through(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is meant for the task that the caller is in."""
    monkeypatch.setattr(api, "ROUTES", [Route("GET", "x", "reader", raises(SoftTimeLimitExceeded()))])
    with pytest.raises(SoftTimeLimitExceeded):
        office.somebody().asks("GET", "x")


@pytest.mark.sqlite
def test_who_delivers_is_told_of_changes(office: Office) -> None:
    """After each that was made; not of what was only read, or refused."""
    heard: list[str] = []
    somebody = Somebody(HandoffApi(office.database, on_change=lambda: heard.append("!")), office.somebody().key)
    somebody.finds()
    somebody.refused("POST", "packets", {})
    assert [] == heard
    somebody.makes()
    assert ["!"] == heard
