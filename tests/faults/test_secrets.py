"""Keys and content are in no log, no repr, no error and no metric, whatever goes wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import handlebar
from handlebar.core import AgentMetricHook, LLMMessage, LLMResponse, SubjectRegistry
from handlebar.core.client import HandlebarClient
from handlebar.errors import HandlebarError
from handlebar.handoff import HandoffRailClient, HandoffRailError
from tests.cli.terminal import in_a_process
from tests.faults.conftest import MakeClient
from tests.handoff.packets import packet
from tests.server.dashboard.browser import Person
from tests.support.control import a_policy, a_rule
from tests.support.http_server import Answer, EmptyAnswer, Html, HttpServer, ResetBefore, ResetInAnswer
from tests.support.servers import Caller, Place, a_place

KEY = "hb-canary-key"
PASSWORD = "canary-pass/word@with"
CONTENT = {
    "argument": "canary-argument",
    "result": "canary-result",
    "message": "canary-message",
    "answer": "canary-answer",
    "actor": "canary-actor",
    "context": "canary-context",
}


@pytest.fixture(name="told")
def _told(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Return what all loggers have said, those of libraries too, with the tracebacks that they print."""
    formatter = logging.Formatter("%(message)s")
    with caplog.at_level("DEBUG"):
        yield lambda: "\n".join(map(formatter.format, caplog.records))


def canaries_in(text: str) -> list[str]:
    """Return which secrets *text* holds."""
    return [canary for canary in (KEY, PASSWORD, *CONTENT.values()) if canary in text]


def echo(connection: Any) -> None:
    """Answer with what was sent, as careless proxies do."""
    request = connection.request
    Answer(400, {"error": {"message": f"{request.headers} {request.body!r}"}})(connection)


FAULTS = {
    "none": None,
    "400": Answer(400, {"error": {"message": "No"}}),
    "401": Answer(401),
    "403": Html(403),
    "404": Answer(404),
    "413": Answer(413),
    "500": Answer(500),
    "echo": echo,
    "garbage": Answer(200, b"\x00{"),
    "no answer": EmptyAnswer(),
    "reset": ResetBefore(),
    "half": ResetInAnswer(),
}


def lead_a_life(client: HandlebarClient) -> list[object]:
    """Do with *client* all that holds content; return what a debugger would show."""
    actor, context = CONTENT["actor"], {"note": CONTENT["context"]}
    with client.run("run-1", actor=actor, context=context) as run:
        run.before_llm_sync([LLMMessage("user", CONTENT["message"])])
        response = run.after_llm_sync(LLMResponse(CONTENT["answer"], "a-model"))  # type: ignore[arg-type]  # converted
        decision = run.before_tool_sync("refund", {"order": CONTENT["argument"]})
        run.after_tool_sync("refund", {"order": CONTENT["argument"]}, CONTENT["result"], error=ValueError("no"))
        shown = [run, run.decisions, run.get_history(), response, decision, LLMMessage("user", CONTENT["message"])]
    client.shutdown_sync()
    return [*shown, client, client.config, client.stats(), client.lockdowns]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_client(server: HttpServer, a_client: MakeClient, told: Callable[[], str], fault: Any) -> None:
    """Row 25: in logs and reprs, on success and on every failure."""
    if fault is not None:
        server.behave(fault)
    shown = lead_a_life(a_client(api_key=KEY, decision_timeout=2.0))
    assert [] == canaries_in(told())
    assert [] == canaries_in(repr(shown))


