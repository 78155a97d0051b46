"""Doors of packages that load a name's module when the name is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_door(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """
    Return the `__getattr__` and `__dir__` of *package*.

    Importing the package stays cheap, and a module may import a sibling of the
    door without running into a circle. The typed face of the door is the
    `__init__.pyi` beside it; a test holds the two against each other.

    Args:
        package: The package's full name.

        homes: Each public name and the module that defines it.
    """

    def load(name: str) -> Any:
        if name not in homes:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = getattr(importlib.import_module(homes[name]), name)
        # The next look-up finds the value itself and never comes back here.
        vars(importlib.import_module(package))[name] = value
        return value

    def names() -> list[str]:
        return sorted(homes)

    return load, names
