"""What a model can fill in to use hand-offs as a tool: the full schema, for frameworks that read it from Pydantic."""

from typing import Literal

from pydantic import BaseModel, Field

DESCRIPTION = (
    "Hand work over to another agent, or take work over. Actions: create (needs target_agent_id and summary), "
    "claim, get, complete (each needs packet_id), update (needs packet_id, and status or summary)."
)
"""What the model reads of the tool."""


class ToolArguments(BaseModel):
    """The arguments of the hand-off tools."""

    action: Literal["create", "claim", "update", "complete", "get"] = Field(description="What to do.")
    packet_id: str | None = Field(None, description="Which packet; needed for every action but create.")
    target_agent_id: str | None = Field(None, description="Create: the id of the agent that takes over.")
    target_agent_name: str | None = Field(None, description="Create: that agent's name; its id if left out.")
    summary: str | None = Field(None, description="Create, update: what the work is about, in a few words.")
    status: str | None = Field(None, description="Update: in_progress, awaiting_human, completed or failed.")
    agent_id: str | None = Field(None, description="Create, claim: your own id.")
    agent_name: str | None = Field(None, description="Create, claim: your own name.")
    priority: str = Field("normal", description="Create: low, normal, high or critical.")
    tags: str | list[str] | None = Field(None, description="Create: words to find the packet by; commas between them.")
