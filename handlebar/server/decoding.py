"""Requests as values: what a body says, checked; raises `ProblemError` (400) and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

from attrs import frozen

from handlebar._plumbing import safe_json
from handlebar.control.approvals import Answer
from handlebar.core.measuring import Measured
from handlebar.core.plane import EncodedEvent, EvaluateRequest, Phase, RunEndStatus, StartRequest
from handlebar.core.schema.agents import LONGEST_SLUG, Actor, ActorGroup, AgentDescriptor, ModelInfo, Tool
from handlebar.core.schema.events import SCHEMA
from handlebar.core.schema.metrics import INBUILT_KEYS, is_custom_key
from handlebar.core.schema.subjects import SubjectRef
from handlebar.server.fields import Fields
from handlebar.server.problems import malformed

_MOST_SUBJECTS = 100
_NO_RUN = ""


@frozen
class LockdownOrder:
    """What a lockdown is to be about, and until when."""

    actor: str | None
    tool: str | None
    until: datetime | None = None


def agent_in(body: Fields) -> AgentDescriptor:
    """Read a registration."""
    slug, name, description = body.text("slug"), body.text_or_none("name"), body.text_or_none("description")
    if len(slug) > LONGEST_SLUG:
        raise malformed("slug", f"at most {LONGEST_SLUG} characters")
    return AgentDescriptor(slug, name, description, body.texts("tags"))


def tools_in(body: Fields) -> list[Tool]:
    """Read the tools of a registration."""
    return [_tool(each, each.texts("tags")) for each in body.parts("tools")]


def tool_entries_in(body: Fields) -> list[Tool]:
    """Read the tools of an agent that is registered; there, tags are in the metadata."""
    if body.value("tools") is None:
        raise malformed("tools", "a list")
    return [_tool(each, each.part("metadata").texts("metadata")) for each in body.parts("tools")]


def start_in(body: Fields, run_id: str) -> StartRequest:
    """Read that a run starts."""
    model = body.part_or_none("model")
    return StartRequest(
        run_id=run_id,
        agent_id=body.text("agentId"),
        session_id=body.text_or_none("sessionId"),
        actor=_actor(body),
        model=None if model is None else ModelInfo(model.text("name"), model.text_or_none("provider")),
        run_ttl_ms=body.amount_or_none("runTtlMs"),
    )


def question_in(body: Fields, run_id: str) -> EvaluateRequest:
    """Read a call that is to be decided."""
    phase: Phase = body.word("phase", get_args(Phase))
    tool = body.part("tool")
    return EvaluateRequest(
        phase=phase,
        run_id=run_id,
        agent_id=body.text("agentId"),
        tool_name=tool.text("name"),
        tool_tags=tool.texts("tags"),
        args=Measured.of(body.value("args")),
        result=Measured.of(body.value("result")) if phase == "tool.after" else None,
        actor=_actor(body),
        tags=body.texts_by_name("tags"),
        subjects=_subjects(body),
        metrics=_metrics(body),
        explain=body.truth("explain"),
    )


def check_in(body: Fields) -> EvaluateRequest:
    """Read a call that is to be decided as if it were made, outside any run."""
    tool = body.part("tool")
    return EvaluateRequest(
        phase="tool.before",
        run_id=_NO_RUN,
        agent_id=body.text("agentId"),
        tool_name=tool.text("name"),
        tool_tags=tool.texts("tags"),
        args=Measured.of(body.value("args")),
        actor=_actor(body),
        tags=body.texts_by_name("tags"),
        explain=body.truth("explain"),
    )


def end_in(body: Fields) -> tuple[str, RunEndStatus]:
    """Read that a run has ended: the agent's id, and how."""
    return body.text("agentId"), body.word("status", get_args(RunEndStatus))


def batch_in(body: Fields) -> tuple[str, list[EncodedEvent]]:
    """Read a batch of events: the agent's id, and the events as they will be kept."""
    if body.value("events") is None:
        raise malformed("events", "a list")
    return body.text("agentId"), [_event(each) for each in body.parts("events")]


def answer_in(body: Fields) -> tuple[Answer, str, str | None]:
    """Read a person's answer: the word, who gives it, and why."""
    return body.word("status", get_args(Answer)), body.text("respondedBy"), body.text_or_none("note")


def lockdown_in(body: Fields) -> LockdownOrder:
    """Read what is to be locked down, or no longer."""
    return LockdownOrder(body.text_or_none("actor"), body.text_or_none("tool"), body.moment_or_none("until"))


def _tool(entry: Fields, tags: tuple[str, ...]) -> Tool:
    return Tool(entry.text("name"), entry.text_or_none("description"), tags)


def _actor(body: Fields) -> Actor | None:
    actor = body.part_or_none("actor")
    if actor is None:
        return None
    group = actor.part_or_none("group")
    return Actor(**_party(actor), group=None if group is None else ActorGroup(**_party(group)))


def _party(fields: Fields) -> dict[str, Any]:
    """Read what actors and their groups have in common."""
    metadata = None if fields.value("metadata") is None else fields.texts_by_name("metadata")
    return {"external_id": fields.text("externalId"), "metadata": metadata, "name": fields.text_or_none("name")}


def _subjects(body: Fields) -> tuple[SubjectRef, ...]:
    subjects = body.parts("subjects")
    if len(subjects) > _MOST_SUBJECTS:
        raise malformed("subjects", f"a list of at most {_MOST_SUBJECTS}")
    return tuple(
        SubjectRef(
            each.text("subjectType"), each.any_text("value"), each.text_or_none("role"), each.text_or_none("idSystem")
        )
        for each in subjects
    )


def _metrics(body: Fields) -> dict[str, float]:
    metrics = body.numbers_by_name("metrics")
    if not all(key in INBUILT_KEYS or is_custom_key(key) for key in metrics):
        raise malformed("metrics", "keys of letters, digits and _, at most 64")
    return metrics


def _event(event: Fields) -> EncodedEvent:
    event.word("schema", (SCHEMA,))
    event.part("data")
    known = event.members()
    return EncodedEvent(event.text("runId"), event.text("kind"), event.time("ts"), safe_json.encode(known), known)
