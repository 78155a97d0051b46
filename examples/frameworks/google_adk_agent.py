"""Google ADK: a runner with our plugin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from desk import ARGUMENTS, ONLINE, QUESTION, hb, issue_refund, report
from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai import types

from handlebar.integrations.google_adk import HandlebarPlugin


class Scripted(BaseLlm):  # type: ignore[misc]  # its type is not known where this is checked
    """Wants the refund, and then gives up."""

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[LlmResponse, None]:
        """Answer."""
        said = types.Part(text="I may not do that.")
        wanted = types.Part(function_call=types.FunctionCall(name="issue_refund", args=ARGUMENTS))
        part = wanted if len(llm_request.contents) == 1 else said
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


async def main() -> None:
    """Ask, and print the answer."""
    model: Any = "gemini-2.5-flash" if ONLINE else Scripted(model="scripted")
    agent = LlmAgent(name="desk", model=model, tools=[issue_refund])
    events = await InMemoryRunner(agent, plugins=[HandlebarPlugin(hb)]).run_debug(QUESTION, quiet=True)
    report(events[-1].content.parts[0].text)


asyncio.run(main())
