"""The tables: made by migrations, equal to what the code works with, by however many at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

from handlebar._plumbing.clock import Deadline
from handlebar.control import migrating
from handlebar.control.database import Database
from handlebar.control.tables import metadata
from tests.support.control import a_desk, a_limit, a_policy, a_rule, all_do, at_once, url_of, workers


@contextmanager
def opened(file: Path) -> Iterator[Connection]:
    """Open a transaction of our own on *file*."""
    engine = create_engine(url_of(file))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def config_on(connection: Connection | None = None) -> Config:
    """Return what Alembic's commands need."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


def differences(file: Path) -> list[object]:
    """Return how the tables in *file* differ from those that the code works with."""
    with opened(file) as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))


def test_migrations_make_the_tables_of_the_code(file: Path) -> None:
    """After the first use the schema is that of the metadata, with nothing to add or drop."""
    with a_desk(file):
        pass
    assert [] == differences(file)
    with opened(file) as connection:
        assert {*metadata.tables, "alembic_version"} == set(inspect(connection).get_table_names())


def test_the_head_is_the_newest_migration() -> None:
    """The constant that is compared with at start names the only head of the script directory."""
    assert [migrating.HEAD] == ScriptDirectory.from_config(config_on()).get_heads()


def test_every_migration_goes_down_and_up_again(file: Path) -> None:
    """From head to nothing, version by version, and up again, gives the same schema; nothing is left in between."""
    with a_desk(file):
        pass
    versions = list(ScriptDirectory.from_config(config_on()).walk_revisions())
    for _ in versions:
        with opened(file) as connection:
            command.downgrade(config_on(connection), "-1")
    with opened(file) as connection:
        assert ["alembic_version"] == inspect(connection).get_table_names()
        assert not migrating.is_current(connection)
    with closing(Database(url_of(file))) as database:
        database.upgrade(Deadline.after(60))
    with a_desk(file) as desk:
        assert desk.may()
    assert [] == differences(file)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "version", [None, *[each.revision for each in ScriptDirectory.from_config(config_on()).walk_revisions()]]
)
def test_an_old_file_is_brought_up_to_date(file: Path, version: str | None) -> None:
    """A file of any earlier version, an empty one too, is migrated by its first use."""
    with opened(file) as connection:
        if version is not None:
            command.upgrade(config_on(connection), version)
    with a_desk(file) as desk:
        assert desk.may()
    assert [] == differences(file)


@pytest.mark.sqlite
def test_foreign_tables_are_left_alone(file: Path) -> None:
    """A file that holds somebody else's table keeps it."""
    with opened(file) as connection:
        connection.execute(text("CREATE TABLE theirs (a)"))
        connection.execute(text("INSERT INTO theirs VALUES (7)"))
    with a_desk(file) as desk:
        assert desk.may()
    with opened(file) as connection:
        assert 7 == connection.execute(text("SELECT a FROM theirs")).scalar()


def test_threads_open_a_new_file_at_once(file: Path) -> None:
    """Eight planes in eight threads on a file that is not there yet all work."""

    def ask(number: int) -> bool:
        with a_desk(file, slug=f"desk-{number}") as desk:
            return desk.may()

    assert [True] * 8 == at_once([lambda number=number: ask(number) for number in range(8)])
    assert [] == differences(file)


@pytest.mark.slow
def test_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Eight processes that open a brand-new file at the same moment all work, on one truth, and warn of nothing."""
    with workers(8, tmp_path, a_policy(a_rule(a_limit(5)))) as crowd:
        for number in range(4):
            file = tmp_path / f"new-{number}.db"
            all_do(crowd, "use", file=str(file))
            assert 5 == sum(all_do(crowd, "race", threads=1))
            assert [] == differences(file)
            with opened(file) as connection:
                assert 1 == connection.execute(text("SELECT count(*) FROM policy_versions")).scalar()
                assert 1 == connection.execute(text("SELECT count(*) FROM agents")).scalar()
