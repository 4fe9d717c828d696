"""A SQLite file of the release before there were migrations: its rows are taken over, none is lost, none is changed."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, insert, inspect, text

from casework.audit_form import chained
from casework.tables import AUDIT, METADATA, id_hash

ASIDE = "before_"


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
    if table == "registry":  # the changes were not counted then: all of them come before the first that is
        into = f"{into}, added_change, removed_change"
        of = f"{of}, 0, CASE WHEN removed_at IS NOT NULL THEN 0 END"
    found = text(f"SELECT {of} FROM {ASIDE}{table} ORDER BY 1")  # noqa: S608 no outsider's words
    if table == "audit":  # it was no chain then
        for entry in chained(connection.execute(found).all()):
            connection.execute(insert(AUDIT), entry._asdict())
    else:
        connection.execute(text(f"INSERT INTO {table} ({into}) {found}"))
    connection.execute(text(f"DROP TABLE {ASIDE}{table}"))
