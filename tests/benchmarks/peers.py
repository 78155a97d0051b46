"""Published packages, each in a virtual environment of its own: one of them has our package's name."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PEER = "handlebar-core==0.2.1"
KERNEL = "agent-os-kernel==3.7.0"

# What they import, and do not ask for.
_FORGOTTEN = {KERNEL: ["pyyaml"]}

Ask = Callable[..., float]
"""Asks for one figure: what is to be measured, and how."""


@contextmanager
def peer_environment(package: str) -> Iterator[Path | None]:
    """Install *package*; yield its interpreter, None where it cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        # Isolated: what is on our own path must not be taken for what is installed there.
        install = [python, "-I", "-m", "pip", "install", "-qqq", package, *_FORGOTTEN.get(package, ())]
        yield None if subprocess.run(install, check=False).returncode else python


@contextmanager
def peer_process(python: Path | None, script: str, *arguments: Any) -> Iterator[Ask | None]:
    """Run *script*, one of this folder, by a peer's interpreter; yield what asks it for figures, None without one."""
    if python is None:
        yield None
        return
    file = Path(__file__).with_name(script)
    # Isolated: it must not find our package.
    command = [str(python), "-I", "-W", "ignore", str(file), *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=file.parent, text=True) as peer:

        def ask(*what: Any) -> float:
            if peer.stdin is None or peer.stdout is None:
                raise RuntimeError("the peer has no pipes")
            print(json.dumps(what), file=peer.stdin, flush=True)
            return float(peer.stdout.readline())

        yield ask
        peer.kill()
