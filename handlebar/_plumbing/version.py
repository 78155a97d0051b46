"""The installed version of this package."""

from __future__ import annotations

from functools import cache


@cache
def version() -> str:
    """Return the version that is installed; `unknown` where the code runs without having been installed."""
    # Slow to import, and wanted by the first request only.
    from importlib import metadata

    try:
        return metadata.version("handlebar")
    except metadata.PackageNotFoundError:
        return "unknown"
