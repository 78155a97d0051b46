"""Something that can be done once only."""

from __future__ import annotations

import threading

from handlebar._plumbing.once import Once


def test_the_first_value_is_kept() -> None:
    """A second claim is told no, and changes nothing."""
    once: Once[str] = Once()
    assert once.value is None
    assert once.claim("first")
    assert not once.claim("second")
    assert "first" == once.value


def test_the_same_value_twice_is_still_claimed_once() -> None:
    """Equal values do not make two winners."""
    once: Once[bool] = Once()
    assert [True, False] == [once.claim(True), once.claim(True)]


def test_one_of_many_threads_wins() -> None:
    """However many threads meet, one claim is granted."""
    for _ in range(50):
        once: Once[int] = Once()
        start = threading.Barrier(8)
        won: list[int] = []

        def compete(
            number: int, once: Once[int] = once, start: threading.Barrier = start, won: list[int] = won
        ) -> None:
            start.wait()
            if once.claim(number):
                won.append(number)

        threads = [threading.Thread(target=compete, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [once.value] == won
