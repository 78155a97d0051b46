"""What an answer says: a record, or an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from handlebar._plumbing.retry import parse_retry_after
from handlebar.errors import UnreachableError
from handlebar.handoff.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004  # the name is the published client's
    HandoffRailError,
    NotFoundError,
    RateLimitError,
    ServerError,
    ValidationError,
)
from handlebar.handoff.exchange import Answer, Call
from handlebar.handoff.models.base import Model

M = TypeVar("M", bound=Model)

_INVALID = (400, 409, 413, 422)
_LONGEST_TEXT = 500


def record_in(answer: Answer, kind: type[M]) -> M:
    """
    Return the record of *kind* that *answer* holds.

    Raises:
        ServerError: It holds none.
    """
    return _record(answer, kind, content_of(answer))


def records_in(answer: Answer, kind: type[M]) -> list[M]:
    """
    Return the records that *answer*, a bare list, holds.

    Raises:
        ServerError: It holds none.
    """
    content = content_of(answer)
    if not isinstance(content, list):
        raise _unfit(answer, "it is no list")
    return [_record(answer, kind, each) for each in content]


def content_of(answer: Answer) -> Any:
    """
    Return the JSON that *answer* holds.

    Raises:
        ServerError: It holds none.
    """
    try:
        return json.loads(answer.body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise _unfit(answer, "it is no JSON") from error


def error_of(call: Call, answer: Answer) -> HandoffRailError:
    """Return the error that an *answer* other than 2xx means."""
    body = _body(answer)
    message = _words(answer, body) or f"The server answered {answer.status}"
    known: dict[str, Any] = {"status_code": answer.status, "response_body": body, "field": _field(body)}
    if answer.status in (401, 403):
        return AuthenticationError(message, **known)
    if answer.status in (404, 410):
        return NotFoundError(message, resource_id=call.path[1] if len(call.path) > 1 else None, **known)
    if answer.status in _INVALID:
        return ValidationError(message, **known)
    if answer.status == 429:
        return RateLimitError(message, retry_after=parse_retry_after(answer.headers.get("retry-after")), **known)
    return ServerError(message, **known)


def unanswered(error: UnreachableError) -> ConnectionError:
    """Return the error that no answer means."""
    return ConnectionError(str(error), original_error=_origin(error))


def _origin(error: BaseException) -> BaseException:
    """Return what the operating system said, or else what came first."""
    seen = [error]
    while (cause := seen[-1].__cause__ or seen[-1].__context__) is not None and cause not in seen:
        seen.append(cause)
    return next((each for each in reversed(seen) if isinstance(each, OSError)), seen[-1])


def _record(answer: Answer, kind: type[M], content: Any) -> M:
    try:
        return kind.from_dict(content)
    except ValidationError as error:
        raise _unfit(answer, error.message, error.field) from error


def _unfit(answer: Answer, why: str, field: str | None = None) -> ServerError:
    return ServerError(
        f"The server's answer ({answer.status}) cannot be read: {why}; check that base_url leads to a hand-off server",
        status_code=answer.status,
        response_body=_body(answer),
        field=field,
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _body(answer: Answer) -> dict[str, Any]:
    """Return the answer's JSON object; any other JSON stands under `detail`."""
    try:
        content = json.loads(answer.body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {"detail": content}


def _words(answer: Answer, body: Mapping[str, Any]) -> str | None:
    """Return what the server says itself; a page for people is not that."""
    for told in (body.get("detail"), body.get("message"), body.get("error")):
        if isinstance(told, Mapping):
            told = told.get("message")
        if isinstance(told, list):
            told = "; ".join(filter(None, map(_complaint, told)))
        if isinstance(told, str) and told.strip():
            return told
    plain = answer.headers.get("content-type", "").startswith("text/plain")
    return answer.body[:_LONGEST_TEXT].decode("utf-8", "replace").strip() if plain and not body else None


def _complaint(detail: Any) -> str | None:
    """Return one entry of a 422's details in words."""
    if not isinstance(detail, Mapping) or not isinstance(detail.get("msg"), str):
        return None
    place = _dotted(detail)
    return f"{place}: {detail['msg']}" if place else str(detail["msg"])


def _field(body: Mapping[str, Any]) -> str | None:
    field, details = body.get("field"), body.get("detail")
    if isinstance(field, str) and field:
        return field
    first = details[0] if isinstance(details, list) and details else None
    return _dotted(first) if isinstance(first, Mapping) else None


def _dotted(detail: Mapping[str, Any]) -> str | None:
    place = detail.get("loc")
    return ".".join(map(str, place)) or None if isinstance(place, list) else None
