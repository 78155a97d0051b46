"""
Which control plane an endpoint means.

One of two places that look upward, beside `core/handing_over.py`: a URL's scheme is mapped to the class that speaks
it, and that class is imported when it is first asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial

from attrs import frozen

from handlebar.core.config import HandlebarClientConfig
from handlebar.core.plane import ControlPlane
from handlebar.errors import ConfigError

HOSTED = "https://api.gethandlebar.com"
"""Where a client with a key and no endpoint goes."""

EMBEDDED = "sqlite:///handlebar.db"
"""Where a client with policies and no endpoint keeps them: a file in the working directory."""

ALLOWED = "https://…, http://…, sqlite:///file.db, sqlite:// (in memory) or postgresql+psycopg://user@host/name"


@frozen
class Endpoint:
    """Where the control plane is, and the key to it."""

    url: str
    api_key: str | None

    @property
    def is_http(self) -> bool:
        """Whether it is reached over HTTP."""
        return self.url.lower().startswith(("http://", "https://"))


def endpoint_of(config: HandlebarClientConfig) -> Endpoint | None:
    """
    Return the endpoint that *config* and the environment name; None where they name none that can be used.

    Config beats environment beats default. Over HTTP nothing goes without a key.
    """
    key = config.api_key or os.environ.get("HANDLEBAR_API_KEY")
    url = config.api_endpoint or os.environ.get("HANDLEBAR_API_ENDPOINT") or _default(config, key)
    if url is None:
        return None
    endpoint = Endpoint(url.strip(), key)
    return None if endpoint.is_http and not key else endpoint


def open_plane(config: HandlebarClientConfig, endpoint: Endpoint) -> ControlPlane:
    """
    Return the control plane at *endpoint*; opens no socket and no file.

    Raises:
        ConfigError: The scheme is unknown, what it needs is not installed, or policies were given to a control
            plane that keeps its own.

        PolicyError: A policy cannot be loaded.
    """
    scheme = endpoint.url.partition(":")[0].lower()
    if scheme in ("http", "https"):
        return _over_http(config, endpoint)
    if scheme in ("sqlite", "postgresql+psycopg"):
        return _embedded(config, endpoint)
    raise ConfigError("api_endpoint", _without_password(endpoint.url), ALLOWED)


def _without_password(url: str) -> str:
    # Up to the last @: whoever forgets to quote a password may have one, or a slash, in it.
    return re.sub(r"//.*@", "//***@", url)


def _default(config: HandlebarClientConfig, key: str | None) -> str | None:
    if config.policies is not None:
        return EMBEDDED
    return HOSTED if key else None


def _over_http(config: HandlebarClientConfig, endpoint: Endpoint) -> ControlPlane:
    from handlebar.core.api import HttpControlPlane

    if config.policies is not None:
        raise ConfigError(
            "policies",
            config.policies,
            "None with a control plane over HTTP, which keeps its own; or an api_endpoint of sqlite:///file.db",
        )
    make = HttpControlPlane if config.evaluate == "remote" else _deciding_here(config)
    return make(
        endpoint.url,
        endpoint.api_key or "",
        connect_timeout=config.connect_timeout,
        read_timeout=config.read_timeout,
        session=config.session,
    )


def _deciding_here(config: HandlebarClientConfig) -> Callable[..., ControlPlane]:
    try:
        from handlebar.control.host import Host
        from handlebar.control.local import LocalControlPlane
    except ModuleNotFoundError as error:
        needed = "'remote', or the extra: pip install \"handlebar[embedded]\""
        raise ConfigError("evaluate", config.evaluate, f"{needed} ({error.name} is not installed)") from error
    host = Host(config.signals or {}, config.custom_functions or {})
    return partial(LocalControlPlane, asks_instead=config.evaluate == "auto", host=host)


def _embedded(config: HandlebarClientConfig, endpoint: Endpoint) -> ControlPlane:
    try:
        from handlebar.control.service import open_control_plane
    except ModuleNotFoundError as error:
        needed = 'an endpoint over HTTP, or the extra: pip install "handlebar[embedded]"'
        raise ConfigError(
            "api_endpoint", _without_password(endpoint.url), f"{needed} ({error.name} is not installed)"
        ) from error
    return open_control_plane(
        endpoint.url,
        policies=config.policies,
        owner=config.agent.slug,
        signals=config.signals,
        custom_functions=config.custom_functions,
    )
