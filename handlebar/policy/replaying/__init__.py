"""Past calls, decided again under other policies."""

from handlebar.policy.replaying.recorded import CallReader, RecordedCall
from handlebar.policy.replaying.replay import Replay, Replayed, Summary

__all__ = ["CallReader", "RecordedCall", "Replay", "Replayed", "Summary"]
