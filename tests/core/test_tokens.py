"""Counting tokens."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest

from handlebar.core import tokens
from handlebar.core.tokens import tokenise_count
from handlebar.errors import HandlebarError


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """No test sees an encoding that another has loaded."""
    tokens._encoding.cache_clear()
    yield
    tokens._encoding.cache_clear()


@pytest.fixture
def counted() -> None:
    """Skip where tiktoken, or the encoding that it fetches, cannot be had."""
    pytest.importorskip("tiktoken", reason="the extra `tokens` is not installed")
    try:
        tokenise_count("")
    except HandlebarError:
        raise
    except Exception as error:  # requests' own, of many kinds
        pytest.skip(f"the encoding cannot be fetched here: {type(error).__name__}")


@pytest.mark.usefixtures("counted")
def test_tokens_of_a_text() -> None:
    """Nothing has none, words have one each, and more text has more."""
    assert 0 == tokenise_count("")
    assert 2 == tokenise_count("hello world")
    assert 100 == tokenise_count(" hello" * 100)


@pytest.mark.usefixtures("counted")
def test_text_that_looks_like_a_control_token_is_text() -> None:
    """What a user writes is neither an error nor a single token."""
    assert tokenise_count("<|endoftext|>") > 1


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra, and nothing else of the package is harmed."""
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(HandlebarError, match=r'pip install "handlebar\[tokens\]"'):
        tokenise_count("hello")


def test_importing_the_module_does_not_import_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is looked for when something is counted first."""
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    importlib.reload(tokens)
