"""How values are shown: times, numbers, and text that agents wrote."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

MOST_SHOWN = 20_000
"""Longer text is cut: a page is no place for a megabyte."""

# Marks that turn the direction of the text around them, and characters that show nothing at all.
_HIDDEN = ("Cf", "Cc", "Cs", "Co")
_LINES = "\n\t"
_NO_LINES = str.maketrans("", "", _LINES)


def when(moment: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def number(value: float) -> str:
    """Return a number with its thousands apart."""
    return f"{value:,.0f}".replace(",", "\u202f")


def dollars(value: float) -> str:
    """Return a sum in US dollars."""
    return f"${value:,.2f}"


def plain(value: object) -> str:
    """Return what an agent wrote, so that nothing in it acts: controls and direction marks become visible."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    shown = _visible(text[:MOST_SHOWN])
    return shown if len(text) <= MOST_SHOWN else f"{shown}… ({number(len(text) - MOST_SHOWN)} characters more)"


def pretty(value: object) -> str:
    """Return a value as JSON that people can read, as `plain` does."""
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _visible(text: str) -> str:
    # Nothing is hidden in what Python can print: that is nearly all text, and quick to tell.
    if text.translate(_NO_LINES).isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in _LINES or unicodedata.category(character) not in _HIDDEN:
        return character
    return f"\\u{ord(character):04x}"


FILTERS: Mapping[str, Callable[[Any], str]] = {
    "when": when,
    "number": number,
    "dollars": dollars,
    "plain": plain,
    "pretty": pretty,
}
"""What templates call them, after `handlebar_`."""
