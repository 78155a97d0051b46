"""Counting tokens, for models that do not say what they used."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from handlebar.errors import HandlebarError

ENCODING = "o200k_base"


def tokenise_count(text: str) -> int:
    """
    Return how many tokens *text* has, by the encoding of OpenAI's present models.

    The first call loads the encoding, which tiktoken fetches and keeps in its cache.

    Raises:
        HandlebarError: The extra `tokens` is not installed.
    """
    # Ordinary: text from outside that looks like a control token is text, not an error.
    return len(_encoding().encode_ordinary(text))


@cache
def _encoding() -> Any:
    try:
        tiktoken = importlib.import_module("tiktoken")
    except ModuleNotFoundError as error:
        raise HandlebarError('Counting tokens needs tiktoken: pip install "handlebar[tokens]"') from error
    return tiktoken.get_encoding(ENCODING)
