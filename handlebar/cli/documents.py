"""The JSON that `--json` prints: one document, in the words of the HTTP interface."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import attrs
import click


def show_document(value: Any, **more: Any) -> None:
    """Print *value* as JSON; in ASCII, which no terminal takes for a command."""
    click.echo(json.dumps(plain(value, **more), indent=2))


def plain(value: Any, **more: Any) -> Any:
    """Return *value* as JSON values: records by their fields' names on the wire, and with what *more* adds."""
    if attrs.has(type(value)):
        fields = {each.name: getattr(value, each.name) for each in attrs.fields(type(value))}
        return {_on_the_wire(name): plain(field) for name, field in {**fields, **more}.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _on_the_wire(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
