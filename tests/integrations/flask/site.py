"""A Flask app for servers: `site:app`."""

# ruff: noqa: D103  # the names say what the views do

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, request, stream_with_context

import handlebar
from handlebar.integrations.flask import Handlebar

FIRST_CHUNK = "x" * 1024

app = Flask("site")
app.config.update(
    HANDLEBAR_AGENT_SLUG="desk",
    HANDLEBAR_API_KEY=os.environ.get("SITE_API_KEY", "the-key"),
    HANDLEBAR_ENDPOINT=os.environ["SITE_CONTROL_PLANE"],
)
hb = Handlebar(app)


@hb.actor_loader
def actor() -> str | None:
    return request.args.get("actor")


if "SITE_BEGINS" in os.environ:
    # What an application may do before the server forks: make itself known, and govern a run.
    print("threads after init:", len(os.listdir("/proc/self/task")), flush=True)  # noqa: T201  # for the log
    with app.app_context():
        hb.client.ready_sync()
        with hb.client.run("run-of-the-master"):
            pass


def _looks(run: handlebar.Run) -> list[bool]:
    same = []
    for _ in range(5):
        time.sleep(0.01)
        same.append(handlebar.get_current_run() is run)
    return same


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/work")
def work() -> dict[str, Any]:
    """Four events: started, decision, result, ended."""
    with hb.run() as run:
        decision = run.before_tool_sync("refund", {"mark": request.args.get("mark")})
        same = _looks(run)
        run.after_tool_sync("refund", {}, "done")
    who = run.actor.external_id if run.actor else None
    return {"run": run.run_id, "actor": who, "same": same, "pid": os.getpid(), "said": decision.message}


@app.get("/quick")
def quick() -> str:
    with hb.run():
        pass
    return "ok"


@app.get("/stats")
def stats() -> dict[str, Any]:
    return {"dropped": sum(hb.client.stats().events_dropped.values())}


@app.get("/slow")
def slow() -> str:
    hb.client.start_run_sync(handlebar.RunConfig("slow", run_ttl_ms=request.args.get("ttl_ms", type=float)))
    time.sleep(float(request.args.get("seconds", 6)))
    return "late"


@app.get("/failing/<int:status>")
def failing(status: int) -> tuple[str, int]:
    hb.client.start_run_sync(handlebar.RunConfig(f"failing-{status}"))
    if status == 0:
        raise ValueError("x")
    return "mine", status


@app.get("/current")
def current() -> dict[str, Any]:
    time.sleep(0.02)
    return {"run": str(handlebar.get_current_run()), "pid": os.getpid()}


@app.get("/stream/<name>")
def stream(name: str) -> Response:
    pause, failing = float(request.args.get("pause", 0)), "raise" in request.args
    chunks = int(request.args.get("chunks", 3))

    def body() -> Iterator[str]:
        yield FIRST_CHUNK
        with hb.run(name) as run:
            for _ in range(chunks):
                time.sleep(pause)
                yield f" {handlebar.get_current_run() is run}"
            if failing:
                raise ValueError("in the middle")

    return Response(stream_with_context(body()) if "context" in request.args else body())
