"""System checks: what is wrong with the setting HANDLEBAR, and with the middleware's place."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004  # Django's name for it

from handlebar.core.front import get_client
from handlebar.errors import ConfigError, NotInitialisedError
from handlebar.integrations.django.configuration import KEYS, given, loader, settings_of
from handlebar.integrations.serving.settings import Settings

_OURS = "handlebar.integrations.django.HandlebarMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def check_settings(**more: Any) -> list[CheckMessage]:
    """Check what HANDLEBAR says."""
    return [*_unknown(), *_loaders(), *_values()]


def check_middleware(**more: Any) -> list[CheckMessage]:
    """Check that the middleware is there, below what it depends on."""
    stack = list(getattr(django_settings, "MIDDLEWARE", None) or ())
    if _OURS not in stack:
        hint = f"Add {_OURS!r} to MIDDLEWARE, below AuthenticationMiddleware."
        return [Warning("Runs do not know their requests: the middleware is missing.", hint=hint, id="handlebar.W001")]
    if given().get("ACTOR") is None and _AUTHENTICATION in stack[stack.index(_OURS) :]:
        hint = "Move it below AuthenticationMiddleware, or set HANDLEBAR['ACTOR']."
        return [Warning("HandlebarMiddleware stands above AuthenticationMiddleware.", hint=hint, id="handlebar.W002")]
    return []


def check_deployment(**more: Any) -> list[CheckMessage]:
    """Check what matters in production only."""
    settings = _settings()
    return [] if settings is None else [*_key(settings), *_fail_mode(settings)]


def _unknown() -> Iterator[CheckMessage]:
    for key in given():
        if key not in KEYS:
            close = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known are {', '.join(KEYS)}."
            yield Error(f"HANDLEBAR has an unknown key {key!r}.", hint=hint, id="handlebar.E002")


def _loaders() -> Iterator[CheckMessage]:
    for key in ("ACTOR", "SESSION"):
        try:
            loader(given().get(key))
        except ImportError as error:
            hint = "Name a function that takes the request, by its dotted path."
            yield Error(f"HANDLEBAR[{key!r}] cannot be imported: {error}", hint=hint, id="handlebar.E003")


def _values() -> Iterator[CheckMessage]:
    try:
        settings = settings_of({key: value for key, value in given().items() if key in KEYS})
    except ConfigError as error:
        yield Error(f"HANDLEBAR: {error}", id="handlebar.E004")
        return
    if settings.agent_slug is None and not _has_default_client():
        hint = 'Set HANDLEBAR = {"AGENT": "your-agent"}, or call handlebar.init("your-agent").'
        yield Error("HANDLEBAR names no agent.", hint=hint, id="handlebar.E001")


def _key(settings: Settings) -> Iterator[CheckMessage]:
    local = settings.policies is not None or (settings.endpoint or "").startswith("sqlite")
    if not local and not (settings.api_key or os.environ.get("HANDLEBAR_API_KEY")):
        hint = "Set HANDLEBAR_API_KEY in the environment; without a key nothing is governed."
        yield Warning("HANDLEBAR has no API_KEY.", hint=hint, id="handlebar.W003")


def _fail_mode(settings: Settings) -> Iterator[CheckMessage]:
    if settings.enforce_mode == "enforce" and not settings.fail_closed:
        hint = "Set HANDLEBAR['FAIL_CLOSED'] = True where no call may go ungoverned, or silence this check."
        yield Warning("Calls are allowed where policy cannot be asked.", hint=hint, id="handlebar.W004")


def _settings() -> Settings | None:
    """Return the settings, None where another check says what is wrong with them."""
    try:
        return settings_of({key: value for key, value in given().items() if key in KEYS})
    except ConfigError:
        return None


def _has_default_client() -> bool:
    try:
        get_client()
    except NotInitialisedError:
        return False
    return True
