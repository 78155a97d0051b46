"""A policy document: plain values, and the line that each of them stands on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

from attrs import Factory, frozen

MAX_DEPTH = 64
"""How deep the values of a document may lie in each other."""

MAX_NODES = 300_000
"""How many values a document may hold, each use of a YAML alias counted anew."""

Steps = tuple[Union[str, int], ...]
"""The keys and list positions that lead to a value."""


class DocumentError(Exception):
    """
    A document cannot be read at all.

    Attributes:
        line: Where reading stopped, if that is known.
    """

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@frozen
class Leaf:
    """A value that holds no others."""

    value: Any
    line: int | None = None


@frozen
class Items:
    """A list, its parts not looked at yet."""

    parts: Sequence[Any]
    line: int | None = None


@frozen
class Pairs:
    """A mapping as it is written: key, line of the key, and the part, not looked at yet."""

    entries: Sequence[tuple[Any, int | None, Any]]
    line: int | None = None


Look = Callable[[Any], Union[Leaf, Items, Pairs]]
"""Tells what a part of a source is."""


@frozen
class Fault:
    """Something wrong with the form of a document, which can be read all the same."""

    path: Steps
    line: int | None
    message: str


@frozen
class Document:
    """
    What one file, or one value given in Python, holds.

    Attributes:
        origin: The file, or the place in the list that was given.

        value: Made of dict, list and leaves only; a leaf may still be of any type.

        lines: The line of each value, where there are lines.
    """

    origin: str
    value: Any
    lines: Mapping[Steps, int] = Factory(dict)
    faults: tuple[Fault, ...] = ()

    def where(self, path: Steps) -> str:
        """Return `file:line` of the value at *path*, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return located(self.origin, self.lines.get(path))

    def problem(self, path: Steps, message: str) -> str:
        """Return `file:line: path: message`."""
        return f"{self.where(path)}: {path_text(path)}: {message}"

    def fault_problems(self) -> list[str]:
        """Return the faults as problems."""
        return [
            f"{located(self.origin, fault.line)}: {path_text(fault.path)}: {fault.message}" for fault in self.faults
        ]


def grow(origin: str, root: Any, look: Look) -> Document:
    """
    Make a document of *root*.

    Args:
        origin: What problems name the document by.

        root: The source as a whole.

        look: Tells what a part of the source is.

    Raises:
        DocumentError: The document is too deep or too large.
    """
    growth = _Growth(look)
    value = growth.grow(root, ())
    return Document(origin, value, growth.lines, tuple(growth.faults))


def of_python(origin: str, value: Any) -> Document:
    """Make a document of a value given in Python."""
    return grow(origin, value, _look_at_python)


def located(origin: str, line: int | None) -> str:
    """Return *origin*, with the line where there is one."""
    return origin if line is None else f"{origin}:{line}"


def path_text(path: Steps) -> str:
    """Return *path* as people write it, e.g. `rules[0].condition.op`."""
    return "".join(_step_text(step) for step in path).removeprefix(".") or "document"


def _step_text(step: str | int) -> str:
    if isinstance(step, str) and step.isidentifier():
        return f".{step}"
    return f"[{step!r}]"


def _look_at_python(value: Any) -> Leaf | Items | Pairs:
    if isinstance(value, Mapping):
        return Pairs([(key, None, part) for key, part in value.items()])
    if isinstance(value, (list, tuple)):
        return Items(value)
    return Leaf(value)


class _Growth:
    """The making of one document."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._nodes = 0
        self.lines: dict[Steps, int] = {}
        self.faults: list[Fault] = []

    def grow(self, node: Any, path: Steps, line: int | None = None) -> Any:
        seen = self._look(node)
        line = seen.line if line is None else line
        self._count(path, line)
        if isinstance(seen, Leaf):
            return seen.value
        if isinstance(seen, Items):
            return [self.grow(part, (*path, index)) for index, part in enumerate(seen.parts)]
        return self._mapping(seen, path)

    def _count(self, path: Steps, line: int | None) -> None:
        self._nodes += 1
        if len(path) > MAX_DEPTH:
            raise DocumentError(f"the values are nested too deep; at most {MAX_DEPTH} levels", line=line)
        if self._nodes > MAX_NODES:
            raise DocumentError(f"the document is too large; at most {MAX_NODES} values", line=line)
        if line is not None:
            self.lines[path] = line

    def _mapping(self, seen: Pairs, path: Steps) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, line, part in seen.entries:
            if not isinstance(key, str):
                self.faults.append(Fault(path, line, f"a key is a {type(key).__name__}; quote it"))
            elif key in made:
                self.faults.append(Fault((*path, key), line, "the key is there twice; leave one out"))
            else:
                made[key] = self.grow(part, (*path, key), line)
        return made
