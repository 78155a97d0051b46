"""The control plane over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from handlebar._plumbing.circuit import TIMEOUT_WEIGHT, Circuit
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.http_lines import Request, Response
from handlebar._plumbing.retry import RetryPolicy, parse_retry_after
from handlebar._plumbing.transport import Transport
from handlebar.core import poll_answers, wire
from handlebar.core.plane import (
    AgentStatus,
    ApprovalStatus,
    EncodedEvent,
    EvaluateRequest,
    Grants,
    Lockdown,
    PolicySnapshot,
    Presence,
    RunEndStatus,
    StartRequest,
)
from handlebar.core.schema.agents import AgentDescriptor, Tool
from handlebar.core.schema.governance import Decision
from handlebar.errors import ConfigError, RefusedError, UnreachableError

ONCE = RetryPolicy(retries=0, base=0.0, cap=0.0)
_NOT_MODIFIED = 304
PERSISTENT = RetryPolicy(retries=3, base=0.2, cap=5.0)
"""How evaluate and end are retried, on network errors and 5xx."""


class HttpControlPlane:
    """
    Implements `ControlPlane` over HTTP; lives as long as its client.

    Thread-safe and fork-safe. What an agent's thread waits for goes through a circuit breaker: while the other
    side is dead, calls fail at once, but for one at a time that looks whether it is back.

    Args:
        endpoint: The base URL.

        api_key: Sent as the bearer token.

        connect_timeout: Seconds to wait for a connection.

        read_timeout: Seconds to wait for each piece of an answer.

        session: A `requests.Session` whose settings are used.

    Raises:
        ConfigError: No header can carry the *api_key*.
    """

    def __init__(
        self, endpoint: str, api_key: str, *, connect_timeout: float, read_timeout: float, session: Any = None
    ) -> None:
        self._transport = Transport(
            endpoint.rstrip("/"),
            {"authorization": f"Bearer {_checked(api_key)}", "content-type": "application/json"},
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            session=session,
        )
        self._circuit: PerProcess[Circuit] = PerProcess(Circuit)

    def register_agent(self, agent: AgentDescriptor, tools: Sequence[Tool], *, budget: float) -> str:
        """Register, as `ControlPlane` says."""
        request = _request("POST", "/v1/agents", wire.encode_agent(agent, tools))
        return wire.decode_agent_id(self._make(request, Deadline.after(budget)))

    def register_tools(self, agent_id: str, tools: Sequence[Tool], *, budget: float) -> None:
        """Register tools, as `ControlPlane` says."""
        path = f"/v1/agents/{_in_path(agent_id)}/tools"
        self._make(_request("PUT", path, wire.encode_tools(tools)), Deadline.after(budget))

    def start_run(self, request: StartRequest, *, budget: float) -> Lockdown:
        """Start, as `ControlPlane` says."""
        path = f"/v1/runs/{_in_path(request.run_id)}/start"
        return wire.decode_lockdown(self._ask(_request("POST", path, wire.encode_start(request)), ONCE, budget))

    def evaluate(self, request: EvaluateRequest, *, budget: float) -> Decision:
        """Ask for a decision, as `ControlPlane` says."""
        path = f"/v1/runs/{_in_path(request.run_id)}/evaluate"
        question = _request("POST", path, wire.encode_evaluate(request))
        return wire.decode_decision(self._ask(question, PERSISTENT, budget))

    def policy_snapshot(self, agent_id: str, known: str | None, *, budget: float) -> PolicySnapshot | None:
        """
        Return what is in force for an agent; None where that is the version that is *known*. One attempt.

        Raises:
            ControlPlaneError: It cannot be had.
        """
        headers = {"if-none-match": f'"{known}"'} if known else {}
        request = Request("GET", f"/v1/agents/{_in_path(agent_id)}/policies", b"", headers)
        try:
            return wire.decode_snapshot(self._ask(request, ONCE, budget))
        except RefusedError as error:
            if error.status == _NOT_MODIFIED:
                return None
            raise

    def approval_status(self, approval_id: str, *, budget: float) -> ApprovalStatus:
        """Tell, as `ControlPlane` says."""
        request = _request("GET", f"/v1/approvals/{_in_path(approval_id)}", "")
        return wire.decode_approval_status(self._ask(request, ONCE, budget))

    def agent_status(self, agent_id: str, presence: Presence | None, *, budget: float) -> AgentStatus:
        """Tell, as `ControlPlane` says; past the circuit, which is for what agents wait for."""
        path = f"/v1/agents/{_in_path(agent_id)}/status{_query(_told(presence))}"
        return poll_answers.decode_status(self._make(_request("GET", path, ""), Deadline.after(budget)))

    def budgets(self, agent_id: str, actors: Sequence[str], *, budget: float) -> Grants:
        """Tell, as `ControlPlane` says; past the circuit too."""
        path = f"/v1/agents/{_in_path(agent_id)}/metrics/budget{_query([('actor', each) for each in actors])}"
        return poll_answers.decode_budgets(self._make(_request("GET", path, ""), Deadline.after(budget)))

    def record(self, agent_id: str, batch_id: str, events: Sequence[EncodedEvent], *, budget: float) -> None:
        """Record, as `ControlPlane` says."""
        body = wire.encode_batch(agent_id, events).encode()
        request = Request("POST", "/v1/runs/events", body, {"x-handlebar-batch-id": batch_id})
        self._make(request, Deadline.after(budget))

    def end_run(self, agent_id: str, run_id: str, status: RunEndStatus, *, budget: float) -> None:
        """End, as `ControlPlane` says."""
        path = f"/v1/runs/{_in_path(run_id)}/end"
        self._ask(_request("POST", path, wire.encode_end(agent_id, status)), PERSISTENT, budget)

    def close(self) -> None:
        """Close this process's connections."""
        self._transport.close()

    def _ask(self, request: Request, retry: RetryPolicy, budget: float) -> bytes:
        """Make a request that an agent waits for: through the circuit, retried while there is time."""
        deadline = Deadline.after(budget)
        attempt = 0
        while True:
            try:
                return self._through_circuit(request, deadline)
            except (UnreachableError, RefusedError) as error:
                delay = retry.delay(attempt, getattr(error, "retry_after", None))
                again = retry.allows(attempt) and _is_passing(error)
                if not again or delay >= deadline.remaining():
                    raise
            attempt += 1
            _wait(delay)

    def _through_circuit(self, request: Request, deadline: Deadline) -> bytes:
        circuit = self._circuit.get()
        if not circuit.may_call():
            raise UnreachableError("The control plane has failed repeatedly and is not asked now", reason="circuit")
        try:
            answer = self._make(request, deadline)
        except UnreachableError as error:
            circuit.failed(weight=TIMEOUT_WEIGHT if error.reason == "timeout" else 1)
            raise
        except RefusedError as error:
            if error.status >= 500:
                circuit.failed()
            else:
                circuit.succeeded()
            raise
        circuit.succeeded()
        return answer

    def _make(self, request: Request, deadline: Deadline) -> bytes:
        answer = self._transport.send(request, deadline=deadline)
        if not 200 <= answer.status < 300:
            raise _refused(request, answer)
        return answer.body


