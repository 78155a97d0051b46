"""The `handlebar` command: the control plane from a terminal."""

from handlebar.cli.starting import main

__all__ = ["main"]
