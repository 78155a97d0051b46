"""What is kept open between uses."""

from __future__ import annotations

from itertools import count

import pytest

from handlebar.control.database.spares import Spares

pytestmark = pytest.mark.sqlite


class Drawer:
    """Opens numbers, and notes which were closed."""

    def __init__(self) -> None:
        numbers = count(1)
        self.closed: list[int] = []
        self.spares = Spares(lambda: next(numbers), self.closed.append)


def test_one_serves_again_and_again() -> None:
    """Another is opened only while it is lent."""
    drawer = Drawer()
    with drawer.spares.lend() as first, drawer.spares.lend() as second:
        assert (1, 2) == (first, second)
    with drawer.spares.lend() as third:
        assert third in (first, second)
    assert [] == drawer.closed


def test_what_something_was_raised_with_is_closed() -> None:
    """And is not lent again."""
    drawer = Drawer()
    with pytest.raises(ValueError, match="broken"), drawer.spares.lend():
        raise ValueError("broken")
    with drawer.spares.lend() as next_one:
        assert (2, [1]) == (next_one, drawer.closed)


def test_closing_closes_what_is_lent_when_it_comes_back() -> None:
    """At once what is not; later ones are opened anew."""
    drawer = Drawer()
    with drawer.spares.lend():
        with drawer.spares.lend():
            pass
        drawer.spares.close()
        assert [2] == drawer.closed
    assert [2, 1] == drawer.closed
    with drawer.spares.lend() as anew:
        assert 3 == anew
