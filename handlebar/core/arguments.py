"""Arguments by parameter name: rules see the same call, however it was written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

ByName = Callable[[tuple[Any, ...], Mapping[str, Any]], dict[str, Any]]
"""Gives the arguments of a call by name; raises TypeError where the function would."""

_RECEIVERS = ("self", "cls")


def by_name(fn: Callable[..., Any]) -> ByName:
    """
    Return the function that names the arguments of calls to *fn*, with defaults filled in.

    `**kwargs` are named as they were given, `*args` make a list under their parameter's name, and a method's
    receiver is left out.
    """
    try:
        signature = inspect.signature(fn)
    except (ValueError, TypeError):  # built in C, without a signature
        return lambda args, kwargs: {"args": list(args), **kwargs}
    receiver, extra = _receiver(signature), _extra(signature)

    def name(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{getattr(fn, '__name__', 'tool')}(): {error}") from None
        bound.apply_defaults()
        named = dict(bound.arguments)
        named.pop(receiver, None)
        return _flattened(named, extra)

    return name


def _receiver(signature: inspect.Signature) -> str:
    first = next(iter(signature.parameters), "")
    return first if first in _RECEIVERS else ""


def _extra(signature: inspect.Signature) -> str:
    """Return the name of the `**kwargs` parameter, empty where there is none."""
    kinds = {p.name: p.kind for p in signature.parameters.values()}
    return next((name for name, kind in kinds.items() if kind is inspect.Parameter.VAR_KEYWORD), "")


def _flattened(named: dict[str, Any], extra: str) -> dict[str, Any]:
    given = named.pop(extra, None) or {}
    clash = {name: value for name, value in given.items() if name in named}
    # A positional-only parameter and a keyword may share a name: then both are kept in sight.
    return {**given, **named, **({extra: clash} if clash else {})}
