"""
A page in Flask, whose agent hands the slow part of its work to a Celery task; `policies.yaml` governs both.

    python examples/flask_celery [--port 8000] [--folder .]

    curl -X POST -H "X-Customer: ann" -H "X-Conversation-Id: c-1" localhost:8000/returns/A-17     # 202, and a task
    curl localhost:8000/returns/TASK                                                              # done, 40.00
    curl -X POST -H "X-Customer: ann" -H "X-Conversation-Id: c-2" localhost:8000/returns/A-18     # a person is asked
    handlebar approvals list --database sqlite:///handlebar.db
    handlebar approvals approve ID --database sqlite:///handlebar.db                              # the task goes on
    handlebar audit export --database sqlite:///handlebar.db                                      # one story each

It starts a worker of its own, and ends it when it is ended.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1]


def main() -> None:
    """Start a worker, and serve the page."""
    options = _options()
    os.environ["DESK_FOLDER"] = options.folder
    sys.path.insert(0, str(EXAMPLES))
    try:
        import celery  # noqa: F401  # only to say what is missing
        import flask  # noqa: F401
    except ImportError:
        sys.exit('Flask or Celery is not installed: pip install ".[flask,celery,embedded]"')
    import handlebar
    from flask_celery.page import app

    handlebar.install_signal_handlers()
    with _worker() as worker:
        try:
            app.run(port=options.port, threaded=True)
        finally:
            worker.terminate()


def _worker() -> subprocess.Popen[bytes]:
    places = os.pathsep.join([str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "celery", "-A", "flask_celery.desk", "worker", "-c", "2", "-l", "warning"]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": places})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A page whose agent hands the slow part of its work to a task.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--folder", default=".", help="where the databases and the messages are kept")
    return parser.parse_args()


if __name__ == "__main__":
    main()
