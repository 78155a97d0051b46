"""Policies put in force: in a database, or at a control plane over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import quote

from attrs import frozen

from handlebar._plumbing.clock import Deadline
from handlebar.cli.places import Place
from handlebar.core.schema.rules import Policy
from handlebar.errors import RefusedError, UnreachableError
from handlebar.policy.writing import policy_to_dict

_SECONDS = 30.0


@frozen
class Pushed:
    """A policy that was put; *changed* is false where it was in force already."""

    id: str
    version: int
    changed: bool


def push_to_database(place: Place, policies: Sequence[Policy]) -> Iterator[Pushed]:
    """Put *policies* in force in a database, one after the other."""
    before = {each.policy_id: each.version for each in place.administration.policy_records()}
    for policy in policies:
        made = place.administration.put_policy(policy_to_dict(policy))
        yield Pushed(made.policy_id, made.version, before.get(made.policy_id) != made.version)


def push_to_endpoint(url: str, key: str, policies: Sequence[Policy]) -> Iterator[Pushed]:
    """Put *policies* in force at the control plane at *url*, one after the other."""
    from handlebar._plumbing.transport import Transport  # loads requests, which other commands need not

    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "accept": "application/json"}
    with closing(Transport(url.rstrip("/"), headers)) as transport:
        listed = _asked(transport, "GET", "/v1/policies", b"")
        before = {each.get("id"): each.get("version") for each in listed.get("policies", ())}
        for policy in policies:
            body = json.dumps(policy_to_dict(policy)).encode()
            made = _asked(transport, "PUT", f"/v1/policies/{quote(policy.id, safe='')}", body)
            yield Pushed(policy.id, int(made.get("version", 0)), before.get(policy.id) != made.get("version"))


def _asked(transport: Any, method: str, path: str, body: bytes) -> dict[str, Any]:
    from handlebar._plumbing.http_lines import Request

    answer = transport.send(Request(method, path, body), deadline=Deadline.after(_SECONDS))
    try:
        read = json.loads(answer.body)
    except (ValueError, RecursionError):
        read = None
    if answer.status >= 400:
        error = read.get("error") if isinstance(read, dict) else None
        said = error.get("message") if isinstance(error, dict) else None
        raise RefusedError(f"The control plane answered {answer.status}: {said or 'nothing'}", status=answer.status)
    if not isinstance(read, dict):
        raise UnreachableError("The control plane has answered what is no JSON object", reason="network")
    return read
