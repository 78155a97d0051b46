"""Plain LangGraph: a graph of one's own, whose tool node asks before each call; needs no model."""

from __future__ import annotations

from typing import Any

from desk import ARGUMENTS, hb, issue_refund, report
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.graph import MessagesState, StateGraph

from handlebar.integrations.langgraph import governed_tool_node

graph: Any = StateGraph(MessagesState)
graph.add_node("tools", governed_tool_node([tool(issue_refund)], hb))
graph.set_entry_point("tools")
wanted = AIMessage("", tool_calls=[{"name": "issue_refund", "args": ARGUMENTS, "id": "call-1"}])
with hb.run(actor="user-123"):
    report(graph.compile().invoke({"messages": [wanted]})["messages"][-1].content)
