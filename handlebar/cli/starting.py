"""The first step of the command, which needs nothing but Python."""

from __future__ import annotations

import io
import sys

CANNOT_BE_USED = 3
"""The exit code where something that the command needs is not there."""


def main() -> None:
    """Run the command with the arguments of this process, and exit."""
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding has no character for is shown as an escape.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        from handlebar.cli.application import application
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write('Error: the command needs packages of its own: pip install "handlebar[cli]"\n')
        sys.exit(CANNOT_BE_USED)
    application(prog_name="handlebar")
