"""An office with five tools, each of which is decided differently: what every framework's tests work in."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from attrs import Factory, frozen

from handlebar.core.client import HandlebarClient
from handlebar.core.plane import EvaluateRequest
from handlebar.core.run import Run
from handlebar.core.schema.governance import Decision, HitlPendingCause, RunControl, Verdict
from tests.support.planes import ALLOW, BLOCK, STOP, ScriptedPlane
from tests.support.waiting import eventually

ASK = Decision(Verdict.BLOCK, RunControl.TERMINATE, HitlPendingCause("approval-1", "r-3"), "A person has to agree")
ANSWERS = {"search": ALLOW, "fail": ALLOW, "delete": BLOCK, "wipe": STOP, "pay": ASK}
"""The decision on each tool, until a person has answered."""

REFUSED = "Blocked by policy: Too much Ask for less."
STOPPED = "Blocked by policy: Enough"


@frozen(eq=False)
class Office:
    """
    A client, the plane that decides for it, and the tools' bodies.

    Attributes:
        done: The bodies that have run: name and argument, in order.
    """

    plane: ScriptedPlane
    client: HandlebarClient
    done: list[tuple[str, str]] = Factory(list)
    _lock: threading.Lock = Factory(threading.Lock)

    def work(self, name: str, what: str) -> str:
        """Be the body of a tool."""
        with self._lock:
            self.done.append((name, what))
        if name == "fail":
            raise ValueError(f"no {what}")
        return f"{name}: {what}"

    def body(self, name: str) -> Callable[[str], str]:
        """Return the body of the tool of that *name*, as a function that a framework can make a tool of."""

        def tool(what: str) -> str:
            return self.work(name, what)

        tool.__name__ = name
        tool.__doc__ = f"Does {name} to something."
        return tool

    def async_body(self, name: str) -> Callable[[str], Any]:
        """Return the body as a coroutine function."""

        async def tool(what: str) -> str:
            return self.work(name, what)

        tool.__name__ = name
        tool.__doc__ = f"Does {name} to something."
        return tool

    def settle(self) -> None:
        """Wait until every event is recorded."""
        self.client.shutdown_sync()

    def events(self, kind: str) -> list[Any]:
        """Return the recorded events of a kind."""
        self.settle()
        return [event for event in self.plane.events if event.kind == kind]

    def said(self) -> list[str]:
        """Return the content of every message that was recorded, in order."""
        return [event.data.content for event in self.events("message.raw.created")]

    def asked(self) -> list[str]:
        """Return the tools that were asked about before they ran, in order."""
        return [request.tool_name for request in self.plane.named("evaluate") if request.phase == "tool.before"]

    def ends(self) -> list[str]:
        """Return how the runs ended."""
        return [status for _, status in self.plane.named("end")]


def answer(request: EvaluateRequest) -> Decision:
    """Decide as the tool's name says, whoever serves it; what comes after a call is always all right."""
    return ANSWERS[request.tool_name.rpartition("__")[2]] if request.phase == "tool.before" else ALLOW


def overtaken(run: Run) -> Callable[[EvaluateRequest], Decision]:
    """Return what decides on `search` only when another call has stopped *run*."""

    def decide(request: EvaluateRequest) -> Decision:
        if request.tool_name.endswith("search"):
            assert eventually(lambda: run.should_terminate)
        return answer(request)

    return decide


def in_turn(*decisions: Decision) -> Callable[[EvaluateRequest], Decision]:
    """Return what gives *decisions* one after another, the last of them for ever."""
    left = list(decisions)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def as_json(**args: str) -> str:
    """Return arguments as a model writes them."""
    return json.dumps(args)