def _checked(api_key: str) -> str:
    """Return *api_key* without the line end of the file that it was read from."""
    key = api_key.strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError("api_key", "(hidden)", "printable ASCII characters")
    return key


def _request(method: str, path: str, body: str) -> Request:
    return Request(method, path, body.encode())


def _in_path(name: str) -> str:
    """Return *name* as one segment of a path; `.` and `..` would be taken for steps in it."""
    quoted = quote(name, safe="")
    return quoted.replace(".", "%2E") if set(name) == {"."} else quoted


def _told(presence: Presence | None) -> list[tuple[str, str]]:
    if presence is None:
        return []
    who = [("process", presence.process), ("host", presence.host)]
    return [*who, *(("obeys", each) for each in presence.obeys)]


def _query(parameters: Sequence[tuple[str, str]]) -> str:
    return f"?{urlencode(parameters, errors='backslashreplace')}" if parameters else ""


def _is_passing(error: UnreachableError | RefusedError) -> bool:
    """Whether trying again may help: a network error or a 5xx, not an open circuit."""
    return error.status >= 500 if isinstance(error, RefusedError) else error.reason != "circuit"


def _refused(request: Request, answer: Response) -> RefusedError:
    what = request.path.partition("?")[0].rpartition("/")[2]
    hint = {401: "; check the API key", 403: "; the API key may not do this"}.get(answer.status, "")
    return RefusedError(
        f"The control plane answered {answer.status} to {what}{hint}",
        status=answer.status,
        retry_after=parse_retry_after(answer.headers.get("retry-after")),
    )


def _wait(seconds: float) -> None:
    # Not time.sleep: an Event can be waited for under gevent too, whenever it was patched.
    threading.Event().wait(seconds)
