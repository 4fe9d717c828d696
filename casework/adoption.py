"""A SQLite file of the release before there were migrations: its rows are taken over, none is lost, none is changed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, insert, inspect, text

from casework.audit_form import chained
from casework.registry_keys import look_up
from casework.tables import AUDIT, METADATA, id_hash
from domain.identifiers import IdentifierKind
from domain.listing import OLD, List, Source

ASIDE = "before_"
SOURCES = {
    "own case": Source.OWN_CASE, "state body": Source.STATE_BODY, "national bank": Source.NATIONAL_BANK, "participant": Source.PARTICIPANT,
}  # fmt: skip
"""What was written where the source was free text; what was written stays as the reference."""
_ENTRY = text(
    "INSERT INTO registry (entry_id, kind, value, list, ground, source, reference, look_up, added_at, added_by, added_reason, "
    "removed_at, removed_by, removed_reason, added_change, removed_change) VALUES (:entry_id, :kind, :value, :list, :ground, :source, "
    ":reference, :look_up, :added_at, :added_by, :added_reason, :removed_at, :removed_by, :removed_reason, :added_change, :removed_change)"
)


@contextmanager
def rows_kept(connection: Connection, stands_at: str | None) -> Iterator[None]:
    """Stand the old tables aside while the block makes the new ones, then bring their rows over. Nothing where there are none."""
    is_old = stands_at is None and connection.dialect.name == "sqlite" and inspect(connection).has_table("entries")
    old = _set_aside(connection) if is_old else []
    yield
    for table in old:
        _bring_over(connection, table)


def _set_aside(connection: Connection) -> list[str]:
    named = text("SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql IS NOT NULL")
    for kind, name in connection.execute(named).all():
        connection.execute(text(f"DROP {kind} {name}"))  # they would keep their names, and refuse that rows go
    old = [name for name in METADATA.tables if inspect(connection).has_table(name)]
    for name in old:
        connection.execute(text(f"ALTER TABLE {name} RENAME TO {ASIDE}{name}"))
    return old


def _bring_over(connection: Connection, table: str) -> None:
    columns = [column["name"] for column in inspect(connection).get_columns(ASIDE + table)]
    into, of = ", ".join(columns), ", ".join(columns)
    if table == "entries":
        driver = connection.connection.driver_connection
        assert driver is not None, "it has just been asked"
        driver.create_function("id_hash", 2, id_hash, deterministic=True)
        into, of = f"{into}, id_hash", f"{of}, id_hash(type, id)"
    if table == "registry":
        _bring_over_registry(connection)
        return
    found = text(f"SELECT {of} FROM {ASIDE}{table} ORDER BY 1")  # noqa: S608 no outsider's words
    if table == "audit":  # it was no chain then
        for entry in chained(connection.execute(found).all()):
            connection.execute(insert(AUDIT), entry._asdict())
    else:
        connection.execute(text(f"INSERT INTO {table} ({into}) {found}"))
    connection.execute(text(f"DROP TABLE {ASIDE}{table}"))


def _bring_over_registry(connection: Connection) -> None:
    """The changes were not counted then: all of them come before the first that is, each addition as one of its own."""
    for old in connection.execute(text(f"SELECT * FROM {ASIDE}registry ORDER BY entry_id")).mappings().all():  # noqa: S608
        removed_change = None if old["removed_at"] is None else 0
        row = {"added_change": -old["entry_id"], "removed_change": removed_change, **old}
        bring_entry(connection, row)
    connection.execute(text(f"DROP TABLE {ASIDE}registry"))


def bring_entry(connection: Connection, old: Mapping[str, Any]) -> None:
    """An entry of before there were grounds, with its changes."""
    found_by = look_up(IdentifierKind(old["kind"]), old["value"], List(old["list"]), None, None)
    source = SOURCES.get(old["source"].lower(), Source.OWN_CASE)
    row = {**old, "ground": OLD, "source": source, "reference": old["source"], "look_up": found_by}
    connection.execute(_ENTRY, {name: row[name] for name in _ENTRY.compile().params})
