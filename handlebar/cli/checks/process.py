"""Checks of the host of the agent: whether it forks, patches and threads as it should."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from handlebar.cli.checks.finding import Finding

_TELLING = ("lazy-apps", "lazy", "py-call-uwsgi-fork-hooks", "py-call-osafterfork")
"""Settings of uWSGI with which each worker is told, or begins, on its own."""

_OFF = ("", "0", "false", "no", "off")


def process_findings(uwsgi: str | None) -> Iterator[Finding]:
    """Yield what is found of the interpreter, and of uWSGI's *uwsgi* file where there is one."""
    if hasattr(os, "register_at_fork"):
        yield Finding("fork", "good", "this Python tells us of forks: a client may be made before a server forks")
    else:
        yield Finding("fork", "skipped", "this platform does not fork")
    yield from _of_gevent()
    if uwsgi is None:
        yield Finding("uwsgi", "skipped", "no --uwsgi file was named")
    else:
        yield from _of_uwsgi(_settings(Path(uwsgi)))


def _of_gevent() -> Iterator[Finding]:
    if find_spec("gevent") is None:
        yield Finding("gevent", "skipped", "it is not installed")
        return
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        yield Finding("gevent", "good", "it has patched threading")
    else:
        yield Finding(
            "gevent",
            "doubtful",
            "it is installed, and nothing is patched in this process",
            "Where it serves the agent, call gevent.monkey.patch_all() before anything else is imported.",
        )


def _settings(file: Path) -> Mapping[str, str]:
    """Return what the [uwsgi] section says; uWSGI lets a key stand twice, and without a value."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, inline_comment_prefixes=("#", ";"))
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except configparser.Error:
        return {}
    return {name: value or "true" for name, value in parser["uwsgi"].items()} if parser.has_section("uwsgi") else {}


def _of_uwsgi(settings: Mapping[str, str]) -> Iterator[Finding]:
    if not settings:
        yield Finding("uwsgi", "bad", "the file has no [uwsgi] section that can be read", "Name uWSGI's ini file.")
        return
    yield _of_threads(settings)
    yield _of_workers(settings)


def _of_threads(settings: Mapping[str, str]) -> Finding:
    if _is_on(settings, "enable-threads") or _is_several(settings, "threads"):
        return Finding("uwsgi", "good", "threads are enabled")
    said = "enable-threads" in settings
    advice = "Add enable-threads = true: where they are not, nothing runs in the background, and events are not sent."
    if said:
        return Finding("uwsgi", "bad", "threads are switched off", advice)
    return Finding("uwsgi", "doubtful", "threads are not enabled, which older versions of uWSGI need", advice)


def _of_workers(settings: Mapping[str, str]) -> Finding:
    forks = _is_several(settings, "processes") or _is_several(settings, "workers")
    if not forks or any(_is_on(settings, name) for name in _TELLING):
        return Finding("uwsgi", "good", "workers know that they are other processes")
    advice = "Add py-call-uwsgi-fork-hooks = true, or lazy-apps = true."
    return Finding("uwsgi", "doubtful", "workers are forked, and Python's libraries are not told of it", advice)


def _is_on(settings: Mapping[str, str], name: str) -> bool:
    return settings.get(name, settings.get(name.replace("-", "_"), "")).strip().lower() not in _OFF


def _is_several(settings: Mapping[str, str], name: str) -> bool:
    value = settings.get(name, "1").strip()
    # A variable of uWSGI's own, such as %k, is more than one on most hosts.
    return not value.isdecimal() or int(value) > 1
