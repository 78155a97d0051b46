"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import os

from handlebar._plumbing.clock import time_ns


def uuid7() -> str:
    """
    Return a new UUID of version 7 (RFC 9562): milliseconds since 1970, then 74 random bits.

    Those come from the operating system, so that a fork's child never repeats what its parent makes.
    """
    time = f"{time_ns() // 1_000_000:012x}"
    chance = os.urandom(10)
    digits = chance.hex()
    variant = "89ab"[chance[9] & 3]
    return f"{time[:8]}-{time[8:]}-7{digits[:3]}-{variant}{digits[3:6]}-{digits[6:18]}"
