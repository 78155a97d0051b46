"""Making the agent known to the control plane: once in each process, again in the background until it succeeds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from handlebar._plumbing import logs
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.retry import RetryPolicy
from handlebar._plumbing.time_limits import told
from handlebar._plumbing.timers import schedule
from handlebar.core.plane import ControlPlane
from handlebar.core.schema.agents import AgentDescriptor, Tool
from handlebar.errors import ControlPlaneError

_AGAIN = RetryPolicy(retries=2**31, base=0.5, cap=5.0)
"""How long to wait before the next background attempt."""


class _Attempts:
    """What one process knows of its registration."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.begun = False
        self.first_over = threading.Event()
        self.agent_id: str | None = None


class Registration:
    """
    The agent's id at the control plane; lives as long as the client.

    Thread-safe and fork-safe: each process registers for itself, on first use.

    Args:
        on_registered: Called with the agent id whenever a process has got it.
    """

    def __init__(
        self,
        plane: ControlPlane,
        agent: AgentDescriptor,
        tools: Sequence[Tool],
        *,
        budget: float,
        on_registered: Callable[[str], None],
    ) -> None:
        self._plane = plane
        self._agent = agent
        self._tools = tools
        self._budget = budget
        self._on_registered = on_registered
        self._attempts: PerProcess[_Attempts] = PerProcess(_Attempts)
        self._closed = False

    @property
    def agent_id(self) -> str | None:
        """The agent's id, None while it is not known."""
        return self._attempts.get().agent_id

    def ensure(self, timeout: float | None = None) -> str | None:
        """
        Return the agent's id, registering first where this process has not tried yet.

        Threads that come while the first attempt is under way wait for it, *timeout* seconds at most.
        """
        attempts = self._attempts.get()
        if attempts.agent_id is not None:
            return attempts.agent_id
        with attempts.lock:
            mine = not attempts.begun
            attempts.begun = True
        if mine:
            self._attempt(attempts, number=0)
        else:
            attempts.first_over.wait(self._budget if timeout is None else timeout)
        return attempts.agent_id

    def update_tools(self, tools: Sequence[Tool]) -> None:
        """Register *tools* from now on, in this and later processes."""
        self._tools = tools

    def close(self) -> None:
        """Try no more."""
        self._closed = True

    def _attempt(self, attempts: _Attempts, *, number: int) -> None:
        try:
            attempts.agent_id = self._plane.register_agent(self._agent, self._tools, budget=self._budget)
        except ControlPlaneError as error:
            logs.warn_once_a_minute(f"register:{error.reason}", "The agent could not be registered: %s", error)
        except Exception as error:  # a fault of ours must not break the agent
            logs.warn_once_a_minute("register:bug", "Registering the agent failed: %s", told(error))
        finally:
            attempts.first_over.set()
        if attempts.agent_id is not None:
            self._on_registered(attempts.agent_id)
        elif not self._closed:
            schedule(_AGAIN.delay(number), lambda: self._again(attempts, number=number + 1))

    def _again(self, attempts: _Attempts, *, number: int) -> None:
        if not self._closed:
            self._attempt(attempts, number=number)
