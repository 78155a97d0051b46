"""One run as a timeline: its events, in order, each as people read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class Entry:
    """
    An event of a run.

    Attributes:
        at: When it happened; None where its agent wrote no time.

        kind: Of the event, e.g. `tool.decision`.

        title: What happened, in a few words.

        data: The event's own part; untrusted.

        duration_ms: How long it took, where that is known.

        share: Where it lies within the run: beginning and length, in hundredths.
    """

    at: datetime | None
    kind: str
    title: str
    data: Mapping[str, Any]
    duration_ms: float | None = None
    share: tuple[float, float] = (0.0, 0.0)

    @property
    def verdict(self) -> str | None:
        """ALLOW or BLOCK, of a decision."""
        return _text(self.data.get("verdict")) or None


def entries(events: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """Return the entries of a run's *events*."""
    plain = [_entry(event) for event in events]
    times = [each.at for each in plain if each.at is not None]
    if not times:
        return plain
    first, length = min(times), max((max(times) - min(times)).total_seconds() * 1000, 1.0)
    return [_placed(each, first, length) for each in plain]


def _entry(event: Mapping[str, Any]) -> Entry:
    data = event.get("data")
    data = data if isinstance(data, dict) else {}
    kind = _text(event.get("kind")) or "event"
    took = data.get("durationMs")
    return Entry(
        at=_moment(event.get("ts")),
        kind=kind,
        title=_title(kind, data),
        data=data,
        duration_ms=float(took) if isinstance(took, (int, float)) and 0 <= took < 1e12 else None,
    )


def _placed(entry: Entry, first: datetime, length: float) -> Entry:
    if entry.at is None or entry.duration_ms is None:
        return entry
    end = (entry.at - first).total_seconds() * 1000
    begin = max(0.0, end - entry.duration_ms)
    share = (100 * begin / length, max(0.5, 100 * min(entry.duration_ms, length) / length))
    return Entry(
        at=entry.at, kind=entry.kind, title=entry.title, data=entry.data, duration_ms=entry.duration_ms, share=share
    )


def _title(kind: str, data: Mapping[str, Any]) -> str:
    tool = data.get("tool")
    name = _text(tool.get("name")) if isinstance(tool, dict) else ""
    titles = {
        "run.started": "The run started",
        "run.ended": f"The run ended: {_text(data.get('status'))}",
        "message.raw.created": f"Message of the {_text(data.get('role'))}",
        "tool.decision": f"May {name} run?",
        "tool.result": f"{name}: {_text(data.get('outcome'))}",
        "llm.result": "The model answered",
        "error": "Something failed",
    }
    return titles.get(kind, kind)


def _moment(ts: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_text(ts).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
