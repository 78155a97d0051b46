"""Measuring: hooks of the user's that measure tool calls, and a place to gather what they find."""
