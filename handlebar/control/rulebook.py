"""What is in force in this process: policies, lockdowns, and the engines made of them."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import PerProcess
from handlebar.control import agents, lockdowns, policy_store
from handlebar.control.database import Database
from handlebar.control.lockdowns import LockdownRecord
from handlebar.control.policies import PolicySources
from handlebar.control.policy_store import PolicyRecord
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.core.schema.governance import PolicyVersion
from handlebar.core.schema.rules import Policy
from handlebar.policy.engine import Engine, compile_policies
from handlebar.policy.selecting import selects_agent

_GENERATION = (
    "SELECT coalesce((SELECT max(number) FROM policy_versions), 0)"
    " + coalesce((SELECT max(number) FROM lockdown_changes), 0)"
    " + coalesce((SELECT sum(version) FROM agents), 0)"
)
"""Asks for a number that grows with every change of a policy, a lockdown or an agent."""


@frozen(kw_only=True)
class AgentRules:
    """
    What is in force for one agent.

    Attributes:
        policies: The enabled policies that select it.

        records: The same, as the database keeps them.

        versions: The same, as decisions name them.
    """

    agent: AgentDescriptor
    engine: Engine
    policies: tuple[Policy, ...]
    records: tuple[PolicyRecord, ...]
    versions: tuple[PolicyVersion, ...]


@frozen
class InForce:
    """
    Policies and lockdowns of one generation; agents are looked up, and their engines compiled, on first use.

    Attributes:
        file_number: Counts the files that the database has been, as this process has seen it.
    """

    file_number: int
    generation: int
    policies: tuple[PolicyRecord, ...]
    lockdowns: tuple[LockdownRecord, ...]
    agents: dict[str, AgentRules] = field(factory=dict)


class _Process:
    """What one process knows."""

    def __init__(self) -> None:
        self.loaded: tuple[int, int] | None = None
        self.in_force: InForce | None = None
        self.agents: dict[str, AgentDescriptor] = {}


class Rulebook:
    """
    Keeps what is in force, and reads it again when anybody has changed it; lives as long as its control plane.

    Thread-safe and fork-safe.

    Args:
        sources: The policies of the client's config, which are put in force by each process that decides.
    """

    def __init__(self, database: Database, tenant: str, sources: PolicySources) -> None:
        self._database = database
        self._tenant = tenant
        self._sources = sources
        self._process: PerProcess[_Process] = PerProcess(_Process)

    def agent_registered(self, agent_id: str, agent: AgentDescriptor) -> None:
        """Take note of an agent, as it is described from now on."""
        self._process.get().agents[agent_id] = agent

    def load_sources(self, deadline: Deadline) -> None:
        """Put the config's policies in force, where this process has not done so yet, or they have changed."""
        self._load(self._process.get(), self._database.file_number(deadline), deadline)

    def _load(self, process: _Process, file_number: int, deadline: Deadline) -> bool:
        """Load, as `load_sources` says; tell whether that was needed."""
        reading = self._sources.latest()
        now = (file_number, reading.number)
        if process.loaded == now:
            return False
        if reading.sources or process.agents:
            with self._database.write(deadline) as connection:
                policy_store.store_sources(connection, self._tenant, reading.sources)
                # A new file in the old one's place knows none of them; whoever has their ids keeps them.
                for agent_id, agent in process.agents.items():
                    agents.restore(connection, self._tenant, agent_id, agent)
        process.loaded = now
        return True

    def current(self, deadline: Deadline) -> InForce:
        """Return what is in force, read again where somebody has changed it."""
        process = self._process.get()
        seen = self._database.state(_GENERATION, deadline)
        if self._load(process, seen[0], deadline):
            seen = self._database.state(_GENERATION, deadline)
        known = process.in_force
        if known is None or (known.file_number, known.generation) != seen:
            with self._database.read(deadline) as connection:
                found = (
                    policy_store.in_force(connection, self._tenant),
                    lockdowns.in_force(connection, self._tenant),
                )
            process.in_force = known = InForce(*seen, *found)
        return known

    def rules_for(self, agent_id: str, in_force: InForce, deadline: Deadline) -> AgentRules:
        """
        Return what is in force for an agent.

        Raises:
            RefusedError: There is no such agent (404).
        """
        known = in_force.agents.get(agent_id)
        if known is None:
            with self._database.read(deadline) as connection:
                agent = agents.find(connection, self._tenant, agent_id)
            known = in_force.agents[agent_id] = agent_rules(agent, in_force.policies)
        return known


def agent_rules(agent: AgentDescriptor, records: Sequence[PolicyRecord]) -> AgentRules:
    """Compile what *records* hold for *agent*."""
    meant = tuple(each for each in records if _is_for(agent, each))
    policies = tuple(each.policy for each in meant if each.policy is not None)
    return AgentRules(
        agent=agent,
        engine=_compiled(agent, policies),
        policies=policies,
        records=meant,
        versions=tuple(PolicyVersion(each.policy_id, each.version) for each in meant),
    )


def rules_on_trial(agent: AgentDescriptor, policies: Sequence[Policy]) -> AgentRules:
    """Compile *policies* for *agent*, which are in force nowhere."""
    return AgentRules(agent=agent, engine=_compiled(agent, policies), policies=tuple(policies), records=(), versions=())


def _compiled(agent: AgentDescriptor, policies: Sequence[Policy]) -> Engine:
    return compile_policies(policies, agent_slug=agent.slug, agent_tags=agent.tags or ())


def _is_for(agent: AgentDescriptor, record: PolicyRecord) -> bool:
    policy = record.policy
    if policy is None or not policy.enabled:
        return False
    return selects_agent(policy.agent_selector, slug=agent.slug, tags=agent.tags or ())
