"""What a rule can want done with a call."""

from __future__ import annotations

from typing import Literal

Effect = Literal["allow", "hitl", "block"]
"""What a rule does with a call that it matches; `hitl` asks a person (human in the loop)."""
