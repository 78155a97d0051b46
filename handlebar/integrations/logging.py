"""A logging filter that puts the current run on every record."""

from __future__ import annotations

import logging

from handlebar.core.current import get_current_run

_NONE = "-"


class RunFilter(logging.Filter):
    """
    Adds `handlebar_run_id` and `handlebar_session_id` to records, `-` where there is none; lets all of them through.

    Add it to a handler, not to a logger, so that it sees the records of every logger:
    `%(asctime)s %(handlebar_run_id)s %(message)s` is then a format to use.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is current where the record is made."""
        run = get_current_run()
        record.handlebar_run_id = run.run_id if run else _NONE
        record.handlebar_session_id = (run.session_id if run else None) or _NONE
        return True
