"""Why the rules say what they say of a call: the same as the engine, slower, with every step told."""

from handlebar.policy.explaining.rules import Explanation, explain

__all__ = ["Explanation", "explain"]
