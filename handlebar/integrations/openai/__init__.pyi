from handlebar.integrations.openai.loop import HandlebarToolLoop as HandlebarToolLoop

__all__ = ["HandlebarToolLoop"]
