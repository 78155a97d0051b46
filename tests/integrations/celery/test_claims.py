"""Who tells that a run was interrupted."""

from __future__ import annotations

import pytest
from attrs import define

from handlebar.integrations.celery import claims

FOLDER = "HANDLEBAR_CELERY_CLAIMS"


@define(slots=False)
class Request:
    """Celery's context of an execution, as far as it matters."""

    handlebar_run_id: str = "r-1"


def test_one_of_two_tells(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first who asks may end a run, and nobody after; whatever its id looks like."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert [True, False, True] == [claims.may_end(run) for run in ("r/../1", "r/../1", "r-2")]


def test_without_a_main_process(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody else could tell, or the main process has gone, a process ends its own runs."""
    monkeypatch.delenv(FOLDER, raising=False)
    assert [True, True] == [claims.may_end("r-1"), claims.may_end("r-1")]
    monkeypatch.setenv(FOLDER, f"{tmp_path}/gone")
    assert claims.may_end("r-1")


def test_ids_are_taken_from_a_main_process_only(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no main process has chosen one, the id in a message is the publisher's word, and nobody's run."""
    monkeypatch.delenv(FOLDER, raising=False)
    assert claims.allocated_id(Request()) is None
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert "r-1" == claims.allocated_id(Request())
