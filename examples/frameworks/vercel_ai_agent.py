"""Vercel's `ai`: an agent of our class."""

from __future__ import annotations

import asyncio
from typing import Any

import ai
import desk
from ai.testing import FakeModel, tool_call
from desk import ARGUMENTS, ONLINE, QUESTION, hb, report

from handlebar.integrations.vercel_ai import HandlebarAgent


@ai.tool  # type: ignore[untyped-decorator]  # its type is not known where this is checked
async def issue_refund(order_id: str, amount: float) -> str:
    """Pay the money for an order back."""
    return desk.issue_refund(order_id, amount)


async def main() -> None:
    """Ask, and print the answer."""
    asked = ai.user_message(QUESTION)
    wanted = ai.assistant_message(tool_call("issue_refund", **ARGUMENTS))
    said = ai.assistant_message("I may not do that.")
    model: Any = ai.get_model("openai/gpt-4o-mini") if ONLINE else FakeModel([asked, wanted, said])
    async with HandlebarAgent(hb, tools=[issue_refund], actor="user-123").run(model, [asked]) as stream:
        async for _ in stream:
            pass
    report(stream.messages[-1].text)


asyncio.run(main())
