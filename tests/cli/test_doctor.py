"""The command that finds out what keeps an agent from being governed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from handlebar.cli.application import application
from tests.support.control import url_of
from tests.support.servers import a_key, servers


def doctor(*arguments: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """Run the command; return its exit code, and what it has found by what it has looked at."""
    result = CliRunner().invoke(application, ["doctor", "--json", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    found: dict[str, list[tuple[str, str]]] = {}
    for each in json.loads(result.stdout):
        assert each["advice"] or each["state"] in ("good", "skipped")
        found.setdefault(each["about"], []).append((each["state"], each["what"]))
    return result.exit_code, found


def test_an_embedded_plane(file: Path) -> None:
    """A database that is up to date is good, and nothing is bad."""
    code, found = doctor("--endpoint", url_of(file))
    assert (0, "good") == (code, found["database"][-1][0])


@pytest.mark.parametrize("url", ["nonsense://x", "sqlite:////no/such/folder/at.db"])
def test_a_database_that_cannot_be_used(url: str) -> None:
    """A URL that is none, and a folder that there is not, are bad."""
    code, found = doctor("--endpoint", url)
    assert (1, "bad") == (code, found["database"][0][0])


def test_no_database(tmp_path: Path) -> None:
    """A file that no text is, is no database."""
    file = tmp_path / "plane.db"
    file.write_text("no database" * 1000)
    code, found = doctor("--endpoint", url_of(file))
    assert (1, "bad") == (code, found["database"][-1][0])
    assert "no database" * 1000 == file.read_text()


def test_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers is good, with a key it accepts; a clock that agrees is good."""
    with servers(1, tmp_path / "plane.db") as (served,):
        monkeypatch.setenv("HANDLEBAR_API_KEY", a_key(served.file, role="agent").secret)
        code, found = doctor("--endpoint", served.url)
        assert (0, ["good"] * 3) == (code, [found[about][-1][0] for about in ("endpoint", "key", "clock")])
        monkeypatch.setenv("HANDLEBAR_API_KEY", "hb_nonsense")
        code, found = doctor("--endpoint", served.url)
        assert (1, "bad") == (code, found["key"][0][0])
        monkeypatch.delenv("HANDLEBAR_API_KEY")
        assert "HANDLEBAR_API_KEY is not set" == doctor("--endpoint", served.url)[1]["key"][0][1]


def test_a_server_that_is_not_there() -> None:
    """Where nobody answers that is said, and no key is checked."""
    code, found = doctor("--endpoint", "http://127.0.0.1:9", "--timeout", "1")
    assert (1, "bad") == (code, found["endpoint"][-1][0])
    assert "key" not in found


@pytest.mark.parametrize(
    ("settings", "states"),
    [
        ("enable-threads = true\nprocesses = 4\nlazy-apps = true", ["good", "good"]),
        ("threads = 2\nworkers = %k\npy-call-uwsgi-fork-hooks = 1", ["good", "good"]),
        ("processes = 4", ["doubtful", "doubtful"]),
        ("enable-threads = false", ["bad", "good"]),
        ("master\nmodule = a\nmodule = b\nenable-threads", ["good", "good"]),
    ],
)
def test_uwsgi(file: Path, tmp_path: Path, settings: str, states: list[str]) -> None:
    """Threads that are switched off are bad; what depends on the version of uWSGI is doubtful."""
    ini = tmp_path / "uwsgi.ini"
    ini.write_text(f"[uwsgi]\n{settings}\n")
    code, found = doctor("--endpoint", url_of(file), "--uwsgi", str(ini))
    assert (int("bad" in states), states) == (code, [state for state, _ in found["uwsgi"]])


def test_no_settings_of_uwsgi(file: Path, tmp_path: Path) -> None:
    """A file without a section for uWSGI is not the file that was meant."""
    ini = tmp_path / "uwsgi.ini"
    ini.write_text("nothing")
    assert 1 == doctor("--endpoint", url_of(file), "--uwsgi", str(ini))[0]


def test_sinks(file: Path, tmp_path: Path) -> None:
    """A file that can be written is good, a folder in its place is bad."""
    assert "good" == doctor("--endpoint", url_of(file), "--events", str(tmp_path / "e.jsonl"))[1]["sinks"][0][0]
    assert "bad" == doctor("--endpoint", url_of(file), "--events", str(tmp_path))[1]["sinks"][0][0]


def test_for_people(file: Path) -> None:
    """Without --json each finding is a line, and what to do stands below it."""
    said = CliRunner().invoke(application, ["doctor", "--endpoint", url_of(file)])
    assert 0 == said.exit_code
    assert "ok   database: it answers" in said.stdout
