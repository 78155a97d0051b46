"""What a web application is configured with, whichever framework reads it."""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from attrs import field, frozen

from handlebar.core.client import HandlebarClient
from handlebar.core.config import HandlebarClientConfig
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.core.sinks.config import HttpSinkConfig
from handlebar.errors import ConfigError

_CONNECT_SECONDS = 0.5
"""A request does not wait longer for a connection; a control plane that is there answers at once."""

_AUTO = "auto"

_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _truth(value: Any) -> Any:
    """Read the words that stand for true and false in an environment."""
    return _WORDS.get(value.strip().lower(), value) if isinstance(value, str) else value


def _is_truth(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigError(attribute.name.upper(), value, "True or False")


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _whole_number(value: Any) -> Any:
    """Read a number from an environment; whether it is one is checked where it is used."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _is_positive(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, float) or not value > 0:
        raise ConfigError(attribute.name.upper(), value, "a number above 0")


def _is_celery(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value != _AUTO and not isinstance(value, bool):
        raise ConfigError("CELERY", value, "True, False, or 'auto'")
    if value is True and not has_celery():
        raise ConfigError(
            "CELERY", value, "'auto' or False where Celery is not installed (handlebar[celery] brings it)"
        )


def has_celery() -> bool:
    """Whether Celery is installed; nothing of it is imported."""
    return importlib.util.find_spec("celery") is not None


def _runs(value: Any) -> Any:
    """Take True, False, or the names of endpoints."""
    read = _truth(value)
    if isinstance(read, bool):
        return read
    if isinstance(read, str) or not isinstance(read, Sequence):
        raise ConfigError("RUN_PER_REQUEST", value, "True, False, or a list of endpoint names")
    return frozenset(read)


@frozen(kw_only=True)
class Settings:
    """
    The settings by their names without prefix; each may come from the environment as `HANDLEBAR_<NAME>`.

    Attributes:
        agent_slug: The agent; None for the process's default client, which `handlebar.init()` makes.

        endpoint: Where the control plane is; None for `HANDLEBAR_API_ENDPOINT`, or the hosted one.

        enabled: False governs nothing and asks nobody.

        run_per_request: Whether every request is a run of its own; or the endpoints of which that is true.

        check_timeout: Seconds that one decision may take in all.

        flush_timeout: Seconds that the process waits for its last events when it ends.

        queue_size: So many events wait at most.

        error_responses: Whether blocked calls are answered as JSON: 403, 202 for a person's approval, 503.

        celery: Whether Celery tasks that are published here take the session, the actor and the run along; "auto" where
            Celery is installed.

        options: Every other field of `HandlebarClientConfig`.
    """

    agent_slug: str | None = None
    agent_name: str | None = None
    api_key: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    policies: Any = None
    enabled: bool = field(default=True, converter=_truth, validator=_is_truth)
    enforce_mode: str = "enforce"
    fail_closed: bool = field(default=False, converter=_truth, validator=_is_truth)
    run_per_request: bool | frozenset[str] = field(default=False, converter=_runs)
    check_timeout: float = field(default=2.0, converter=_number, validator=_is_positive)
    flush_timeout: float = field(default=2.0, converter=_number, validator=_is_positive)
    queue_size: int = field(default=500, converter=_whole_number)
    error_responses: bool = field(default=False, converter=_truth, validator=_is_truth)
    celery: bool | str = field(default=_AUTO, converter=_truth, validator=_is_celery)
    options: Mapping[str, Any] = field(factory=dict, repr=False)

    @property
    def governs_publishing(self) -> bool:
        """Whether to listen to Celery's publishers."""
        return bool(self.celery) and has_celery()

    def wants_run(self, endpoint: str | None) -> bool:
        """Whether a request to *endpoint* is a run of its own."""
        wanted = self.run_per_request
        return wanted if isinstance(wanted, bool) else endpoint in wanted

    def client(self) -> HandlebarClient | None:
        """
        Make the client; None where no agent is named.

        Raises:
            ConfigError: A setting has a value that is not allowed.
        """
        return None if self.agent_slug is None else HandlebarClient.init_sync(self._client_config(self.agent_slug))

    def _client_config(self, slug: str) -> HandlebarClientConfig:
        sink = HttpSinkConfig(queue_depth=self.queue_size, flush_timeout_ms=self.flush_timeout * 1000)
        fields: dict[str, Any] = {
            "api_key": self.api_key,
            "api_endpoint": self.endpoint,
            "policies": self.policies,
            "enforce_mode": self.enforce_mode if self.enabled else "off",
            "fail_closed": self.fail_closed,
            "decision_timeout": self.check_timeout,
            "read_timeout": self.check_timeout,
            "connect_timeout": min(_CONNECT_SECONDS, self.check_timeout),
            "sinks": (sink,),
        }
        return HandlebarClientConfig(AgentDescriptor(slug, self.agent_name), **{**fields, **self.options})


NAMES = tuple(attribute.name.upper() for attribute in attrs.fields(Settings))
"""Every setting, without prefix."""


def settings_from(given: Mapping[str, Any]) -> Settings:
    """
    Return the settings that *given* names, by `NAMES`; the environment says the rest.

    Raises:
        ConfigError: One of them is unknown, or has a value that is not allowed.
    """
    for name, value in given.items():
        if name not in NAMES:
            raise ConfigError(name, value, f"one of the settings {', '.join(NAMES)}{close_to(name)}")
    known = {name: value for name in NAMES if (value := _looked_up(name, given)) is not None}
    return Settings(**{name.lower(): value for name, value in known.items()})


def close_to(name: str) -> str:
    """Return a question after the setting that was meant, where one is like *name*."""
    close = difflib.get_close_matches(name, NAMES, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _looked_up(name: str, given: Mapping[str, Any]) -> Any:
    value = given.get(name)
    return os.environ.get(f"HANDLEBAR_{name}") if value is None and name != "OPTIONS" else value
