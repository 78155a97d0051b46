"""Checks of where audit events go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from handlebar.cli.checks.finding import Finding


def sink_findings(events: str | None) -> Iterator[Finding]:
    """Yield what is found of the file that a sink writes to."""
    if events is None:
        yield Finding("sinks", "skipped", "no --events file was named; events go to the control plane")
        return
    path = Path(events)
    target = path if path.exists() else path.absolute().parent
    if path.is_dir() or not os.access(target, os.W_OK):
        advice = "Name a file in a folder that the agent's user may write to."
        yield Finding("sinks", "bad", f"{events} cannot be written", advice)
    else:
        yield Finding("sinks", "good", f"{events} can be written")
