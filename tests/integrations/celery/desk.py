"""A Celery app for workers: `celery -A tests.integrations.celery.desk worker`."""

# ruff: noqa: D103  # the names say what the tasks do

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from celery import Celery, signals

import handlebar
from handlebar.core.client import HandlebarClient
from handlebar.core.config import HandlebarClientConfig
from handlebar.integrations.celery import governed_task, setup

app = Celery("desk", broker=os.environ["DESK_BROKER"], backend=os.environ["DESK_BROKER"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    # Celery kills a child that has not begun to work within four seconds, which a busy machine may take to start it.
    worker_proc_alive_timeout=60.0,
    worker_pool_start_method=os.environ.get("DESK_START_METHOD", "fork"),
    worker_redirect_stdouts=False,
)
client = HandlebarClient.init_sync(
    HandlebarClientConfig(
        agent="desk",
        api_key="the-key",
        api_endpoint=os.environ["DESK_CONTROL_PLANE"],
        poll_seconds=0,
        fail_closed=True,
    )
)
setup(app, client, signing_key=os.environ.get("DESK_KEY"))
# A worker forks after this.
print("threads after setup:", threading.active_count(), flush=True)  # noqa: T201  # for the log


@handlebar.tool(on_approval="raise")
def refund(order: str) -> str:
    return f"{order} refunded"


def told() -> dict[str, Any]:
    """Return what the code at hand knows of its run."""
    run = handlebar.get_current_run()
    if run is None:
        return {"run": None, "pid": os.getpid()}
    actor = run.actor.external_id if run.actor else None
    return {"run": run.run_id, "session": run.session_id, "actor": actor, "tags": dict(run.tags), "pid": os.getpid()}


@governed_task(app=app)
def look(*before: Any, seconds: float = 0.0) -> dict[str, Any]:
    began = told()
    time.sleep(seconds)
    return {**began, "same": told() == began}


@app.task
def look_only() -> dict[str, Any]:
    return told()


@app.task(handlebar=False)
def look_away() -> dict[str, Any]:
    return told()


@app.task
def open_one() -> dict[str, Any]:
    with client.run():
        return told()


@governed_task(app=app)
def hang() -> None:
    time.sleep(60)


@governed_task(app=app, acks_late=True)
def hang_late() -> None:
    time.sleep(60)


@governed_task(app=app, acks_late=True, reject_on_worker_lost=True)
def hang_at_first() -> dict[str, Any]:
    now = told()
    time.sleep(60 if now["tags"]["celery.redelivered"] == "false" else 0)
    return now


@governed_task(app=app, soft_time_limit=1)
def over_the_soft_limit() -> None:
    time.sleep(30)


@governed_task(app=app, time_limit=2)
def over_the_hard_limit() -> None:
    time.sleep(30)


@governed_task(app=app)
def leave() -> None:
    sys.exit(0)


@governed_task(app=app)
def fail() -> None:
    raise ValueError("on purpose")


@governed_task(app=app, bind=True, max_retries=5)
def twice_more(self: Any) -> dict[str, Any]:
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return told()


@governed_task(app=app, bind=True, autoretry_for=(ValueError,), retry_backoff=False, default_retry_delay=0)
def once_more(self: Any) -> dict[str, Any]:
    if self.request.retries < 1:
        raise ValueError("at first")
    return told()


@governed_task(app=app, bind=True)
def another_instead(self: Any) -> None:
    raise self.replace(look.si())


@governed_task(app=app, handlebar={"look_seconds": 1.0, "approval_seconds": 60.0})
def refund_order(order: str) -> dict[str, Any]:
    return {**told(), "said": refund(order)}


@governed_task(app=app, handlebar={"look_seconds": 0.5, "approval_seconds": 1.0})
def refund_in_a_hurry(order: str) -> str:
    return str(refund(order))


@signals.worker_ready.connect
def _ready(**more: Any) -> None:
    if "DESK_MAIN_EMITS" in os.environ:
        threading.Thread(target=_emit, daemon=True).start()


def _emit() -> None:
    while True:
        with client.run("main-" + os.urandom(4).hex()):
            pass
        time.sleep(0.05)
