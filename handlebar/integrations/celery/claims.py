"""
Who tells that a run was interrupted: the pool process that is being ended, or the main process that ends it.

The two agree by a file. The run's id is chosen by the main process, which so knows it when the other one has gone.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

RUN_ID = "handlebar_run_id"

_FOLDER = "HANDLEBAR_CELERY_CLAIMS"
"""Names the folder of the files in the environment, so that children of every start method inherit it."""


def make_room() -> None:
    """Make the folder; it goes when this process ends."""
    folder = tempfile.mkdtemp(prefix="handlebar-celery-")
    os.environ[_FOLDER] = folder
    atexit.register(_remove, folder, os.getpid())


def allocated_id(request: Any) -> str | None:
    """Return the id that the main process has chosen for this execution's run; None where it chooses none."""
    return vars(request).get(RUN_ID) if _FOLDER in os.environ else None


def may_end(run_id: str) -> bool:
    """Whether it is for this process to tell that a run was interrupted; True once for each run."""
    folder = os.environ.get(_FOLDER)
    if folder is None:
        return True
    # The id of a resumed run may be any text.
    claim = Path(folder) / hashlib.sha256(run_id.encode()).hexdigest()
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:  # the folder has gone with the main process
        pass
    return True


def _remove(folder: str, process: int) -> None:
    # Children inherit exit handlers.
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
