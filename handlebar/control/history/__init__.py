"""What the database remembers of tool calls, for rules that look back."""

from handlebar.control.history.callers import Caller
from handlebar.control.history.calls import count_calls, past_calls, remember_call
from handlebar.control.history.metrics import metric, remember_metrics

__all__ = ["Caller", "count_calls", "metric", "past_calls", "remember_call", "remember_metrics"]