def test_a_client_whose_functions_and_parts_fail(
    a_client: MakeClient, told: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 25: an exception that holds what the function was told is logged without its words."""

    def fail(*about: Any, **more: Any) -> Any:
        raise ValueError(CONTENT["argument"], about, more)

    subjects = SubjectRegistry()
    subjects.register("refund", fail)
    hook = AgentMetricHook("amount", "tool.before", fail)
    client = a_client(api_key=KEY, metric_hooks=[hook], subject_registry=subjects, redactors=[fail])
    client.ready_sync()
    for name in ("evaluate", "start_run", "end_run", "record"):
        monkeypatch.setattr(client._connection._plane, name, fail, raising=False)  # type: ignore[attr-defined]  # connected
    shown = lead_a_life(client)
    assert [] == canaries_in(told())
    assert [] == canaries_in(repr(shown))


@pytest.mark.parametrize("scheme", ["mysql", "postgresql", "https", "nonsense"])
def test_an_endpoint_with_a_password(scheme: str, told: Callable[[], str]) -> None:
    """Row 25: neither the error nor its traceback shows it."""
    url = f"{scheme}://admin:{PASSWORD}@127.0.0.1:1/plane"
    said = ""
    try:
        client = handlebar.init("desk", api_endpoint=url, api_key=KEY, decision_timeout=1.0, poll_seconds=0)
        with client.run() as run:
            run.before_tool_sync("refund", {})
        client.shutdown_sync()
    except HandlebarError as error:
        said = f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"
    assert [] == canaries_in(said)
    assert [] == canaries_in(told())


@pytest.mark.parametrize("scheme", ["mysql", "postgresql+psycopg", "sqlite"])
def test_the_command_line(scheme: str) -> None:
    """Row 25: what cannot be opened is told of without its password."""
    url = f"{scheme}://admin:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@127.0.0.1:1/plane"
    said = in_a_process("runs", "list", "--database", url)
    assert said.code in (2, 3)
    assert "canary" not in said.out + said.err


@pytest.mark.parametrize("fault", [*FAULTS.values()][1:], ids=[*FAULTS][1:])
def test_a_hand_off_client(server: HttpServer, told: Callable[[], str], fault: Any) -> None:
    """Row 25: an error says what to do, and holds neither key nor packet."""
    server.behave(fault)
    with HandoffRailClient(f"{server.url}/api/v1", KEY, timeout=2, retry_delay=0.01, max_retries=0) as client:
        with pytest.raises(HandoffRailError) as caught:
            client.create_packet(packet())
        said = f"{caught.value!r} {caught.value}"
        # What an answer said is the server's to hide.
        assert fault is echo or KEY not in said
        assert KEY not in repr(client) + told()


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Iterator[Place]:
    asks = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "wire"}, "hitl"))
    with a_place(tmp_path / "plane.db", asks) as place:
        yield place


def test_a_server(place: Place, told: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 25: neither error bodies, nor logs, nor `/metrics`, on bad requests and on failures of its own."""
    admin, said = place.caller(), []
    agent = admin.registers("desk")
    tool = {"name": "wire", "tags": []}
    question = {"phase": "tool.before", "agentId": agent, "tool": tool, "args": {"to": CONTENT["argument"]}}
    question["actor"] = {"externalId": CONTENT["actor"]}
    admin.does("POST", "/v1/runs/run/evaluate", question)
    stranger = Caller(place.app, KEY)
    said.append(stranger.call("POST", "/v1/runs/run/evaluate", question).text)
    for wrong in (CONTENT["argument"], {CONTENT["argument"]: 1}, [CONTENT["argument"]]):
        for name in ("phase", "tool", "actor", "tags", "metrics", "subjects"):
            said.append(admin.call("POST", "/v1/runs/run/evaluate", {**question, name: wrong}).text)
    said.append(admin.call("POST", "/v1/runs/run/evaluate", json.dumps(question).encode()[:-1]).text)

    def fail(*about: Any, **more: Any) -> Any:
        raise RuntimeError(CONTENT["argument"], about, more)

    monkeypatch.setattr("handlebar.control.service.EmbeddedControlPlane.evaluate", fail)
    answer = admin.call("POST", "/v1/runs/run/evaluate", question)
    assert 500 == answer.status_code
    metrics = place.app.test_client().get("/metrics").text
    assert "handlebar_requests" in metrics
    said = [text for text in [*said, answer.text, metrics, told()] if canaries_in(text) or admin.secret in text]
    assert [] == said


def test_a_dashboard(place: Place, told: Callable[[], str]) -> None:
    """Row 25: a wrong key is not shown again, a right one only when it is made."""
    person = Person(place.app.test_client())
    answer = person.logs_in(KEY)
    assert KEY not in answer.text + str(answer.headers)
    secret = place.key("admin").secret
    answer = person.logs_in(secret)
    pages = [person.sees(path) for path in ("/", "/keys", "/webhooks", "/agents", "/runs")]
    assert secret not in "".join(pages) + str(answer.headers) + told()


def test_a_webhooks_secret(place: Place, told: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 25: whoever lists webhooks, or makes one badly, does not see it."""
    monkeypatch.setenv("HANDLEBAR_WEBHOOK_ALLOW", "127.0.0.1/32")
    secret = "canary-webhook-secret"
    headers = {"x-api-key": place.key().secret}
    body = {"url": "http://127.0.0.1:9/x", "secret": secret, "events": ["packet.created"]}
    client = place.app.test_client()
    made = client.post("/api/v1/hooks", json=body, headers=headers)
    assert 201 == made.status_code, made.text
    listed = client.get("/api/v1/hooks", headers=headers)
    short = client.post("/api/v1/hooks", json={**body, "secret": secret[:8]}, headers=headers)
    assert 422 == short.status_code
    said = made.text + listed.text + short.text + told()
    assert secret not in said
    assert "canary-w" not in short.text
