"""Whatever is sent: no failure of ours, and always JSON in the one shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlebar.server.app import ROUTES
from tests.support.control import a_limit, a_policy, a_rule
from tests.support.servers import Caller, a_place, is_problem

POLICY = a_policy(
    a_rule(a_limit(3), name="three"),
    a_rule({"kind": "toolName", "op": "glob", "value": "w*"}, "hitl", name="ask"),
)
CALLS = [(route.method, route.rule) for route in ROUTES]
TEXTS = st.text(st.characters(), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = ["slug", "name", "tags", "tools", "agentId", "actor", "model", "phase", "tool", "args", "result", "metrics"]
NAMES += ["subjects", "events", "status", "respondedBy", "note", "reason", "until", "externalId", "metadata", "runId"]
WORDS = st.sampled_from(
    ["tool.before", "tool.after", "success", "approved", "2026-07-01T12:00:00Z", "handlebar.audit.v1"]
)


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """Somebody who may do everything, with an agent."""
    with a_place(tmp_path_factory.mktemp("hostile") / "plane.db", POLICY) as place:
        made = place.caller()
        made.registers("desk")
        yield made


def is_sound(caller: Caller, method: str, path: str, body: bytes) -> bool:
    """Whether a request is answered as it has to be."""
    answer = caller.call(method, path, body, headers={"x-handlebar-batch-id": "1"})
    return answer.status_code < 500 and (200 == answer.status_code or is_problem(answer))


@pytest.mark.parametrize(("method", "rule"), CALLS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(st.sampled_from(NAMES) | TEXTS, VALUES | WORDS, max_size=8), raw=st.binary(max_size=40))
def test_arbitrary_json_is_answered(caller: Caller, method: str, rule: str, body: Any, raw: bytes) -> None:
    """Any JSON, any bytes: a good answer or a problem, never a failure."""
    path = rule.replace("<name:agent>", "desk").replace("<name:run>", "run").replace("<approval>", "none")
    assert is_sound(caller, method, path, json.dumps(body).encode())
    assert is_sound(caller, method, path, raw)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.fixed_dictionaries({"args": VALUES, "result": VALUES}),
    name=TEXTS,
    tags=st.dictionaries(TEXTS, TEXTS, max_size=3),
    metrics=st.dictionaries(st.sampled_from(["bytes_in", "llm_cost_usd", "rows"]), st.floats() | st.integers()),
    subject=TEXTS,
    phase=st.sampled_from(["tool.before", "tool.after"]),
)
def test_well_formed_questions_about_anything_are_decided(
    caller: Caller, values: Any, name: str, tags: Any, metrics: Any, subject: str, phase: str
) -> None:
    """Whatever text and numbers a call is made of, there is a decision on it, or a word on what is wrong."""
    agent = caller.registers("desk")
    more = {"tags": tags, "subjects": [{"subjectType": "s" + subject, "value": subject}]}
    question = {"phase": phase, "agentId": agent, "tool": {"name": "w" + name, "tags": [name]}, **values}
    body = {**question, **more, "metrics": metrics, "actor": {"externalId": "u" + name}}
    assert is_sound(caller, "POST", "/v1/runs/run/evaluate", json.dumps(body).encode())
    event = {"schema": "handlebar.audit.v1", "kind": "k" + name, "runId": "r" + name, "ts": "2026-07-01T12:00:00Z"}
    batch = {"agentId": agent, "events": [{**event, "data": values, **tags}]}
    assert is_sound(caller, "POST", "/v1/runs/events", json.dumps(batch).encode())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), query=TEXTS)
def test_any_name_in_a_path_is_answered(caller: Caller, path: str, query: str) -> None:
    """Names of any letters, and any query, are answered."""
    name = quote(path, safe="")
    agent = caller.registers("desk")
    assert is_sound(caller, "POST", f"/v1/runs/{name}/start", json.dumps({"agentId": agent}).encode())
    assert is_sound(caller, "GET", f"/v1/approvals/{name}", b"")
    assert is_sound(caller, "GET", f"/v1/runs?limit={quote(query, safe='', errors='replace')}", b"")
    assert is_sound(caller, "GET", f"/nowhere/{name}", b"")
    # Nothing but slashes is the way home, where people are.
    assert not path.strip("/") or is_sound(caller, "GET", f"/{name}", b"")
