"""Conditions on sensitive data in a call's arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from handlebar.core.schema.rules import Detector, SensitiveDataCondition
from handlebar.policy.answers import Test, sure
from handlebar.policy.arguments import leaves_in, reader, texts_in
from handlebar.policy.comparing import is_number
from handlebar.policy.detecting.catalogue import detector
from handlebar.policy.detecting.origins import origin_test
from handlebar.policy.detecting.plain_text import plain
from handlebar.policy.facts import Call

TextsTest = Callable[[Sequence[str]], bool]

# No number that a detector looks for is longer, and Python refuses to write out huge ones.
_MOST_OF_NUMBER = 10**30


def sensitive_data_test(condition: SensitiveDataCondition) -> Test:
    """Compile a condition on what detectors find; `allOf` may find each thing in another text."""
    tests = [_found_test(each) for each in condition.detectors]
    joined = all if condition.op == "allOf" else any
    texts_of = _texts_reader(condition.path)

    def holds(call: Call) -> bool:
        texts = list(map(plain, texts_of(call)))
        return joined(test(texts) for test in tests)

    return sure(holds)


def _found_test(wanted: Detector) -> TextsTest:
    find = detector(wanted.detector).find
    if wanted.sub_condition is None:
        return lambda texts: any(True for text in texts for _ in find(text))
    test = origin_test(wanted.sub_condition)
    return lambda texts: any(test(found) for text in texts for found in find(text))


def _texts_reader(path: str | None) -> Callable[[Call], Iterable[str]]:
    """Return what reads the texts to look at: those at *path* and below, numbers too; else all texts, no numbers."""
    if path is None:
        return lambda call: texts_in(call.args)
    read = reader(path)
    return lambda call: _texts_and_numbers(read(call.args))


def _texts_and_numbers(value: Any) -> Iterator[str]:
    for leaf in leaves_in(value):
        if isinstance(leaf, str):
            yield leaf
        elif is_number(leaf) and abs(leaf) < _MOST_OF_NUMBER:
            yield str(leaf)
