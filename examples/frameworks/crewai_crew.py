"""CrewAI: a crew that is kicked off in a governed block."""

from __future__ import annotations

import json
from typing import Any

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.tools import tool
from desk import ARGUMENTS, ONLINE, QUESTION, hb, issue_refund, report

from handlebar.integrations.crewai import HandlebarHooks


class Scripted(BaseLLM):  # type: ignore[misc]  # its type is not known where this is checked
    """Wants the refund, and then gives up."""

    def call(self, messages: Any, *args: Any, **options: Any) -> Any:
        """Answer."""
        if any(message["role"] == "tool" for message in messages):
            return "I may not do that."
        return [{"id": "call-1", "function": {"name": "issue_refund", "arguments": json.dumps(ARGUMENTS)}}]

    def supports_function_calling(self) -> bool:
        """Yes."""
        return True


model: Any = "openai/gpt-4o-mini" if ONLINE else Scripted(model="scripted")
refund = tool("issue_refund")(issue_refund)
clerk = Agent(role="clerk", goal="Help", backstory="Friendly.", llm=model, tools=[refund])
crew = Crew(agents=[clerk], tasks=[Task(description=QUESTION, expected_output="An answer", agent=clerk)])
with HandlebarHooks(hb).governing(actor="user-123"):
    report(crew.kickoff().raw)
