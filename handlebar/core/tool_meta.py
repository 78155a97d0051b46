"""Tools described: a name, tags and a description put onto tools that other packages made."""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import field, frozen

from handlebar.core.schema import checks
from handlebar.core.schema.agents import Tool
from handlebar.errors import ConfigError

T = TypeVar("T")


@frozen
class ToolMeta:
    """What Handlebar wants to know of a tool beside its name."""

    tags: tuple[str, ...] | None = field(
        default=None, converter=checks.tuple_or_none, validator=checks.optional(checks.texts)
    )
    description: str | None = field(default=None, validator=checks.optional(checks.text))


def define_tool(name: str, meta: ToolMeta | None = None) -> Tool:
    """
    Describe a tool that is defined elsewhere, or nowhere in Python.

    Raises:
        ConfigError: *name* is empty.
    """
    meta = meta or ToolMeta()
    return Tool(name, meta.description, meta.tags)


def wrap_tool(tool: T, meta: ToolMeta) -> T:
    """
    Put *meta* onto *tool* and return the same object.

    What *meta* leaves open stays as the tool has it. The tool is not guarded by this: `handlebar.tool` guards.

    Raises:
        ConfigError: The object takes no attributes.
    """
    _put(tool, "tags", meta.tags if meta.tags is not None else getattr(tool, "tags", None) or ())
    _put(
        tool,
        "description",
        meta.description if meta.description is not None else getattr(tool, "description", None) or "",
    )
    return tool


def _put(tool: Any, name: str, value: object) -> None:
    try:
        setattr(tool, name, value)
    except Exception as error:  # frozen, slotted, or a model with fields of its own
        raise ConfigError("tool", tool, f"an object whose attribute {name!r} can be set") from error
