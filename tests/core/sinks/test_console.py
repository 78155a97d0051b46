"""The console sink: events on the standard output."""

from __future__ import annotations

import json

import pytest

from handlebar.core import create_console_sink
from handlebar.errors import ConfigError
from tests.core.sinks.events import an_event, events


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """In order; what is in a message breaks no line."""
    sink = create_console_sink()
    sink.write_batch("agent-1", [*events(2), an_event(2, "a\nb\u2028c")])
    sink.close()
    lines = capsys.readouterr().out.split("\n")
    assert ["0", "1", "a\nb\u2028c"] == [json.loads(line)["data"]["message"] for line in lines[:-1]]
    assert "" == lines[-1]


def test_pretty_shows_control_characters_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    """Untrusted text neither breaks the line nor steers the terminal."""
    sink = create_console_sink("pretty")
    sink.write_batch("agent-1", [an_event(1, "red \x1b[31m\r\n\x07")])
    sink.close()
    out = capsys.readouterr().out
    assert 1 == out.count("\n")
    assert out.rstrip("\n").isprintable()
    assert r"red \x1b[31m\r\n\x07" in out


def test_an_output_that_is_closed_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 21: the agent goes on where nobody reads, and where there is no output."""
    sink = create_console_sink()
    monkeypatch.setattr("sys.stdout", None)
    sink.write_batch("agent-1", events(2))
    sink.close()
    assert {"sink": 2} == sink.stats().dropped


def test_the_format_is_one_of_two() -> None:
    """Said when it is configured, not when it is used."""
    with pytest.raises(ConfigError, match="format"):
        create_console_sink("yaml")  # type: ignore[arg-type]  # what is tested
