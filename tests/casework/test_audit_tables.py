"""The tables against the audit log: whoever may do anything to the database can change, delete or add no row unnoticed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Column, Connection, Table, delete, insert, inspect, select, text, update

from casework import (
    approvals,
    audit_tables,
    keys,
    registry_entries,
    registry_feeds,
    registry_import,
    rule_life,
    rule_sets,
    rule_versions,
)
from casework import database as databases
from casework.audit_rows import ROWS
from casework.database import Database
from casework.keys import Scope
from casework.proposals import Ruling
from casework.registry_feeds import FeedAction, FeedChange, FeedPage
from casework.tables import (
    API_KEYS,
    METADATA,
    PROPOSALS,
    REGISTRY,
    REGISTRY_FEED_PAGES,
    REGISTRY_LINES,
    RULE_SETS,
    RULE_VERSIONS,
)
from domain.identifiers import IdentifierKind, Identifiers
from domain.listing import Ground, List, RemovalGround, Source, normal_listing
from domain.rule_text import written
from tests import registry
from tests.casework.test_rule_life import FIRST, OTHER
from tests.databases import execute, rows

IDENTIFIERS, NOW = Identifiers(bytes(32)), datetime.now(UTC)
TABLES = (REGISTRY, REGISTRY_LINES, REGISTRY_FEED_PAGES, RULE_SETS, RULE_VERSIONS, PROPOSALS, API_KEYS)


def approve(database: Database, proposal_id: int, verdict: Ruling = Ruling.APPROVED) -> None:
    approvals.decide(database, proposal_id, verdict, "Bakyt", "I looked")


def change_the_registry(database: Database) -> None:
    """Entries listed alone, by an import, by a feed; removed, expired, withdrawn."""
    phone = [f"055512345{number}" for number in range(9)]
    ended = {"valid_from": NOW - timedelta(2), "valid_to": NOW - timedelta(1)}
    first = registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, phone[0], person="Aigul")
    for more in (ended, {"reference": "letter 7"}):  # the second retires the first
        registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, phone[1], List.WATCHED, **more)
    listings = [normal_listing(registry.listing(IdentifierKind.PHONE, one), IDENTIFIERS) for one in phone[2:5]]
    approve(database, registry_import.propose(database, listings, "list.csv", "Aigul", "a letter"))
    approve(database, registry_entries.propose_removal(database, first, RemovalGround.ERROR_FOUND, "Aigul", "a mistake"))
    approve(
        database,
        registry_entries.propose_removal(database, 2 + first, RemovalGround.ERROR_FOUND, "Aigul", "no"),
        Ruling.REFUSED,
    )
    list_, ground = List.PROHIBITED, Ground.NATIONAL_BLACK_LIST
    approve(
        database, registry_feeds.propose(database, "black", list_, ground, Source.NATIONAL_LIST, "the feed", "Aigul", "R103")
    )
    changes = [FeedChange(n, FeedAction.ADD, IdentifierKind.PHONE, phone[4 + n]) for n in (1, 2)]
    withdrawn = (FeedChange(3, FeedAction.WITHDRAW, IdentifierKind.PHONE, phone[5]),)
    for page in (FeedPage(0, 2, NOW, tuple(changes)), FeedPage(2, 3, NOW, withdrawn)):
        registry_feeds.take(database, IDENTIFIERS, "black", page, "the feed")


def change_the_rules_and_keys(database: Database) -> None:
    rule_sets.load(database, written([FIRST, OTHER]), "Aigul", "the first set")
    rule_versions.save(database, replace(FIRST, version=1, expression="amount_tyiyn > 2"), "Aigul", "better")
    approve(database, rule_life.propose_live(database, FIRST.id, 2, "Aigul", "better"))
    rule_life.take_out_of_shadow(database, OTHER.id, "Aigul", "done")
    approve(database, rule_life.propose_off(database, FIRST.id, "Aigul", "no longer"))
    for caller in ("core", "branch"):
        made = keys.make(database, caller, {Scope.READ}, "Aigul")
    keys.revoke(database, made.split("_")[1], "Aigul", "lost")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database in which all of it was changed, and which nothing protects any more; who changes a row puts it back."""
    on_sqlite = request.param == "sqlite"
    url = (
        databases.url_of(tmp_path_factory.mktemp("tables") / "burana.db")
        if on_sqlite
        else request.getfixturevalue("postgresql").clone()
    )
    with databases.connect(url) as opened:
        change_the_registry(opened)
        change_the_rules_and_keys(opened)
        unguard(opened)
        yield opened
    if not on_sqlite:
        request.getfixturevalue("postgresql").drop(url)


def unguard(database: Database) -> None:
    """Take off triggers, unique indexes and CHECKs, as the owner of the tables could."""
    with database.transaction() as connection:
        for index in ("registry_live", "rule_sets_by_proposal"):
            connection.execute(text(f"DROP INDEX {index}"))
        if database.file is not None:
            for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                connection.execute(text(f"DROP TRIGGER {name}"))
        for table in TABLES if database.file is None else ():
            connection.execute(text(f"ALTER TABLE {table.name} DISABLE TRIGGER ALL"))
            for check in inspect(connection).get_check_constraints(table.name):
                connection.execute(text(f"ALTER TABLE {table.name} DROP CONSTRAINT {check['name']}"))


