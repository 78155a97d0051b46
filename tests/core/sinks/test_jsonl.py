"""The JSONL sink: events appended to a file."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from handlebar.core import create_jsonl_sink
from handlebar.core.sinks.queued import QueuedSink
from handlebar.errors import ConfigError
from tests.core.sinks.events import an_event, events
from tests.support.forks import in_child


def lines(file: Path) -> list[Any]:
    """Return what the lines of *file* hold."""
    return [json.loads(line) for line in file.read_text("utf-8").split("\n")[:-1]]


def write(sink: QueuedSink, count: int, start: int = 0) -> None:
    """Write events numbered from *start*, and wait."""
    sink.write_batch("agent-1", events(count, start))
    sink.drain()


def test_events_are_appended_one_a_line(tmp_path: Path) -> None:
    """Each with its agent's id; directories are made; what was there stays."""
    file = tmp_path / "deep" / "audit.jsonl"
    for start in (0, 60):
        sink = create_jsonl_sink(file)
        write(sink, 60, start)
        sink.close()
    assert [str(number) for number in range(120)] == [line["data"]["message"] for line in lines(file)]
    assert {"agent-1"} == {line["agentId"] for line in lines(file)}


def test_odd_text_breaks_no_line(tmp_path: Path) -> None:
    """Line ends, lone surrogates and quotes, in the event and in the agent's id."""
    file = tmp_path / "audit.jsonl"
    sink = create_jsonl_sink(str(file))
    sink.write_batch('a"\n', [an_event(1, 'x\r\n"\u2028\ud800')])
    sink.close()
    (line,) = lines(file)
    assert 'a"\n' == line["agentId"]
    assert line["data"]["message"].startswith('x\r\n"\u2028')


def test_a_file_that_is_moved_away_is_made_anew(tmp_path: Path) -> None:
    """As log rotation does it."""
    file = tmp_path / "audit.jsonl"
    sink = create_jsonl_sink(file)
    write(sink, 1)
    file.rename(tmp_path / "old.jsonl")
    write(sink, 1, 1)
    sink.close()
    assert ["0"] == [line["data"]["message"] for line in lines(tmp_path / "old.jsonl")]
    assert ["1"] == [line["data"]["message"] for line in lines(file)]


def test_a_place_that_cannot_be_written_to_and_then_can(tmp_path: Path) -> None:
    """Row 24: counted, told, and no restart is needed."""
    place = tmp_path / "place"
    place.write_text("in the way")
    sink = create_jsonl_sink(place / "audit.jsonl")
    write(sink, 3)
    assert ({"sink": 3}, 1) == (sink.stats().dropped, sink.stats().failed)
    assert "Error" in str(sink.stats().last_error)
    place.unlink()
    write(sink, 2, 3)
    sink.close()
    assert ["3", "4"] == [line["data"]["message"] for line in lines(place / "audit.jsonl")]


def test_a_full_disk(tmp_path: Path) -> None:
    """Row 24: a file that may not grow; the events are counted, and the process lives."""

    def child() -> str:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        sink = create_jsonl_sink(tmp_path / "audit.jsonl")
        write(sink, 3)
        sink.close()
        return str(dict(sink.stats().dropped))

    assert "{'sink': 3}" == in_child(child)


def test_processes_share_a_file(tmp_path: Path) -> None:
    """Rows 1 and 24: their lines do not mix, and none is lost or doubled."""
    file = tmp_path / "audit.jsonl"
    sink = create_jsonl_sink(file)
    sink.write_batch("agent-1", events(100))

    def child(start: int) -> str:
        sink.write_batch("agent-1", events(100, start))
        sink.close()
        return str(sink.stats().sent)

    assert ["100"] * 3 == [in_child(lambda start=start: child(start)) for start in (100, 200, 300)]
    sink.close()
    assert sorted(map(str, range(400))) == sorted(line["data"]["message"] for line in lines(file))


def test_nothing_stays_open(tmp_path: Path) -> None:
    """Row 22: each batch opens and closes the file."""
    sink = create_jsonl_sink(tmp_path / "audit.jsonl")
    write(sink, 1)
    held = [os.path.realpath(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")]
    assert str(tmp_path / "audit.jsonl") not in held
    sink.close()


def test_a_path_is_a_path() -> None:
    """Said when it is configured, not when it is used."""
    with pytest.raises(ConfigError, match="path"):
        create_jsonl_sink(5)  # type: ignore[arg-type]  # what is tested
