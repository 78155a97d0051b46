"""What stands in the place of a framework's base class where the framework is not installed."""

from __future__ import annotations

from typing import Any


def missing(distribution: str) -> Any:
    """Return a base class whose children can be imported, but not made without *distribution*."""

    class Missing:
        """Says what to install."""

        def __init_subclass__(cls, **options: Any) -> None:
            """Take whatever the real base class takes."""

        def __new__(cls, *args: Any, **options: Any) -> Any:
            raise ImportError(f"{cls.__name__} needs {distribution}: pip install {distribution}")

    return Missing
