"""The page: its agent looks the order up while the customer waits, and leaves the rest to a task."""

from __future__ import annotations

from celery.result import AsyncResult
from flask import Flask, request

from flask_celery import desk
from handlebar.integrations.flask import Handlebar

app = Flask("returns")
hb = Handlebar(app, client=desk.client, error_responses=True)


@hb.actor_loader
def customer() -> str | None:
    """Tell whom a request acts for; a page of your own asks its login."""
    return request.headers.get("X-Customer")


@hb.session_loader
def conversation() -> str | None:
    """Tell which conversation a request belongs to."""
    return request.headers.get("X-Conversation-Id")


@app.post("/returns/<order>")
def begin(order: str) -> tuple[dict[str, str], int]:
    """Begin a return."""
    with hb.run() as run:
        found = desk.look_up_order(order)
        task = desk.settle.delay(order, found["total"])
        return {"task": task.id, "run": run.run_id}, 202


@app.get("/returns/<task>")
def outcome(task: str) -> dict[str, object]:
    """Tell how a return stands."""
    result = AsyncResult(task, app=desk.celery)
    return {"state": result.state, "steps": result.result if result.successful() else [], "why": _why(result)}


def _why(result: AsyncResult) -> str | None:
    return str(result.result) if result.state in ("RETRY", "FAILURE") else None
