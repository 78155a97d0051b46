"""The published handlebar-core, in a virtual environment of its own, because it has our package's name."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.timing import Arm

PEER = "handlebar-core==0.2.1"


@contextmanager
def peer_environment() -> Iterator[Path | None]:
    """Install the peer; yield its interpreter, None where it cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        installed = subprocess.run([python, "-m", "pip", "install", "-qqq", PEER], check=False)
        yield None if installed.returncode else python


@contextmanager
def peer_arms(python: Path | None, port: int) -> Iterator[dict[str, Arm]]:
    """Run the peer against the server at *port*; yield its arms."""
    if python is None:
        yield {}
        return
    script = Path(__file__).with_name("peer_script.py")
    # Isolated: it must not find our package, which has the same name.
    command = [str(python), "-I", "-W", "ignore", str(script), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=script.parent, text=True) as peer:

        def ask(name: str, calls: int) -> float:
            if peer.stdin is None or peer.stdout is None:
                raise RuntimeError("the peer has no pipes")
            print(json.dumps([name, calls]), file=peer.stdin, flush=True)
            return float(peer.stdout.readline())

        yield {
            f"{PEER}, blocking call": lambda calls: ask("blocking", max(5, calls // 20)),
            f"{PEER}, one client on one loop": lambda calls: ask("one loop", calls),
        }
        peer.kill()
