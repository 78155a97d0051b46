"""How a run is linked to an earlier one: tokens of parked runs, which work in any process, and hand-off packets."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from handlebar._plumbing import safe_json
from handlebar.core import wire
from handlebar.core.config import RunConfig
from handlebar.core.schema.agents import Actor, ModelInfo
from handlebar.errors import ConfigError

_VERSION = 1


def token_for(config: RunConfig) -> str:
    """Return the token of a run; the run's context stays behind, and its time to live starts anew."""
    content = {
        "version": _VERSION,
        "runId": config.run_id,
        "sessionId": config.session_id,
        "actor": None if config.actor is None else wire.to_dict(config.actor),
        "model": None if config.model is None else wire.to_dict(config.model),
        "tags": dict(config.tags),
        "runTtlMs": config.run_ttl_ms,
    }
    return base64.urlsafe_b64encode(safe_json.encode(content).encode()).decode().rstrip("=")


def config_from(token: str) -> RunConfig:
    """
    Return the config of the run that *token* names.

    Raises:
        ConfigError: It is no token.
    """
    try:
        return _read(json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))))
    except Exception as error:  # untrusted text can go wrong in any way
        raise ConfigError("token", "(hidden)", "the resume_token of an ApprovalPendingError") from error


def session_of(packet: object) -> str | None:
    """
    Return the session of the run that made a hand-off *packet*; that run's own id where it had none.

    None where no governed run made it. What stands there may come from anybody, and is an id at most.

    Raises:
        ConfigError: It is no packet.
    """
    custom = getattr(getattr(packet, "context", None), "custom", None)
    if not isinstance(custom, Mapping):
        raise ConfigError("resume", f"(a {type(packet).__name__})", "a hand-off packet")
    link = custom.get("handlebar")
    ids = (link.get("session_id"), link.get("run_id")) if isinstance(link, Mapping) else ()
    return next((each for each in ids if isinstance(each, str) and each.strip()), None)


def _read(content: dict[str, Any]) -> RunConfig:
    if content["version"] != _VERSION:
        raise ValueError("version")
    return RunConfig(
        run_id=content["runId"],
        session_id=content["sessionId"],
        actor=None if content["actor"] is None else wire.from_dict(content["actor"], Actor),
        model=None if content["model"] is None else wire.from_dict(content["model"], ModelInfo),
        tags=content["tags"],
        run_ttl_ms=content["runTtlMs"],
    )
