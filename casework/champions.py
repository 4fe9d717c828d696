"""Which champion acts, in the audit log: every take-over with its thresholds, the person who promoted it and why (R108-R111)."""

import json
from typing import Any

from sqlalchemy import Connection, select

from casework.audit_form import ChangeKind
from casework.audit_log import record_change
from casework.database import Database
from casework.tables import AUDIT
from domain.levels import Thresholds

_KIND = ChangeKind.CHAMPION
_LAST = select(AUDIT.c.change, AUDIT.c.after).where(AUDIT.c.kind == _KIND).order_by(AUDIT.c.audit_id.desc()).limit(1)


def acting(database: Database) -> str | None:
    """The champion that was taken over last, None before the first."""
    with database.reading() as connection:
        return _version(_acting(connection))


def take_over(database: Database, version: str, thresholds: Thresholds, person: str, reason: str) -> None:
    """Record that a bundle acts from now on; nothing when it is the one that acted last, as after a restart."""
    with database.transaction() as connection:
        acted = _acting(connection)
        if (before := _version(acted)) != version:
            after = {"version": version, "medium": repr(thresholds.medium), "high": repr(thresholds.high)}
            record_change(connection, person, reason, f"{_KIND}: {before or 'none'} -> {version}", acted, after)


def _acting(connection: Connection) -> dict[str, Any] | None:
    """What was recorded last; of before there were columns for it, what its words say."""
    found = connection.execute(_LAST).first()
    if found is None:
        return None
    return json.loads(found.after) if found.after else {"version": str(found.change).rpartition(" -> ")[2]}


def _version(acted: dict[str, Any] | None) -> str | None:
    return None if acted is None else acted["version"]
