"""Commands about the audit trail."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from handlebar.control.audit import chained
from handlebar.core.plane import EncodedEvent
from tests.cli.terminal import COMMAND, Terminal, in_a_process
from tests.support.control import ROOT, a_desk, an_event, url_of


def tampered(file: Path, statement: str) -> None:
    """Do to the file what nobody should."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


def test_chains_that_are_intact(terminal: Terminal) -> None:
    """Without a run id all runs are checked, with one that run."""
    assert "Runs: 2, events: 10, broken chains: none.\n" == terminal.says("audit", "verify").out
    assert "Runs: 1, events: 2, broken chains: none.\n" == terminal.says("audit", "verify", "second-run").out
    first, second = terminal.document("audit", "verify")
    assert {"second-run", "the-run"} == {first["runId"], second["runId"]}
    assert ("desk", True, None) == (first["agent"], first["intact"], first["brokenAt"])


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE events SET body = replace(body, 'ALLOW', 'BLOCK') WHERE run_id = 'the-run' AND seq = 2", 1),
        ("DELETE FROM events WHERE run_id = 'the-run'", 0),
        ("DELETE FROM chains WHERE run_id = 'the-run'", 8),
    ],
)
def test_a_chain_that_is_broken(terminal: Terminal, statement: str, place: int) -> None:
    """What was changed in the database is found: the run and the place are named, and the exit code is 1."""
    tampered(terminal.file, statement)
    said = terminal.says("audit", "verify")
    assert 1 == said.code
    assert said.lines[0].startswith(f"The run the-run of desk is broken: its event {place} ")
    assert said.lines[1].endswith("broken chains: 1.")
    assert (1, 0) == (
        terminal.says("audit", "verify", "the-run").code,
        terminal.says("audit", "verify", "second-run").code,
    )
    as_json = terminal.says("audit", "verify", "the-run", "--json")
    ((report,), code) = (as_json.document, as_json.code)
    assert (1, False, place) == (code, report["intact"], report["brokenAt"])


def test_a_run_that_there_is_not(terminal: Terminal) -> None:
    """A run of which there is no trace is no run whose chain is intact."""
    for arguments in (["verify", "nonsense"], ["export", "--format", "csv", "--run", "nonsense"]):
        said = terminal.says("audit", *arguments)
        assert (1, "") == (said.code, said.out)
        assert "nonsense" in said.err
    assert 1 == terminal.says("audit", "verify", "the-run", "--tenant", "north").code


def test_jsonl_is_what_was_recorded(terminal: Terminal, tmp_path: Path) -> None:
    """Each line of JSONL is an event as it was recorded, so that anybody can compute the hashes again."""
    said = terminal.says("audit", "export", "--format", "jsonl")
    lines = said.out.split("\n")[:-1]
    assert 10 == len(lines)
    head = ""
    for line in lines[:8]:
        assert "the-run" == json.loads(line)["runId"]
        head = chained(head, line)
    with closing(sqlite3.connect(terminal.file)) as connection:
        assert [(head,)] == connection.execute("SELECT head FROM chains WHERE run_id = 'the-run'").fetchall()
    output = tmp_path / "out.jsonl"
    assert "" == terminal.says("audit", "export", "--format", "jsonl", "-o", str(output)).out
    assert said.out == output.read_text()


def test_one_run_is_exported(terminal: Terminal) -> None:
    """--run leaves the other runs out."""
    said = terminal.says("audit", "export", "--format", "jsonl", "--run", "second-run")
    assert ["run.started", "run.ended"] == [json.loads(line)["kind"] for line in said.lines]


def test_csv(terminal: Terminal) -> None:
    """CSV has a header, then each event in columns, with its body and its hash."""
    said = terminal.says("audit", "export", "--format", "csv")
    header, *rows = csv.reader(io.StringIO(said.out))
    assert ["time", "kind", "agent", "agent_id", "run_id", "event", "hash"] == header
    assert 10 == len(rows)
    assert ("run.started", "desk", "the-run") == (rows[0][1], rows[0][2], rows[0][4])
    assert "the-run" == json.loads(rows[0][5])["runId"]
    assert chained("", rows[0][5]) == rows[0][6]


def test_formulas_are_disarmed(tmp_path: Path) -> None:
    """A run id that a spreadsheet would take for a formula begins with an apostrophe in CSV."""
    terminal = Terminal(tmp_path / "plane.db")
    with a_desk(terminal.file) as desk:
        desk.tells("batch", an_event("=cmd()", "a\u2028b"), an_event("@sum", "b"))
    _, *rows = csv.reader(io.StringIO(terminal.says("audit", "export", "--format", "csv").out))
    assert ["'=cmd()", "'@sum"] == [row[4] for row in rows]


def test_an_empty_export(empty: Terminal) -> None:
    """A database without events gives no lines, and of CSV the header."""
    assert "" == empty.says("audit", "export", "--format", "jsonl").out
    assert 1 == len(empty.says("audit", "export", "--format", "csv").lines)


def test_what_export_refuses(terminal: Terminal, tmp_path: Path) -> None:
    """A format is needed; a file that cannot be written is 3, and one line says so."""
    assert 2 == terminal.says("audit", "export").code
    said = terminal.says("audit", "export", "--format", "csv", "-o", str(tmp_path / "no" / "file"))
    assert (3, 1) == (said.code, len(said.err.splitlines()))


def test_an_export_that_fails_leaves_the_old_one(terminal: Terminal, tmp_path: Path) -> None:
    """Where the database has nothing to give, the file is not touched."""
    output = tmp_path / "old.csv"
    output.write_text("what was exported before")
    terminal.says("audit", "export", "--format", "csv", "--run", "nonsense", "-o", str(output))
    assert "what was exported before" == output.read_text()


@pytest.fixture(name="large")
def _large(tmp_path: Path) -> Path:
    file = tmp_path / "large.db"
    with a_desk(file) as desk:
        desk.tells("batch", *[an_event("run", f"{number} é {'x' * 500}") for number in range(4000)])
    return file


def test_a_reader_that_goes_away(large: Path) -> None:
    """`… | head -1` ends the export without a word on stderr."""
    command = [*COMMAND, "audit", "export", "--format", "jsonl", "--database", url_of(large)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"said"')
        process.stdout.close()
        assert b"" == process.stderr.read()


def test_an_export_is_utf8(large: Path) -> None:
    """An export is UTF-8 whatever the terminal's encoding is."""
    with a_desk(large) as desk:
        desk.tells("other", EncodedEvent(run_id="other", kind="é", ts="", text='{"said": "é"}'))
    said = in_a_process("audit", "export", "--format", "jsonl", "--run", "other", "--database", url_of(large))
    assert '{"said": "é"}\n' == said.out
