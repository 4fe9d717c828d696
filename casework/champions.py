"""Which champion acts, in the audit log: every take-over with the person who promoted it and why (R108-R111)."""

import sqlite3

from casework import database

_CHANGE = "champion: "
_LAST = "SELECT change FROM audit WHERE substr(change, 1, ?) = ? ORDER BY audit_id DESC LIMIT 1"


def acting(connection: sqlite3.Connection) -> str | None:
    """The champion that was taken over last, None before the first."""
    found = connection.execute(_LAST, (len(_CHANGE), _CHANGE)).fetchone()
    return None if found is None else str(found[0]).rpartition(" -> ")[2]


def take_over(connection: sqlite3.Connection, version: str, person: str, reason: str) -> None:
    """Record that a bundle acts from now on; nothing when it is the one that acted last, as after a restart."""
    with database.transaction(connection):
        if (before := acting(connection)) != version:
            database.record_change(connection, person, reason, f"{_CHANGE}{before or 'none'} -> {version}")
