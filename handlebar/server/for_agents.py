"""What an SDK asks: register, start, evaluate, record, end, and what has become of a question."""

from __future__ import annotations

from handlebar._plumbing import safe_json
from handlebar.core import wire
from handlebar.policy import load_policies
from handlebar.server import bodies, decoding, encoding
from handlebar.server.asking import Asked, Route
from handlebar.server.problems import malformed
from handlebar.server.tenants import SECONDS

BATCH_ID = "x-handlebar-batch-id"
_LONGEST_BATCH_ID = 200
_DONE = "{}"


def _register_agent(asked: Asked) -> str:
    body = asked.body()
    agent, tools = decoding.agent_in(body), decoding.tools_in(body)
    return safe_json.encode({"agentId": asked.plane.register_agent(agent, tools, budget=SECONDS)})


def _register_tools(asked: Asked) -> str:
    tools = decoding.tool_entries_in(asked.body())
    asked.plane.register_tools(asked.names["agent"], tools, budget=SECONDS)
    return _DONE


def _start_run(asked: Asked) -> str:
    request = decoding.start_in(asked.body(), asked.names["run"])
    return encoding.encode({"lockdown": encoding.told(asked.plane.start_run(request, budget=SECONDS))})


def _evaluate(asked: Asked) -> str:
    request = decoding.question_in(asked.body(), asked.names["run"])
    decision = asked.tenants.decide(asked.tenant, request)
    asked.metering.decided(decision.verdict.value)
    return safe_json.encode(wire.decision_to_dict(decision))


def _check(asked: Asked) -> str:
    body = asked.body()
    request = decoding.check_in(body)
    # Objects only: what the loader is given as a text, it takes for a path.
    given = None if body.value("policies") is None else [each.members() for each in body.parts("policies")]
    policies = None if given is None else load_policies(given)
    return safe_json.encode(wire.decision_to_dict(asked.plane.check(request, policies, budget=SECONDS)))


def _record(asked: Asked) -> str:
    batch_id = asked.request.headers.get(BATCH_ID, "").strip()
    if not 0 < len(batch_id) <= _LONGEST_BATCH_ID:
        raise malformed(BATCH_ID, f"a header of at most {_LONGEST_BATCH_ID} characters")
    agent_id, events = decoding.batch_in(asked.body(most_bytes=bodies.LARGE))
    asked.plane.record(agent_id, batch_id, events, budget=SECONDS)
    return _DONE


def _end_run(asked: Asked) -> str:
    agent_id, status = decoding.end_in(asked.body())
    asked.plane.end_run(agent_id, asked.names["run"], status, budget=SECONDS)
    return _DONE


def _approval(asked: Asked) -> str:
    return encoding.encode(wire.to_dict(asked.plane.approval(asked.names["approval"])))


EVALUATE = Route("POST", "/v1/runs/<name:run>/evaluate", "agent", _evaluate)
RECORD = Route("POST", "/v1/runs/events", "agent", _record)
ROUTES = (
    Route("POST", "/v1/agents", "agent", _register_agent),
    Route("POST", "/v1/agents/check", "agent", _check),
    Route("PUT", "/v1/agents/<name:agent>/tools", "agent", _register_tools),
    Route("POST", "/v1/runs/<name:run>/start", "agent", _start_run),
    EVALUATE,
    Route("POST", "/v1/runs/<name:run>/end", "agent", _end_run),
    RECORD,
    Route("GET", "/v1/approvals/<approval>", "agent", _approval),
)
