"""What the tables have in common: where they are kept, and their kinds of columns."""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import BigInteger, Dialect, Integer, MetaData, TypeDecorator
from sqlalchemy import Text as _Text

metadata = MetaData()
"""All tables of the control plane."""


class Text(TypeDecorator[str]):
    """Text of any origin: half of a surrogate pair is kept as its escape; so is NUL, which PostgreSQL does not hold."""

    impl = _Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return *value* as the database can hold it."""
        if value is None:
            return None
        if dialect.name == "postgresql" and "\0" in value:
            value = value.replace("\0", "\\x00")
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()


class Name(TypeDecorator[str]):
    """
    Text that others have chosen, and that an index holds: of a long one the beginning, and a hash of the whole.

    PostgreSQL refuses what no page of an index can hold, and a call that is refused so would be left undecided. The
    same long name is the same still, wherever it is written or looked for; both databases hold it alike.
    """

    impl = _Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return *value* as an index can hold it."""
        if value is None or (len(value) <= _LONGEST_NAME and "\0" not in value and value.isascii()):
            return value
        return _shortened(value.replace("\0", "\\x00").encode(errors="backslashreplace"))


_LONGEST_NAME = 512
"""In bytes; several of them share an index."""

_KEPT = 400


def _shortened(name: bytes) -> str:
    if len(name) <= _LONGEST_NAME:
        return name.decode()
    return f"{name[:_KEPT].decode(errors='ignore')}~{sha256(name).hexdigest()}"


# SQLite numbers rows by itself only where the type is exactly INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")
