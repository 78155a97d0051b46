"""
A support page in Django, whose agent refunds orders as far as `django_support.yaml` allows.

    python examples/django_support.py [--port 8000] [--folder .]

    curl -c jar -d "username=ann&password=ann" localhost:8000/login
    curl -b jar localhost:8000/orders/A-17
    curl -b jar -X POST localhost:8000/orders/A-17/refund         # 40: done
    curl -b jar -X POST localhost:8000/orders/A-18/refund         # 250: a person is asked, 202
    handlebar approvals approve ID --database sqlite:///handlebar.db
    curl -b jar -c jar -X POST localhost:8000/approvals/ID        # done
    curl -b jar -X POST localhost:8000/orders/A-19/refund         # 900: blocked, 403

Keep the cookies of each answer (`-b jar -c jar`): who waits for a person's answer is remembered in the session.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the database and the customer `ann`, and serve."""
    options = _options(arguments)
    os.environ["SUPPORT_FOLDER"] = options.folder
    os.environ["DJANGO_SETTINGS_MODULE"] = "django_support_parts.settings"  # whatever project the shell is set up for
    try:
        import django
    except ImportError:
        sys.exit('Django is not installed: pip install ".[django,embedded]"')
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    _make_ann()
    call_command("runserver", f"127.0.0.1:{options.port}", use_reloader=False)


def _make_ann() -> None:
    from django.contrib.auth.models import User  # only after django.setup()

    if not User.objects.filter(username="ann").exists():
        User.objects.create_user("ann", password="ann")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A support page whose agent is governed by django_support.yaml.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--folder", default=".", help="where the databases are kept")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
