"""Embedded control planes for tests: in this process, and in others that do as they are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from handlebar._plumbing.clock import Deadline
from handlebar.control import EmbeddedControlPlane, history, open_control_plane
from handlebar.control.history import Caller
from handlebar.core.measuring import Measured
from handlebar.core.plane import EncodedEvent, EvaluateRequest, Phase
from handlebar.core.schema.agents import Actor, AgentDescriptor
from handlebar.core.schema.governance import Decision

PATIENT = 30.0
"""A budget that is long enough on a machine that does other things too."""

ROOT = Path(__file__).parents[2]


def a_rule(condition: Mapping[str, Any], effect: str = "block", *, phase: Phase = "tool.before", **more: Any) -> Any:
    """Return a rule for every tool, or for one, as files hold it."""
    name = more.pop("name", "the rule")
    selector = {"phase": phase, "tool": {"name": more.pop("tool", "*")}}
    return {"name": name, "selector": selector, "condition": condition, "effect": {"type": effect}, **more}


def a_policy(*rules: Any, name: str = "the policy", **more: Any) -> Any:
    """Return a policy for every agent, as files hold it."""
    return {"name": name, "rules": list(rules), **more}


def a_limit(most: int, *patterns: str, **more: Any) -> Any:
    """Return the condition that so many calls were made."""
    return {
        "kind": "maxCalls",
        "selector": {"by": "toolName", "patterns": patterns or ("refund",)},
        "max": most,
        **more,
    }


def an_event(run: str, text: str) -> EncodedEvent:
    """Return an audit event of which little is known."""
    return EncodedEvent(run_id=run, kind="test", ts="2026-07-01T12:00:00Z", text=json.dumps({"said": text}))


@frozen
class Desk:
    """An agent that is registered with a control plane."""

    plane: EmbeddedControlPlane
    agent_id: str

    def asks(self, tool: str = "refund", *, args: Any = None, run: str = "run", **more: Any) -> Decision:
        """Return the decision on a call."""
        budget = more.pop("budget", PATIENT)
        actor = more.pop("actor", None)
        request = EvaluateRequest(
            phase=more.pop("phase", "tool.before"),
            run_id=run,
            agent_id=self.agent_id,
            tool_name=tool,
            tool_tags=tuple(more.pop("tool_tags", ())),
            args=Measured.of(args or {}),
            actor=Actor(actor) if isinstance(actor, str) else actor,
            **more,
        )
        return self.plane.evaluate(request, budget=budget)

    def may(self, tool: str = "refund", **more: Any) -> bool:
        """Whether a call is allowed."""
        return self.asks(tool, **more).allowed

    def tells(self, batch_id: str, *events: EncodedEvent) -> None:
        """Record a batch."""
        self.plane.record(self.agent_id, batch_id, events, budget=PATIENT)


@contextmanager
def a_desk(file: Path | None, *policies: Any, slug: str = "desk", **more: Any) -> Iterator[Desk]:
    """Open a control plane on *file*, None for one in memory, and register an agent; close it at the end."""
    tags = more.pop("tags", None)
    source = more.pop("source", list(policies) or None)
    plane = open_control_plane(url_of(file), policies=source, owner=slug, **more)
    with closing(plane):
        yield Desk(plane, plane.register_agent(AgentDescriptor(slug, tags=tags), [], budget=PATIENT))


def url_of(file: Path | None) -> str:
    """Return the endpoint that means *file*; where tests run on PostgreSQL, the database that stands for it."""
    if file is not None and "HANDLEBAR_TEST_POSTGRES_PORT" in os.environ:
        from tests.support.postgres import url_for  # needs packages that not every interpreter has

        return url_for(file)
    return "sqlite://" if file is None else f"sqlite:///{file}"


def at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Call all of *works* at the same moment, each in a thread, and return what they return."""
    start = threading.Barrier(len(works))

    def started(work: Callable[[], Any]) -> Any:
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [each.result() for each in [pool.submit(started, work) for work in works]]


@frozen
class Worker:
    """Another process, with a control plane of its own on the same file."""

    process: subprocess.Popen[str]

    def tell(self, do: str, **order: Any) -> None:
        """Let it do something; `hear` waits for the result."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        """Return the next thing it says."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.endswith("\n"), "the process has ended"
        return json.loads(said)


@contextmanager
def workers(number: int, file: Path, *policies: Any) -> Iterator[list[Worker]]:
    """Start processes that have all imported, and opened nothing yet; end them at the end."""
    command = [sys.executable, "-W", "error", "-m", "tests.support.control", str(file), json.dumps(policies)]
    with ExitStack() as stack:
        started = [Worker(stack.enter_context(_process(command))) for _ in range(number)]
        assert ["ready"] * number == [each.hear() for each in started]
        yield started


def all_do(crowd: Sequence[Worker], do: str, **order: Any) -> list[Any]:
    """Let all of *crowd* do the same at the same time, and return what each says."""
    for each in crowd:
        each.tell(do, **order)
    return [each.hear() for each in crowd]


@contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


class _Orders:
    """What a worker can be told to do."""

    def __init__(self, file: Path, policies: Sequence[Any]) -> None:
        self._file = file
        self._policies = policies
        self._stack = ExitStack()
        self._known: Desk | None = None

    def use(self, file: str) -> None:
        """Close what is open, and go on with another file."""
        self._stack.close()
        self._file, self._known = Path(file), None

    def race(self, threads: int = 4, attempts: int = 1, **question: Any) -> int:
        """Ask from several threads at once; return how many calls were allowed."""
        desk = self._desk()
        return sum(at_once([lambda: sum(desk.may(**question) for _ in range(attempts))] * threads))

    def record(self, run: str, batches: int, prefix: str) -> str:
        """Record batches of three events."""
        for number in range(batches):
            batch_id = f"{prefix}-{number}"
            self._desk().tells(batch_id, *[an_event(run, f"{batch_id}-{place}") for place in range(3)])
        return "done"

    def stream(self, run: str) -> None:
        """Ask without end; say each answer."""
        while True:
            _say(self._desk().may(run=run))

    def stall(self, run: str) -> None:
        """Take a place in a transaction that never ends."""
        desk = self._desk()
        caller = Caller(agent_id=desk.agent_id, run_id=run, actor_id=None, run_tags={}, at=0)
        with desk.plane._database.write(Deadline.after(PATIENT)) as connection:
            history.remember_call(connection, caller, "refund", ())
            _say("inside")
            threading.Event().wait(PATIENT)

    def _desk(self) -> Desk:
        if self._known is None:
            self._known = self._stack.enter_context(a_desk(self._file, *self._policies))
        return self._known


def _say(something: Any) -> None:
    sys.stdout.write(json.dumps(something) + "\n")
    sys.stdout.flush()


def _work(file: str, policies: str) -> None:
    orders = _Orders(Path(file), json.loads(policies))
    _say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        _say(getattr(orders, order.pop("do"))(**order))


if __name__ == "__main__":
    _work(*sys.argv[1:])
