"""
Every error of hand-offs, in one tree.

HandoffRailError (a HandlebarError)
├── AuthenticationError
├── NotFoundError
├── ValidationError (also a ValueError)
├── RateLimitError
├── ServerError
└── ConnectionError (not Python's own)
"""

from __future__ import annotations

from typing import Any

from handlebar.errors import HandlebarError


class HandoffRailError(HandlebarError):
    """
    The root of all errors of hand-offs.

    Attributes:
        message: What went wrong; the server's own words where it gave any.

        status_code: The status of the answer, None where there was none.

        response_body: The answer's JSON; what is no JSON object stands under `detail`.

        field: The field that is to blame, dotted where it is nested.
    """

    def __init__(
        self, message: str, *, status_code: int | None = None, response_body: Any = None, field: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.response_body: dict[str, Any] = {} if response_body is None else response_body
        self.field = field

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, status_code={self.status_code!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (type(self), self.message, vars(self))


class AuthenticationError(HandoffRailError):
    """The API key is missing or unknown (401), or may not do this (403)."""

    def __init__(self, message: str = "The API key was refused", *, status_code: int | None = 401, **more: Any) -> None:
        super().__init__(message, status_code=status_code, **more)


class NotFoundError(HandoffRailError):
    """
    What was asked for does not exist (404), or no longer (410).

    Attributes:
        resource_id: What was not found, where it is known.
    """

    def __init__(
        self,
        message: str = "This does not exist",
        *,
        status_code: int | None = 404,
        resource_id: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message, status_code=status_code, **more)
        self.resource_id = resource_id


class ValidationError(HandoffRailError, ValueError):
    """
    What was asked is not allowed (400, 409, 413, 422), or was found wrong before anything was sent.

    Where somebody else has claimed the packet, `response_body` tells who.
    """

    def __init__(self, message: str = "This is not allowed", *, status_code: int | None = 400, **more: Any) -> None:
        super().__init__(message, status_code=status_code, **more)


class RateLimitError(HandoffRailError):
    """
    Too much was asked (429).

    Attributes:
        retry_after: What the server asked to wait, in seconds, None where it said nothing.
    """

    def __init__(
        self,
        message: str = "Too many requests",
        *,
        status_code: int | None = 429,
        retry_after: float | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message, status_code=status_code, **more)
        self.retry_after = retry_after


class ServerError(HandoffRailError):
    """The server failed (5xx), or answered what the API does not promise."""

    def __init__(self, message: str = "The server failed", *, status_code: int | None = 500, **more: Any) -> None:
        super().__init__(message, status_code=status_code, **more)


class ConnectionError(HandoffRailError):  # noqa: A001  # the name is the published client's
    """
    Nobody answered: network, TLS, time limit.

    Attributes:
        original_error: What the network said.
    """

    def __init__(
        self,
        message: str = "The server cannot be reached",
        *,
        original_error: BaseException | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message, **more)
        self.original_error = original_error


def invalid(field: str, wanted: str) -> ValidationError:
    """Return the error for an argument or a *field* that is not what is *wanted*, before anything is sent."""
    return ValidationError(f"{field}: {wanted}" if field else wanted, status_code=None, field=field or None)


def _remade(kind: type[HandoffRailError], message: str, state: dict[str, object]) -> HandoffRailError:
    """Rebuild a pickled error, whose initialiser takes keyword-only arguments."""
    error = kind.__new__(kind, message)
    error.args = (message,)
    vars(error).update(state)
    return error
