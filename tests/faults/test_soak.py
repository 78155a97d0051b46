"""Many runs through one client, ended and never ended: nothing grows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.soak import NAMES, client_of, settled, soak

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads /proc")

MOST_BYTES_A_RUN = 1_500
"""A run that is kept takes several thousand."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nothing_grows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 20: memory, threads and descriptors are after thousands of runs what they were after hundreds."""
    monkeypatch.setattr("handlebar.core.active_runs.MAX_ACTIVE", 100)
    with client_of(name, folder=tmp_path) as client:
        done = soak(client, runs=2_000, warm_up=800, settle=lambda: settled(client))
    assert 0 == done.unaccounted
    assert done.end.threads <= done.warm.threads + 1
    assert done.end.descriptors <= done.warm.descriptors + 2
    assert done.bytes_a_run < MOST_BYTES_A_RUN
