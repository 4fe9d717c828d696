"""The database by URL: one schema on both kinds, what an older release wrote is kept, no password is said, no wait is endless."""

import contextlib
import sqlite3
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from casework import audit_log, keys, postgresql, registry_entries, rule_sets, schema
from casework import database as databases
from casework.database import Patience
from casework.ledger import Ledger
from casework.registry_entries import Filter
from casework.tables import METADATA, REVISION, id_hash
from casework.writers import bring_in
from domain.errors import InputError, LedgerError, SettingsError
from domain.identifiers import IdentifierKind
from tests import registry
from tests.casework.records import entry
from tests.casework.test_registry import IDENTIFIERS
from tests.databases import audit, execute, rows
from tests.postgresql import PostgreSQL

BEFORE = Path(__file__).with_name("before_migrations.sql")
QUICK = Patience(answer_s=0.5, connect_s=2)
PHONE = "+996555123456"


# ---- the schema ------------------------------------------------------------------------------------------------------


@pytest.fixture
def empty(request: pytest.FixtureRequest, url: str) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    if url.startswith(databases.SQLITE):
        yield url
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        yield (made := server.create("empty"))
        server.drop(made)


def test_the_steps_make_the_very_tables_that_are_declared(empty: str) -> None:
    with databases.connect(empty) as database, database.reading() as connection:
        assert (
            compare_metadata(MigrationContext.configure(connection, opts={"compare_server_default": True}), METADATA) == []
        )
        assert schema.is_up_to_date(connection)


def test_the_last_step_is_the_one_that_is_looked_for() -> None:
    assert ScriptDirectory(str(schema.STEPS)).get_current_head() == REVISION


def test_a_database_of_a_later_release_is_refused(url: str) -> None:
    with databases.connect(url) as database:
        execute(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SettingsError, match=r"9999.*made by a later release"):
        databases.connect(url)


def test_a_file_of_before_there_were_steps_is_taken_over_whole(tmp_path: Path) -> None:
    file = tmp_path / "burana.db"
    with closing(sqlite3.connect(file)) as old:
        old.executescript(BEFORE.read_text(encoding="utf-8"))
        old.executemany("INSERT INTO entries VALUES (?,?,?,?,?,?,?,?,?,?)", [entry(n) for n in range(1, 40)])
        old.commit()
    with databases.connect(databases.url_of(file)) as database:
        assert list(Ledger(database).read()) == [entry(n) for n in range(1, 40)]
        assert Ledger(database).find("operation", "op-7") == entry(7)
        taken_over = (
            "burana",
            "the audit log keeps a hash of each row from now on",
            "adoption: the rows that an earlier release wrote",
        )
        assert audit(database) == [("Aigul", "new key", "keys: make"), taken_over]
        assert keys.listed(database) == [("k1", "core", "read", "2025")]
        assert rule_sets.live(database) == rule_sets.RuleSet(1, "v1", "[[rules]]", "", "2025", "Aigul", "first")
        assert rows(database, "SELECT entry_id, removed_by FROM registry") == [(3, None), (4, "Bakyt")]
        assert rows(database, "SELECT * FROM shadow_scores") == [("m", 1, 0.5)]
        assert rows(database, "SELECT name FROM sqlite_master WHERE name LIKE 'before%'") == []
        with pytest.raises(LedgerError, match="never changed"):
            execute(database, "UPDATE entries SET id = 'x'")
        assert bring_in(database, iter([entry(40)])) == 1


def test_ids_are_found_by_their_hash_whatever_type_and_length() -> None:
    ids = [("operation", "a"), ("event", "a"), ("operation", "a" * 128), ("operation", "а")]
    assert len({id_hash(*one) for one in ids}) == len(ids)
    assert {len(id_hash(*one)) for one in ids} == {16}


# ---- how it is opened ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["mysql://root:secret@db/burana", "burana.db", "sqlite://", ""])
def test_other_databases_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(SettingsError, match="allowed sqlite:///FILE or postgresql://") as refused:
        databases.connect(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [("postgresql://burana:secret@db:5432/burana", "postgresql://burana:***@db:5432/burana"),
     ("postgresql://burana:se@cr:et@db/burana", "postgresql://burana:***@db/burana"),
     ("postgresql://db/burana?user=burana&password=secret&sslmode=verify-full",
      "postgresql://db/burana?user=burana&password=***&sslmode=verify-full"),
     ("postgresql://db/burana?sslpassword=secret", "postgresql://db/burana?sslpassword=***"),
     ("postgresql://one:5432,two:5433/burana", "postgresql://one:5432,two:5433/burana"),
     ("sqlite:////srv/burana/burana.db", "sqlite:////srv/burana/burana.db")],
)  # fmt: skip
def test_a_url_is_said_without_its_password(url: str, said: str) -> None:
    assert databases.masked(url) == said


@pytest.mark.parametrize("password", ["secret", "sec%zzret"])
def test_a_server_that_is_not_there_is_said_without_the_password(password: str) -> None:
    with pytest.raises((LedgerError, SettingsError)) as refused:
        databases.connect(f"postgresql://burana:{password}@127.0.0.1:1/burana", QUICK)
    said = str(refused.value)
    cause = refused.value.__cause__
    assert "sec" not in said.replace("***", "")
    assert "sec" not in str(cause)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "burana.db"
    file.write_bytes(b"this is not a database, and long enough to be looked at" * 100)
    with pytest.raises(LedgerError, match="cannot be opened as Burana's database"):
        databases.connect(databases.url_of(file))


