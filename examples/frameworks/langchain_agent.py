"""LangChain: an agent with our middleware."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from desk import ARGUMENTS, ONLINE, QUESTION, hb, issue_refund, report
from langchain.agents import create_agent
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage

from handlebar.integrations.langchain import HandlebarMiddleware


class Scripted(FakeMessagesListChatModel):  # type: ignore[misc]  # its type is not known where this is checked
    """LangChain's fake model, which takes tools."""

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Any:
        """Take *tools*, and do what the script says."""
        return self


wanted = AIMessage("", tool_calls=[{"name": "issue_refund", "args": ARGUMENTS, "id": "call-1"}])
model: Any = "openai:gpt-4o-mini" if ONLINE else Scripted(responses=[wanted, AIMessage("I may not do that.")])
agent: Any = create_agent(model, [issue_refund], middleware=[HandlebarMiddleware(hb, actor="user-123")])
report(agent.invoke({"messages": [{"role": "user", "content": QUESTION}]})["messages"][-1].content)
