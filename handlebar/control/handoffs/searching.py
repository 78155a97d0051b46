"""
The full-text search in packets.

The one module that speaks each database's own dialect: FTS5 on SQLite, tsvector on PostgreSQL. The index is no table
of ours but the database's business; it is made when the first packet comes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping

from attrs import frozen
from sqlalchemy import Connection, text

from handlebar.handoff.models.packets import PacketResponse


@frozen(kw_only=True)
class Found:
    """
    What a search has found.

    Attributes:
        numbers: The packets' numbers, best first, as many as were asked for.

        total: How many there are.
    """

    numbers: list[int]
    total: int


@frozen(kw_only=True)
class Wanted:
    """
    What to search for.

    Attributes:
        words: Texts that must all occur, each as one piece.

        filters: Values that columns of the packets' table must have.

        with_deleted: Whether deleted packets are wanted too.
    """

    words: tuple[str, ...]
    filters: Mapping[str, str]
    with_deleted: bool
    limit: int
    offset: int


@frozen(kw_only=True)
class _Dialect:
    """
    How one kind of database searches.

    Attributes:
        most_bytes: So much of the summary, and of the rest, is searched.

        matching: Where packets are searched.

        condition: Returns what holds where all words occur, and the values in it.

        rank: What the best has least of; `{condition}` stands for the condition.
    """

    create: tuple[str, ...]
    exists: str
    put: str
    forget: str
    most_bytes: int
    matching: str
    condition: Callable[[tuple[str, ...]], tuple[str, Mapping[str, str]]]
    rank: str


def _match(words: tuple[str, ...]) -> tuple[str, Mapping[str, str]]:
    expression = " ".join(f'"{word.rstrip("*")}"' + "*" * word.endswith("*") for word in words)
    return ":expression", {"expression": expression}


def _tsquery(words: tuple[str, ...]) -> tuple[str, Mapping[str, str]]:
    # As it stands or by its stem: of words like "and" there is no stem.
    either = "(to_tsquery('simple', :word{0}) || to_tsquery('english', :word{0}))"
    wanted = " && ".join(either.format(number) for number in range(len(words)))
    return f"({wanted})", {f"word{number}": _lexeme(word) for number, word in enumerate(words)}


def _lexeme(word: str) -> str:
    return "'" + word.rstrip("*").replace("\\", " ").replace("'", " ") + "'" + ":*" * word.endswith("*")


_SQLITE = _Dialect(
    create=(
        "CREATE VIRTUAL TABLE IF NOT EXISTS handoff_search "
        "USING fts5(summary, rest, tokenize='porter unicode61 remove_diacritics 2')",
    ),
    exists="SELECT 1 FROM sqlite_master WHERE name = 'handoff_search'",
    put="INSERT INTO handoff_search (rowid, summary, rest) VALUES (:number, :summary, :rest)",
    forget="DELETE FROM handoff_search WHERE rowid = :number",
    most_bytes=2**30,
    matching="handoff_search s JOIN handoff_packets p ON p.number = s.rowid WHERE handoff_search MATCH",
    condition=_match,
    # What a packet is about counts more than what was said on the way.
    rank="bm25(handoff_search, 8.0, 1.0)",
)
_POSTGRES = _Dialect(
    create=(
        "CREATE TABLE IF NOT EXISTS handoff_search (number BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)",
        "CREATE INDEX IF NOT EXISTS handoff_search_words ON handoff_search USING gin (words)",
    ),
    exists="SELECT 1 WHERE to_regclass('handoff_search') IS NOT NULL",
    put=(
        "INSERT INTO handoff_search (number, words) VALUES (:number, "
        "setweight(to_tsvector('simple', :summary) || to_tsvector('english', :summary), 'A') || "
        "setweight(to_tsvector('simple', :rest) || to_tsvector('english', :rest), 'D'))"
    ),
    forget="DELETE FROM handoff_search WHERE number = :number",
    # All in all, a tsvector holds less than a megabyte.
    most_bytes=100_000,
    matching="handoff_search s JOIN handoff_packets p ON p.number = s.number WHERE s.words @@",
    condition=_tsquery,
    rank="-ts_rank_cd(s.words, {condition})",
)
_DIALECTS: Mapping[str, _Dialect] = {"sqlite": _SQLITE, "postgresql": _POSTGRES}


def index(connection: Connection, number: int, packet: PacketResponse) -> None:
    """Let a new packet be found."""
    dialect = _DIALECTS[connection.dialect.name]
    if connection.execute(text(dialect.exists)).first() is None:
        for statement in dialect.create:
            connection.execute(text(statement))
    _put(connection, dialect, number, packet)


def index_again(connection: Connection, number: int, before: PacketResponse, after: PacketResponse) -> None:
    """Let a packet be found by what it has become."""
    if _texts(before) != _texts(after):
        dialect = _DIALECTS[connection.dialect.name]
        connection.execute(text(dialect.forget), {"number": number})
        _put(connection, dialect, number, after)


def words_in(query: str) -> tuple[str, ...]:
    """Return the words of what a person types, whatever that is; one that ends in `*` may go on."""
    words = _plain(query).replace('"', " ").replace("\0", " ").split()
    return tuple(word for word in words if any(letter.isalnum() for letter in word))


def search(connection: Connection, tenant: str, wanted: Wanted) -> Found:
    """Return the tenant's packets in which all the words occur, best first."""
    dialect = _DIALECTS[connection.dialect.name]
    if not wanted.words or connection.execute(text(dialect.exists)).first() is None:
        return Found(numbers=[], total=0)
    condition, words = dialect.condition(wanted.words)
    values = {**words, "tenant": tenant, **{name: _plain(value) for name, value in wanted.filters.items()}}
    conditions = [f"p.{column} = :{column}" for column in ("tenant", *wanted.filters)]
    deleted = () if wanted.with_deleted else ("NOT p.deleted",)
    matching = " AND ".join((f"{dialect.matching} {condition}", *conditions, *deleted))
    # Nothing in these but our own words: what somebody has sent is bound.
    counting = f"SELECT count(*) FROM {matching}"  # noqa: S608  # as the comment says
    best_first = f"{dialect.rank.format(condition=condition)}, p.number DESC"
    page = f"SELECT p.number FROM {matching} ORDER BY {best_first} LIMIT :limit OFFSET :offset"  # noqa: S608  # as above
    total = connection.execute(text(counting), values).scalar_one()
    found = connection.execute(text(page), {**values, "limit": wanted.limit, "offset": wanted.offset}).scalars()
    return Found(numbers=list(found), total=total)


def _put(connection: Connection, dialect: _Dialect, number: int, packet: PacketResponse) -> None:
    summary, rest = (each.encode()[: dialect.most_bytes].decode(errors="ignore") for each in _texts(packet))
    connection.execute(text(dialect.put), {"number": number, "summary": summary, "rest": rest})


def _texts(packet: PacketResponse) -> tuple[str, str]:
    """Return what a packet is found by: its summary, and every other text in it."""
    members = packet.to_dict()
    summary = members["context"].pop("summary")
    parts = (members.get(part) for part in ("context", "decisions", "actions", "dependencies", "metadata", "hitl"))
    return _plain(summary), _plain("\n".join(leaf for part in parts for leaf in _leaves(part)))


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _plain(words: str) -> str:
    """Return *words* without accents, and without what no database takes."""
    parts = unicodedata.normalize("NFKD", words.replace("\0", " "))
    letters = "".join(letter for letter in parts if not unicodedata.combining(letter))
    return letters.encode(errors="replace").decode()
