"""What a detector is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from attrs import frozen

from handlebar.policy import regexes


class Detector(Protocol):
    """Finds one sort of data; it does not change, and takes time in proportion to the text."""

    def find(self, text: str) -> Iterator[str]:
        """Yield what is found in *text*, which is plain (see `plain_text`)."""
        ...


def anything(found: str) -> bool:
    """Say yes to whatever is found."""
    return True


@frozen
class PatternDetector:
    """
    Finds what a regex matches, where the match passes a check.

    Attributes:
        pattern: As `regexes.compiled` makes it: one that takes linear time.
    """

    pattern: Any
    is_good: Callable[[str], bool] = anything

    def find(self, text: str) -> Iterator[str]:
        """Yield each good match, without what stands around its first group, if it has one."""
        group = self.pattern.groups and 1
        # Bytes, because RE2 would count the characters up to each match of a str.
        for match in self.pattern.finditer(text.encode("utf-8", "replace")):
            found = match.group(group).decode("utf-8", "replace")
            if self.is_good(found):
                yield found


def pattern_detector(pattern: str, is_good: Callable[[str], bool] = anything) -> PatternDetector:
    """Return a detector of what the regex *pattern* matches and *is_good* takes."""
    return PatternDetector(regexes.compiled(pattern), is_good)
