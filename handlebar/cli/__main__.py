"""Runs the command as `python -m handlebar.cli`."""

from handlebar.cli import main

main()
