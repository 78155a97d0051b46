"""What is asked about policies: people read and change them, SDKs take what is in force for their agent."""

from __future__ import annotations

import re
from typing import Any

from flask import Response

from handlebar.control.policy_store import PolicyRecord
from handlebar.policy import policy_to_dict
from handlebar.server import encoding
from handlebar.server.asking import Asked, Route
from handlebar.server.problems import malformed
from handlebar.server.tenants import SECONDS

_VERSION = re.compile(r'"([1-9][0-9]{0,8})"', re.ASCII)


def _list(asked: Asked) -> str:
    return encoding.encode({"policies": [_told(each) for each in asked.plane.policy_records()]})


def _create(asked: Asked) -> Response:
    return _answer(asked.plane.put_policy(asked.body().members(), new=True))


def _put_rules(asked: Asked) -> Response:
    body = asked.body()
    for member in ("policy", "rules"):
        if body.value(member) is None:
            raise malformed(member, "a policy's head under `policy`, its rules under `rules`")
    return _answer(asked.plane.put_policy(body.members()))


def _get(asked: Asked) -> Response:
    return _answer(asked.plane.policy_record(asked.names["policy"]))


def _put(asked: Asked) -> Response:
    content, policy_id = asked.body().members(), asked.names["policy"]
    return _answer(asked.plane.put_policy(content, policy_id=policy_id, if_version=_if_match(asked)))


def _delete(asked: Asked) -> str:
    asked.plane.delete_policy(asked.names["policy"], if_version=_if_match(asked))
    return "{}"


def _versions(asked: Asked) -> str:
    return encoding.encode({"versions": [_told(each) for each in asked.plane.policy_history(asked.names["policy"])]})


def _snapshot(asked: Asked) -> Response:
    known = asked.request.headers.get("if-none-match", "").strip().removeprefix("W/").strip('"')
    found = asked.plane.policy_snapshot(asked.names["agent"], known, budget=SECONDS)
    if found is None:
        return Response(status=304, headers={"etag": f'"{known}"'})
    return _json(found.text, found.version)


def _answer(record: PolicyRecord) -> Response:
    return _json(encoding.encode(_told(record)), str(record.version))


def _json(text: str, version: str) -> Response:
    return Response(text, mimetype="application/json", headers={"etag": f'"{version}"'})


def _told(record: PolicyRecord) -> dict[str, Any]:
    known = {"id": record.policy_id, "version": record.version, "source": record.source}
    content = {} if record.policy is None else {"policy": policy_to_dict(record.policy)}
    return {**known, "changedAt": record.changed_at, **content}


def _if_match(asked: Asked) -> int | None:
    """Return the version that the change is for, None where it is for any; 0 is none's."""
    text = asked.request.headers.get("if-match")
    if text is None:
        return None
    found = _VERSION.fullmatch(text.strip())
    return int(found[1]) if found else 0


ROUTES = (
    Route("GET", "/v1/policies", "viewer", _list),
    Route("POST", "/v1/policies", "admin", _create),
    Route("GET", "/v1/policies/<policy>", "viewer", _get),
    Route("PUT", "/v1/policies/<policy>", "admin", _put),
    Route("DELETE", "/v1/policies/<policy>", "admin", _delete),
    Route("GET", "/v1/policies/<policy>/versions", "viewer", _versions),
    Route("POST", "/v1/rules/", "admin", _put_rules),
    Route("GET", "/v1/agents/<name:agent>/policies", "agent", _snapshot),
)