def do(database: Database, *statements: Any) -> None:
    """By somebody whom no CHECK stops."""
    with database.transaction() as connection:
        _without_checks(connection, database, "ON")
        for statement in statements:
            connection.execute(statement)
        _without_checks(connection, database, "OFF")


def _without_checks(connection: Connection, database: Database, word: str) -> None:
    if database.file is not None:
        connection.execute(text(f"PRAGMA ignore_check_constraints = {word}"))


def all_of(database: Database, table: Table) -> list[dict[str, Any]]:
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def the_row(table: Table, row: dict[str, Any]) -> Any:
    columns = list(table.primary_key)
    condition = columns[0] == row[columns[0].name]
    for column in columns[1:]:
        condition &= column == row[column.name]
    return condition


def others(column: Column[Any], value: Any) -> Iterator[Any]:
    """What might stand in its place."""
    if value is None:
        yield {int: 1, bytes: b"x"}.get(column.type.python_type, "x")
        return
    yield value + {int: 1_000, bytes: b"x"}.get(type(value), "x")
    if column.nullable:
        yield None


def faults(database: Database) -> list[str]:
    return audit_tables.compare(database).faults


def test_what_was_done_by_the_rules_is_what_the_log_says(database: Database) -> None:
    there = sum(len(all_of(database, table)) for table in TABLES)
    removed = sum(row["removed_at"] is not None for row in all_of(database, REGISTRY))
    assert audit_tables.compare(database) == (there + removed, [])
    assert all(len(all_of(database, table)) > 1 for table in TABLES if table is not REGISTRY_FEED_PAGES)
    assert {row["removed_ground"] for row in all_of(database, REGISTRY)} == {
        None,
        "error_found",
        "expired",
        "source_withdrew",
    }


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_any_column_of_any_row_that_is_changed_is_found(database: Database, table: Table) -> None:
    for row in all_of(database, table):
        for column in table.columns:
            for other in others(column, row[column.name]):
                changed = {**row, column.name: other}
                do(database, update(table).where(the_row(table, row)).values({column.name: other}))
                assert faults(database), (table.name, row, column.name, other)
                do(database, delete(table).where(the_row(table, changed)), insert(table).values(row))
    assert faults(database) == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_any_row_that_is_deleted_or_added_is_found(database: Database, table: Table) -> None:
    for row in all_of(database, table):
        do(database, delete(table).where(the_row(table, row)))
        assert faults(database), (table.name, row)
        key = list(table.primary_key)[-1]
        added = {**row, key.name: next(others(key, row[key.name]))}
        do(database, insert(table).values(row), insert(table).values(added))
        assert faults(database), (table.name, added)
        do(database, delete(table).where(the_row(table, added)))
    assert faults(database) == []


def test_all_rows_of_a_table_that_are_gone_are_found(database: Database) -> None:
    for table in TABLES:
        kept = all_of(database, table)
        do(database, delete(table))
        assert faults(database), table.name
        do(database, insert(table).values(kept))
    assert faults(database) == []


def test_the_first_that_differs_is_named(database: Database) -> None:
    for change, back, said in (
        ("UPDATE api_keys SET scopes = 'audit' WHERE caller = 'core'", "UPDATE api_keys SET scopes = 'read' WHERE caller = 'core'", "row api_keys "),
        ("UPDATE registry SET list = 'watched' WHERE entry_id = 5", "UPDATE registry SET list = 'prohibited' WHERE entry_id = 5",
         "the registry's entries 4 to 6 are not those that audit entry "),
    ):  # fmt: skip
        do(database, text(change))
        (fault,) = faults(database)
        assert said in fault
        do(database, text(back))
    assert faults(database) == []


def test_rows_of_an_earlier_release_are_in_the_log_from_the_take_over_on(url: str) -> None:
    from alembic import command
    from alembic.config import Config

    from casework.schema import STEPS

    config = Config()
    config.set_main_option("script_location", str(STEPS))
    with databases.connect(url) as database:
        if database.file is None:
            execute(database, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        else:
            execute(database, *(f"DROP TABLE {name}" for name in ("alembic_version", *METADATA.tables)))
        with database.transaction() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        execute(
            database,
            "INSERT INTO audit VALUES (1, '2026', 'Aigul', 'fraud', 'registry: add')",
            "INSERT INTO registry (kind, value, list, source, added_at, added_by, added_reason, added_change) "
            "VALUES ('phone', '+996555123456', 'prohibited', 'own case', '2026', 'Aigul', 'fraud', 1)",
        )
        database.bring_up_to_date()
        assert audit_tables.compare(database) == (1, [])
        ((after,),) = rows(database, "SELECT after FROM audit WHERE kind = 'adoption'")
        assert ROWS in after
        unguard(database)
        do(database, text("UPDATE registry SET value = '+996555123457'"))
        assert "entries 1 are not those that audit entry 2" in faults(database)[0]
