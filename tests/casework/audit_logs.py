"""Audit logs for the tests, and somebody who may do anything to them."""

from casework.audit_log import record_change
from casework.database import Database

OFF = {
    "sqlite": [f"DROP TRIGGER audit_is_not_{done}" for done in ("updated", "deleted", "replaced")],
    "postgresql": ["ALTER TABLE audit DISABLE TRIGGER ALL"],
}


def filled(database: Database, count: int, since: int = 0) -> None:
    """So many changes more, some of them with before, after and a second person."""
    with database.transaction() as connection:
        for number in range(since + 1, since + count + 1):
            listed = {"kind": "phone", "value": f"+996{number:09d}", "list": "prohibited", "source": "own case"}
            before, after = [(None, listed), (listed, None), ({"version": "a"}, {"version": "b"}), (None, None)][number % 4]
            approved_by = "Бакыт" if number % 3 else None
            record_change(
                connection, f"officer {number % 7}", "по заявлению", f"registry: change {number}", before, after, approved_by
            )


def unguarded(database: Database) -> Database:
    """The same, once its owner has taken off what refuses changes."""
    with database.transaction() as connection:
        for statement in OFF["sqlite" if database.file is not None else "postgresql"]:
            connection.exec_driver_sql(statement)
    return database
