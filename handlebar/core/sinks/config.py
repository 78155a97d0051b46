"""What sinks are configured with; checked when it is constructed."""

from __future__ import annotations

import os
from typing import Literal

from attrs import field, frozen

from handlebar.core.schema import checks

_above_zero = checks.number(above=0)


@frozen
class HttpSinkConfig:
    """
    Events go to a control plane over HTTP.

    Attributes:
        endpoint: The base URL; None for the client's own control plane.

        api_key: The key for the endpoint; None for the client's own.

        queue_depth: So many events wait at most; when one more comes the oldest is dropped, and counted.

        flush_interval_ms: The queue is emptied at least so often, in milliseconds.

        max_batch_size: So many events go in one request at most.

        flush_timeout_ms: Draining and closing wait so long at most, in milliseconds.
    """

    endpoint: str | None = field(default=None, validator=checks.optional(checks.filled_text))
    api_key: str | None = field(default=None, repr=False, validator=checks.optional(checks.secret))
    queue_depth: int = field(default=500, validator=checks.whole_number(at_least=1))
    flush_interval_ms: float = field(default=1000, validator=_above_zero)
    max_batch_size: int = field(default=50, validator=checks.whole_number(at_least=1))
    flush_timeout_ms: float = field(default=5000, validator=_above_zero)


@frozen
class ConsoleSinkConfig:
    """Events go to the standard output: as `json`, one object a line, or `pretty`, for people."""

    format: Literal["json", "pretty"] = field(default="json", validator=checks.one_of(("json", "pretty")))


@frozen
class JsonlSinkConfig:
    """Events are appended to the file at *path*, one JSON object a line; several processes may share it."""

    path: str | os.PathLike[str] = field(validator=checks.instance_of((str, os.PathLike), "a path"))
