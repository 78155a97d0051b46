"""Identifiers that sort by time."""

from __future__ import annotations

import threading
import time
import uuid

from handlebar._plumbing.identifiers import uuid7
from tests.support.forks import in_child


class TestUuid7:
    def test_form(self) -> None:
        """It is written as every UUID is: lower case, 8-4-4-4-12."""
        made = uuid7()

        assert made == str(uuid.UUID(made))

    def test_version_and_variant(self) -> None:
        """Version 7 and the variant of RFC 9562 are in each of them, whatever the random bits are."""
        made = [uuid.UUID(uuid7()) for _ in range(500)]

        assert {7} == {each.version for each in made}
        assert {uuid.RFC_4122} == {each.variant for each in made}

    def test_holds_the_time(self) -> None:
        """The first 48 bits are the milliseconds since 1970."""
        before = time.time_ns() // 1_000_000
        made = uuid.UUID(uuid7()).int >> 80
        after = time.time_ns() // 1_000_000

        assert before <= made <= after

    def test_sorts_by_time(self) -> None:
        """As text, one that was made a millisecond later sorts behind."""
        made = []
        for _ in range(20):
            made.append(uuid7())
            time.sleep(0.002)

        assert made == sorted(made)

    def test_every_random_bit_varies(self) -> None:
        """Among many, each of the 74 random bits is seen as 0 and as 1."""
        random_bits = (0xFFF << 64) | ((1 << 62) - 1)
        seen_set, seen_clear = 0, 0
        for _ in range(500):
            value = uuid.UUID(uuid7()).int
            seen_set |= value
            seen_clear |= ~value

        assert random_bits == seen_set & random_bits
        assert random_bits == seen_clear & random_bits

    def test_unique_over_threads(self) -> None:
        """Eight threads make no two that are equal."""
        made: list[str] = []
        threads = [threading.Thread(target=lambda: made.extend([uuid7() for _ in range(2000)])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 16_000 == len(set(made))

    def test_unique_over_forks(self) -> None:
        """Two children and their parent make no two that are equal."""
        uuid7()
        children = [in_child(lambda: " ".join(uuid7() for _ in range(200))).split() for _ in range(2)]
        made = [*children[0], *children[1], *(uuid7() for _ in range(200))]

        assert 600 == len(set(made))
