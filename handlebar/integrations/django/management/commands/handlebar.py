"""The command `manage.py handlebar`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from handlebar.integrations.django.configuration import get_client
from handlebar.integrations.serving import checking

_ACTIONS = {"check": checking.check, "send-test": checking.send_test}


class Command(BaseCommand):
    """Tells whether the control plane can be reached, and whether events arrive there."""

    help = "Ask Handlebar's control plane whether it is there (check), or send it a run that does nothing (send-test)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to do, and how to tell."""
        parser.add_argument("action", choices=sorted(_ACTIONS))
        parser.add_argument("--json", action="store_true", help="For programs.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; exit with 1 where something is not as it should be."""
        report = _ACTIONS[options["action"]](get_client())
        self.stdout.write(report.text(as_json=options["json"]))
        if not report.is_good:
            sys.exit(1)
