"""What tests ask of a database as any other client would, on either kind."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select, text

from casework import database as databases
from casework import writers
from casework.database import Database
from casework.ledger import Entry
from casework.tables import AUDIT, METADATA


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """What a query finds."""
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def execute(database: Database, *statements: str) -> None:
    """Statements of somebody who may do anything, in one transaction."""
    with database.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def audit(database: Database) -> list[tuple[Any, ...]]:
    """Person, reason and change of every line of the audit log."""
    with database.reading() as connection:
        found = connection.execute(select(AUDIT.c.person, AUDIT.c.reason, AUDIT.c.change).order_by(AUDIT.c.audit_id))
        return [tuple(row) for row in found]


def everything(database: Database) -> str:
    """Every value of every table."""
    with database.reading() as connection:
        return "\n".join(str(row) for table in METADATA.sorted_tables for row in connection.execute(select(table)))


@contextmanager
def refusing(url: str, when: str = "true") -> Iterator[None]:
    """Meanwhile the ledger refuses entries that meet a condition on NEW."""
    with databases.connect(url) as database:
        begin, end = _refusal(database, when)
        execute(database, begin)
        yield
        execute(database, end)


def _refusal(database: Database, when: str) -> tuple[str, str]:
    if database.file is not None:
        body = "BEFORE INSERT ON entries WHEN {} BEGIN SELECT RAISE(ABORT, 'refused by the tests'); END"
        return f"CREATE TRIGGER refuse {body.format(when)}", "DROP TRIGGER refuse"
    function = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused by the tests'; END $$"
    trigger = f"CREATE TRIGGER refuse BEFORE INSERT ON entries FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuse()"
    return f"{function}; {trigger}", "DROP TRIGGER refuse ON entries; DROP FUNCTION refuse"


def bring_in(url: str, entries: Iterator[Entry]) -> int:
    """Add entries to the ledger of a database, made if there is none."""
    with databases.connect(url) as database:
        return writers.bring_in(database, entries)
