"""Arguments by parameter name."""

from __future__ import annotations

from typing import Any

import pytest

from handlebar.core.arguments import by_name


def _refund(order_id: str, amount: float = 10.0, *extra: int, currency: str = "EUR", **more: Any) -> None: ...


class _Desk:
    def close(self, reason: str) -> None: ...


def test_positional_and_keyword_arguments_are_the_same_call() -> None:
    """A rule cannot be dodged by writing a call the other way."""
    assert by_name(_refund)(("A", 5.0), {}) == by_name(_refund)((), {"amount": 5.0, "order_id": "A"})


def test_defaults_are_filled_in() -> None:
    """A rule sees the amount that the function will use, also where the caller left it out."""
    named = by_name(_refund)(("A",), {})
    assert {"order_id": "A", "amount": 10.0, "extra": (), "currency": "EUR"} == named


def test_extra_keywords_keep_their_own_names() -> None:
    """What goes into **kwargs is found under the name it was given."""
    assert "x" == by_name(_refund)(("A",), {"note": "x"})["note"]


def test_a_keyword_that_shares_a_positional_only_name_is_kept_in_sight() -> None:
    """Neither of two values of one name is hidden from the rules."""

    def odd(amount: float, /, **more: Any) -> None: ...

    assert {"amount": 5, "more": {"amount": 900}} == by_name(odd)((5,), {"amount": 900})


def test_a_methods_receiver_is_left_out() -> None:
    """`self` is no argument of the call."""
    assert {"reason": "late"} == by_name(_Desk.close)((_Desk(), "late"), {})
    assert {"reason": "late"} == by_name(_Desk().close)(("late",), {})


def test_a_wrong_call_is_a_type_error_that_names_the_function() -> None:
    """A call that the function would refuse is refused before anything is decided."""
    with pytest.raises(TypeError, match=r"_refund\(\): missing a required argument: 'order_id'"):
        by_name(_refund)((), {})


def test_a_builtin_without_a_signature_gives_what_it_was_given() -> None:
    """Functions built in C can be guarded too."""
    assert {"args": [1, 2], "default": 3} == by_name(max)((1, 2), {"default": 3})
