from handlebar.integrations.openai_agents.running import HandlebarRunner as HandlebarRunner

__all__ = ["HandlebarRunner"]
