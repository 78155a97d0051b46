"""Text without the disguises that Unicode offers."""

from __future__ import annotations

import unicodedata

_PIECE = 1024
_MOST_REMEMBERED = 1 << 16
_STRUCK_THROUGH = 1
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f")


def plain(text: str) -> str:
    """
    Return *text* as detectors read it.

    Compatibility forms are normalised (NFKC), so full-width letters and digits become plain ones, as do the digits of
    all scripts; all dashes and spaces become `-` and a blank. What cannot be seen is taken out: zero-width characters,
    soft hyphens, marks of direction, variation selectors; so are strokes through a letter.
    """
    if text.isascii():
        return text
    return _normalised(text.translate(_LETTERS)).translate(_LETTERS)


def _normalised(text: str) -> str:
    """Normalise in pieces: Python sorts the marks on one letter in quadratic time."""
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    return "".join(unicodedata.normalize("NFKC", piece) for piece in pieces)


class _Letters(dict[int, "str | None"]):
    """What `str.translate` makes of each character; those met so far are remembered."""

    def __missing__(self, code: int) -> str | None:
        made = _plain_letter(chr(code))
        if len(self) < _MOST_REMEMBERED:
            self[code] = made
        return made


def _plain_letter(letter: str) -> str | None:
    category = unicodedata.category(letter)
    if category == "Nd":
        return str(unicodedata.decimal(letter))
    if category == "Pd" or letter == "\N{MINUS SIGN}":
        return "-"
    if category == "Zs":
        return " "
    return None if category == "Cf" or _is_invisible(letter) else letter


def _is_invisible(letter: str) -> bool:
    name = unicodedata.name(letter, "")
    return (
        letter in _INVISIBLE
        or name.startswith("VARIATION SELECTOR")
        or unicodedata.combining(letter) == _STRUCK_THROUGH
    )


_LETTERS = _Letters({code: chr(code) for code in range(128)})
