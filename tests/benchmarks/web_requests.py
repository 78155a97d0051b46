"""What a request to a Flask app pays, by what its view does."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from handlebar.core import Sink
from handlebar.integrations.flask import Handlebar
from tests.benchmarks.fixed_server import fixed_server
from tests.benchmarks.tables import Table, compared
from tests.benchmarks.timing import Arm, arm, medians
from tests.support.control import a_policy, a_rule

_RULE = a_rule({"kind": "toolArg", "type": "number", "path": "amount", "op": "gt", "value": 500}, tool="refund")
_ENVIRON = EnvironBuilder("/").get_environ()


class _Nowhere(Sink):
    def write_batch(self, agent_id: str, events: object) -> None:
        """Take them."""


def report() -> list[Table]:
    """Measure, and return the table."""
    with ExitStack() as stack:
        embedded = {"endpoint": "sqlite://", "policies": [a_policy(_RULE)]}
        http = {"endpoint": f"http://127.0.0.1:{stack.enter_context(fixed_server())}", "api_key": "key"}
        arms = {
            "Flask alone": _requests(Flask("alone"), _nothing),
            "governed, no agent code": _governed(stack, _nothing, **embedded),
            "a run, no decision; in process": _governed(stack, _run, **embedded),
            "a run, one decision; in process": _governed(stack, _decision, **embedded),
            "a run, no decision; over HTTP": _governed(stack, _run, **http),
            "a run, one decision; over HTTP": _governed(stack, _decision, **http),
        }
        figures = medians(arms, calls=300)
    return [compared("One request to a Flask app", figures, base="Flask alone")]


def _governed(stack: ExitStack, view: Any, **settings: Any) -> Arm:
    app = Flask("governed")
    hb = Handlebar(app, agent_slug="bench", options={"sinks": [_Nowhere()], "poll_seconds": 0}, **settings)
    with app.app_context():
        client = hb.client
    stack.callback(client.shutdown_sync)
    return _requests(app, lambda: view(hb))


def _nothing(hb: Handlebar | None = None) -> str:
    return "ok"


def _run(hb: Handlebar) -> str:
    with hb.run():
        return "ok"


def _decision(hb: Handlebar) -> str:
    with hb.run() as run:
        return run.before_tool_sync("refund", {"order": "A-17", "amount": 40.0}).verdict.value


def _requests(app: Flask, view: Any) -> Arm:
    app.add_url_rule("/", "view", view)

    def call() -> None:
        # As a server does, with nothing of one around it.
        answer = app.wsgi_app(dict(_ENVIRON), lambda *head: None)
        with closing(answer):  # type: ignore[type-var]  # what Flask returns can be closed
            assert b"".join(answer) in (b"ok", b"ALLOW")

    return arm(call)
