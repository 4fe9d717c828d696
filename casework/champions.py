"""Which champion acts, in the audit log: every take-over with the person who promoted it and why (R108-R111)."""

from sqlalchemy import Connection, select

from casework.database import Database, record_change
from casework.tables import AUDIT

_CHANGE = "champion: "
_LAST = select(AUDIT.c.change).where(AUDIT.c.change.startswith(_CHANGE)).order_by(AUDIT.c.audit_id.desc()).limit(1)


def acting(database: Database) -> str | None:
    """The champion that was taken over last, None before the first."""
    with database.reading() as connection:
        return _acting(connection)


def take_over(database: Database, version: str, person: str, reason: str) -> None:
    """Record that a bundle acts from now on; nothing when it is the one that acted last, as after a restart."""
    with database.transaction() as connection:
        if (before := _acting(connection)) != version:
            record_change(connection, person, reason, f"{_CHANGE}{before or 'none'} -> {version}")


def _acting(connection: Connection) -> str | None:
    change = connection.scalar(_LAST)
    return None if change is None else str(change).rpartition(" -> ")[2]
