"""The doors: every public name is there, sorted, typed, and cheap to import."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import handlebar
import handlebar.core
import handlebar.core.schema
import handlebar.handoff.models

DOORS = [handlebar, handlebar.core, handlebar.core.schema, handlebar.handoff, handlebar.handoff.models]

HEAVY = {"requests", "urllib3", "cattrs", "asyncio", "ssl", "sqlite3", "sqlalchemy", "flask", "yaml"}
"""What `import handlebar.core` must not load, and what using its lighter names must not load either."""


def _typed_face(door: ModuleType) -> dict[str, str]:
    """Return each name of the stub beside *door*, and the module that the stub takes it from."""
    assert door.__file__ is not None
    tree = ast.parse(Path(door.__file__).with_suffix(".pyi").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {name.asname or name.name: node.module or "" for node in imports for name in node.names}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_every_name_can_be_had(door: ModuleType) -> None:
    """Each name of `__all__` is found, and no other."""
    assert sorted(door.__all__) == list(door.__all__)
    for name in door.__all__:
        assert getattr(door, name) is not None
    assert set(door.__all__) <= set(dir(door))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = door.nonsense


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_the_typed_face_is_the_real_face(door: ModuleType) -> None:
    """What type checkers see is what there is, taken from the same modules."""
    face = _typed_face(door)
    assert sorted(face) == list(door.__all__)
    for name, module in face.items():
        assert getattr(importlib.import_module(module), name) is getattr(door, name)


@pytest.mark.parametrize(
    "statement",
    [
        "import handlebar",
        "import handlebar.core",
        "from handlebar.core import HandlebarClient, HandlebarClientConfig, RunConfig, Run",
        "import handlebar; handlebar.init; handlebar.tool",
    ],
)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    """A program that only imports, or decorates its tools, pays for no HTTP, database or event loop."""
    script = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set() == HEAVY & set(json.loads(done.stdout))