def test_a_database_without_burana_s_tables_is_no_database_of_a_server(postgresql: PostgreSQL) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        databases.existing(postgresql.url("postgres"))


def test_a_transaction_is_all_or_nothing(url: str) -> None:
    with databases.connect(url) as database:
        with pytest.raises(ZeroDivisionError), database.transaction() as connection:
            audit_log.record_change(connection, "Aigul", "to try", "rules: one")
            raise ZeroDivisionError
        assert audit(database) == []


@pytest.mark.parametrize("text", ["half a pair: \ud800", "\udcff", "a\0b"], ids=ascii)
def test_a_text_that_the_database_cannot_keep_is_refused_for_good_and_not_for_now(url: str, text: str) -> None:
    keeps = url.startswith(databases.SQLITE) and "\0" in text
    with databases.connect(url) as database:
        with contextlib.nullcontext() if keeps else pytest.raises(InputError, match="text without NUL"):
            registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555123456", reference=text)
        with contextlib.nullcontext() if keeps else pytest.raises(InputError, match="text without NUL"):
            registry_entries.listed(database, Filter(source=text))
        assert len(audit(database)) == keeps


def test_a_number_that_no_database_has_is_refused_for_good_and_not_for_now(url: str) -> None:
    with databases.connect(url) as database, pytest.raises(InputError, match="numbers of 64 bits"):
        registry_entries.entry(database, 10**20)


# ---- durable, and in time --------------------------------------------------------------------------------------------


def test_a_commit_waits_for_the_server_s_disk_also_where_the_server_would_not(cloned: str) -> None:
    name = cloned.rpartition("/")[2]
    with closing(psycopg.connect(cloned, autocommit=True)) as other:
        other.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')  # type: ignore[call-overload]
    for durable, wanted in ((True, "on"), (False, "off")):
        with databases.connect(cloned, durable=durable) as database:
            assert rows(database, "SHOW synchronous_commit") == [(wanted,)]
    with closing(postgresql.connected(cloned, 1, 2)) as session:
        assert session.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_a_statement_that_takes_too_long_is_ended(cloned: str) -> None:
    with databases.connect(cloned, QUICK) as database:
        began = time.monotonic()
        with pytest.raises(LedgerError, match="statement timeout"):
            rows(database, "SELECT pg_sleep(30)")
        assert time.monotonic() - began < 5


def test_a_lock_that_somebody_keeps_is_not_waited_for_forever(cloned: str) -> None:
    with databases.connect(cloned, QUICK) as database, closing(psycopg.connect(cloned)) as other:
        other.execute("LOCK TABLE audit")
        with pytest.raises(LedgerError, match="nothing was recorded"), database.transaction() as connection:
            audit_log.record_change(connection, "Aigul", "to try", "rules: one")


def test_a_server_that_hangs_is_given_up_in_time_and_asked_again_when_it_goes_on(
    postgresql: PostgreSQL, cloned: str
) -> None:
    with databases.connect(cloned, QUICK) as database:
        ledger = Ledger(database)
        assert ledger.last_sequence == 0
        postgresql.pause()
        try:
            began = time.monotonic()
            for _ in range(2):
                with pytest.raises(LedgerError, match="cannot be read"):
                    _ = ledger.last_sequence
            assert time.monotonic() - began < 12
        finally:
            postgresql.resume()
        assert ledger.last_sequence == 0


def test_a_server_that_is_killed_and_started_again_is_found_again(postgresql: PostgreSQL, cloned: str) -> None:
    with databases.connect(cloned) as database:
        bring_in(database, (entry(n) for n in range(1, 4)))
        postgresql.kill()
        with pytest.raises(LedgerError, match="cannot be read"):
            _ = Ledger(database).last_sequence
        postgresql.start()
        assert Ledger(database).last_sequence == 3


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_does_not_keep_every_text_is_refused_by_its_encoding(postgresql: PostgreSQL, encoding: str) -> None:
    url = postgresql.create("narrow", f"template0\" ENCODING '{encoding}' LOCALE \"C")
    try:
        with pytest.raises(
            SettingsError, match=f"encoding is {encoding}, allowed UTF8; make it by `createdb --encoding UTF8"
        ):
            databases.connect(url)
    finally:
        postgresql.drop(url)


def test_what_the_log_keeps_of_a_failed_statement_holds_none_of_its_values(url: str) -> None:
    with databases.connect(url) as database, pytest.raises(LedgerError) as refused, database.transaction() as connection:
        connection.execute(text("SELECT nowhere(:value)"), {"value": PHONE})
    said = "".join(traceback.format_exception(refused.value))
    assert "SELECT nowhere(" in said
    assert PHONE not in said


def test_an_id_with_the_character_nul_is_unknown(url: str) -> None:
    with databases.connect(url) as database:
        assert Ledger(database).find("operation", "op\0") is None
