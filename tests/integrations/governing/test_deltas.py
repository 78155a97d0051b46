"""Which messages of a conversation are new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from handlebar.core.messages import LLMMessage
from handlebar.integrations.governing.deltas import Deltas, Keyed, fingerprint

Said = tuple[str, str]


def keyed(*messages: Said) -> list[Keyed]:
    """Return messages without ids."""
    told = [LLMMessage(role, text) for role, text in messages]  # type: ignore[arg-type]
    return [Keyed(fingerprint(each), each) for each in told]


def test_each_message_is_new_once() -> None:
    """In a list that grows; what the model said is not told again."""
    deltas = Deltas()
    talk = [("system", "Be kind"), ("user", "Hello"), ("assistant", "Yes?"), ("tool", "42"), ("user", "Yes")]
    assert [0, 1] == deltas.unseen(keyed(*talk[:2]))
    assert [3] == deltas.unseen(keyed(*talk[:4]))
    assert [4] == deltas.unseen(keyed(*talk))
    assert [] == deltas.unseen(keyed(*talk))


def test_an_earlier_conversation_is_not_told_again() -> None:
    """At a run's first call, only instructions, and what came after the model's last answer."""
    talk = [("system", "Be kind"), ("user", "Hello"), ("assistant", "Yes?"), ("user", "Help")]
    assert [0, 3] == Deltas().unseen(keyed(*talk))


def test_who_repeats_himself_is_heard_twice() -> None:
    """Within one list."""
    deltas = Deltas()
    deltas.unseen(keyed(("user", "yes")))
    assert [2] == deltas.unseen(keyed(("user", "yes"), ("assistant", "Sure?"), ("user", "yes")))


def test_a_list_that_starts_again() -> None:
    """After a retry, nothing is told twice, and what is new is told."""
    deltas = Deltas()
    deltas.unseen(keyed(("system", "a"), ("user", "b"), ("tool", "c")))
    assert [] == deltas.unseen(keyed(("system", "a"), ("user", "b")))
    assert [1] == deltas.unseen(keyed(("system", "a"), ("user", "d")))


MESSAGES = st.lists(st.tuples(st.sampled_from(["user", "tool"]), st.sampled_from("abc")), min_size=1, max_size=12)


@given(MESSAGES, st.lists(st.integers(1, 12)))
def test_growing_lists_show_everything_once_in_order(talk: list[Said], cuts: list[int]) -> None:
    """Whatever the pieces in which the list grows."""
    deltas = Deltas()
    shown: list[Said] = []
    for cut in [*sorted(cuts), len(talk)]:
        shown += [talk[place] for place in deltas.unseen(keyed(*talk[:cut]))]
    assert talk == shown
