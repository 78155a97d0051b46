"""What a client gives to each of its runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import Factory, field, frozen

from handlebar.core.config import RunConfig
from handlebar.core.deciding import DecisionSource
from handlebar.core.minutes import Minutes
from handlebar.core.model_traffic import ModelTraffic
from handlebar.core.plane import ApprovalStatus, RunEndStatus
from handlebar.core.questions import Examiner
from handlebar.core.run_recorder import RunRecorder
from handlebar.core.schema.governance import Decision


@frozen(kw_only=True)
class RunParts:
    """
    What a client gives to a run.

    Attributes:
        agent: The agent's slug.

        source: Who answers for the run, as long as nothing has stopped it.

        enforced: False in shadow and off mode, where the caller always gets an ALLOW.

        registered_tags: The tags of each tool that the client has registered.

        on_decision: Told of every decision.

        on_end: Told, once, which run has ended, and how; tells the control plane and drains the sinks.

        on_park: Told which run is parked, and what it was started with; drains the sinks.

        minutes: What was said and decided, for hand-offs.

        approval_status: Tells what has become of a question to a person; None where nobody can be asked.

        pause: Waits so many seconds; False when the client is shutting down.
    """

    agent: str = ""
    source: DecisionSource
    enforced: bool
    recorder: RunRecorder
    examiner: Examiner
    traffic: ModelTraffic
    registered_tags: Callable[[str], tuple[str, ...]]
    on_decision: Callable[[Decision], None]
    on_end: Callable[[Any, RunEndStatus], None] = field(repr=False)
    on_park: Callable[[Any, RunConfig], None] = field(repr=False)
    approval_status: Callable[[str], ApprovalStatus | None]
    pause: Callable[[float], bool]
    minutes: Minutes = Factory(Minutes)
