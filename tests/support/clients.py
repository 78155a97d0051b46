"""Clients on a scripted control plane."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from handlebar.core import connection
from handlebar.core.client import HandlebarClient
from handlebar.core.config import HandlebarClientConfig
from handlebar.core.plane import ControlPlane

made: list[HandlebarClient] = []
"""Every client that a test has made here; each test's end shuts them down."""


def client_on(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, **config: Any) -> HandlebarClient:
    """Return a client whose control plane is *plane*, made the way every client is made."""
    monkeypatch.setattr(connection, "open_plane", lambda config, endpoint: plane)
    fields = {"agent": "desk", "api_endpoint": "https://localhost", "api_key": "key", **config}
    client = HandlebarClient.init_sync(HandlebarClientConfig(**fields))
    made.append(client)
    return client


def of_unended_runs(line: str) -> bool:
    """Whether *line* only tells that a script has left runs open, as those that end abruptly do."""
    return "run(s) had not ended when their client closed" in line


def errors_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a script printed to stderr, but for that line."""
    return "".join(line for line in done.stderr.splitlines(keepends=True) if not of_unended_runs(line))
