"""The setting HANDLEBAR, read when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from handlebar._plumbing.once import Once
from handlebar.core import front
from handlebar.core.client import HandlebarClient
from handlebar.errors import ConfigError
from handlebar.integrations.serving import clients
from handlebar.integrations.serving.settings import NAMES, Settings, settings_from

_AGENT = {"slug": "AGENT_SLUG", "name": "AGENT_NAME"}
_OWN = ("AGENT", "ACTOR", "SESSION", "EXCLUDE_PATHS")

KEYS = (*_OWN, *(name for name in NAMES if name not in _AGENT.values()))
"""Everything that HANDLEBAR may hold."""


@frozen
class Configuration:
    """
    What HANDLEBAR says.

    Attributes:
        find_actor: Tells whom a request acts for; None for the user who is logged in.

        find_session: Tells a request's conversation.

        excluded: Paths that begin so are not governed.
    """

    settings: Settings
    own_client: HandlebarClient | None
    find_actor: Callable[..., Any] | None
    find_session: Callable[..., Any] | None
    excluded: tuple[str, ...]

    @property
    def client(self) -> HandlebarClient:
        """The client; the process's default one where HANDLEBAR names no agent."""
        return self.own_client or front.get_client()


_kept: Once[Configuration] = Once()


def configuration() -> Configuration:
    """
    Return what HANDLEBAR says at present.

    Raises:
        ConfigError: It says something that is not allowed.
    """
    kept = _kept.value
    while kept is None:
        # Where two threads meet, one of the two is dropped: making one opens nothing.
        _kept.claim(_read(given()))
        kept = _kept.value
    return kept


def get_client() -> HandlebarClient:
    """
    Return the client that HANDLEBAR describes; the process's default one where it names no agent.

    Raises:
        NotInitialisedError: There is neither.
    """
    return configuration().client


def setting_changed(*, setting: str, **more: Any) -> None:
    """Forget what HANDLEBAR said, and shut the client down that it described."""
    kept = _kept.value if setting == "HANDLEBAR" else None
    if kept is not None and _kept.release(kept) and kept.own_client is not None:
        kept.own_client.shutdown_sync()


def given() -> dict[str, Any]:
    """Return HANDLEBAR as it stands."""
    return dict(getattr(django_settings, "HANDLEBAR", None) or {})


def settings_of(given: Mapping[str, Any]) -> Settings:
    """
    Return the settings that Django shares with other frameworks.

    Raises:
        ConfigError: One of them has a value that is not allowed.
    """
    return settings_from({**_agent(given.get("AGENT")), **{key: given[key] for key in given if key not in _OWN}})


def loader(path: Any) -> Callable[..., Any] | None:
    """
    Return the function at a dotted *path*, or *path* itself where it is one.

    Raises:
        ImportError: There is none.
    """
    found = import_string(path) if isinstance(path, str) else path
    if found is not None and not callable(found):
        raise ImportError(f"{path!r} is not callable")
    return found  # type: ignore[no-any-return]  # import_string has no types


def _agent(agent: Any) -> dict[str, Any]:
    parts = {"slug": agent} if isinstance(agent, str) else agent or {}
    if not isinstance(parts, Mapping) or not set(parts) <= set(_AGENT):
        raise ConfigError("AGENT", agent, 'a slug, or {"slug": …, "name": …}')
    return {_AGENT[part]: value for part, value in parts.items()}


def _read(given: Mapping[str, Any]) -> Configuration:
    settings = settings_of(given)
    client = settings.client()
    return Configuration(
        settings,
        client and clients.remember(client),
        loader(given.get("ACTOR")),
        loader(given.get("SESSION")),
        tuple(given.get("EXCLUDE_PATHS") or ()),
    )
