"""The audit log: who changed what, when, why, from what to what (R108-R111). Each entry holds the hash of the one before.

It is added to in the transaction of the change, and transactions are one at a time, so the chain never forks; a unique `previous`
would refuse it besides.
"""

from typing import Any

from sqlalchemy import Connection, insert, select

from casework.audit_form import FIRST, AuditEntry, canonical, kind_of, sealed
from casework.database import timestamp
from casework.tables import AUDIT
from domain.errors import SettingsError

_LAST = select(AUDIT.c.audit_id, AUDIT.c.hash).order_by(AUDIT.c.audit_id.desc()).limit(1)
_INSERT = insert(AUDIT)


def record_change(
    connection: Connection, person: str, reason: str, change: str,
    before: Any = None, after: Any = None, approved_by: str | None = None,
) -> int:  # fmt: skip
    """Write who changed what and why, in the transaction of the change; the entry's number.

    change: in words, what it is of before a colon. before, after: what JSON can hold, without floats; None where there is nothing.
    approved_by: the second person, where four eyes are asked for. SettingsError without person or reason.
    """
    if not person.strip() or not reason.strip():
        raise SettingsError(f"a change needs a person and a reason; seen person {person!r}, reason {reason!r}")
    last, previous = connection.execute(_LAST).first() or (0, FIRST)
    entry = sealed(
        AuditEntry(
            last + 1, timestamp(), person, reason, kind_of(change), change, _kept(before), _kept(after), approved_by, previous, b""
        )
    )  # fmt: skip
    connection.execute(_INSERT, entry._asdict())
    return entry.audit_id


def _kept(value: Any) -> str | None:
    return None if value is None else canonical(value)
