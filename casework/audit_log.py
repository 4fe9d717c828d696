"""The audit log: who changed what, when, why, from what to what (R108-R111). Each entry holds the hash of the one before.

It is added to in the transaction of the change, and transactions are one at a time, so the chain never forks; a trigger refuses
besides what does not follow the last entry.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select

from casework.audit_form import FIRST, AuditEntry, ChangeKind, canonical, kind_of, sealed
from casework.database import Database, timestamp
from casework.tables import AUDIT
from domain.errors import InputError, SettingsError

PAGE = 10_000
_ENTRY = select(*(AUDIT.c[name] for name in AuditEntry._fields)).order_by(AUDIT.c.audit_id)
# by the driver itself: SQLAlchemy takes as long again as the look, 30 us
_LAST = "SELECT audit_id, hash FROM audit ORDER BY audit_id DESC LIMIT 1"
_INSERT = insert(AUDIT)


def record_change(
    connection: Connection, person: str, reason: str, change: str,
    before: Any = None, after: Any = None, approved_by: str | None = None,
) -> int:  # fmt: skip
    """Write who changed what and why, in the transaction of the change; the entry's number.

    change: in words, its `ChangeKind` before a colon. before, after: what JSON can hold, without floats; None where there is nothing.
    approved_by: the second person, where four eyes are asked for. SettingsError without person or reason, InputError for a reason
    in which nothing can be seen.
    """
    if not person.strip() or not reason.strip():
        raise SettingsError(f"a change needs a person and a reason; seen person {person!r}, reason {reason!r}")
    if not any(letter.isprintable() and not letter.isspace() for letter in reason):
        raise InputError("reason", ascii(reason)[1:-1], "words that can be seen")
    kind = ChangeKind(kind_of(change)).value
    driver = connection.connection.driver_connection
    assert driver is not None, "it is in a transaction"
    last, previous = driver.execute(_LAST).fetchone() or (0, FIRST)
    entry = sealed(
        AuditEntry(
            last + 1, timestamp(), person, reason, kind, change, _kept(before), _kept(after), approved_by, previous, b""
        )
    )  # fmt: skip
    connection.execute(_INSERT, entry._asdict())
    return entry.audit_id


def next_number(connection: Connection) -> int:
    """The number that the next entry of this transaction will have: for rows that name their change and are kept in it."""
    return (connection.scalar(select(func.max(AUDIT.c.audit_id))) or 0) + 1


def _kept(value: Any) -> str | None:
    return None if value is None else canonical(value)


def page(database: Database, after: int, size: int = PAGE) -> Sequence[Sequence[Any]]:
    """The columns of an AuditEntry, as they are read, of the first entries after a number. LedgerError where they cannot be."""
    return _rows(database, _ENTRY.where(AUDIT.c.audit_id > after).limit(size))


def listed(database: Database, kind: str | None = None, after: int = 0, most: int = 100) -> list[AuditEntry]:
    """The first entries after a number, of one kind or of all."""
    query = _ENTRY.where(AUDIT.c.audit_id > after, *([] if kind is None else [AUDIT.c.kind == kind])).limit(most)
    return [AuditEntry._make(row) for row in _rows(database, query)]


def newest(database: Database, kind: str | None = None, most: int = 100) -> list[AuditEntry]:
    """The last entries, of one kind or of all, in order."""
    of_kind = [] if kind is None else [AUDIT.c.kind == kind]
    query = _ENTRY.where(*of_kind).order_by(None).order_by(AUDIT.c.audit_id.desc()).limit(most)
    return [AuditEntry._make(row) for row in _rows(database, query)][::-1]


def at(database: Database, audit_id: int) -> AuditEntry | None:
    """An entry by its number, or None."""
    found = _rows(database, _ENTRY.where(AUDIT.c.audit_id == audit_id))
    return AuditEntry._make(found[0]) if found else None


def place_of(database: Database, audit_id: int) -> int:
    """Where an entry stands among the leaves, from 0: its number less one, but for gaps of before there was a chain."""
    with database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(AUDIT).where(AUDIT.c.audit_id < audit_id)) or 0


def hashes(database: Database, after: int = 0) -> tuple[bytes, int]:
    """The hashes of all entries after a number, one after another as they are kept, and the number of the last; `after` for none."""
    with database.reading() as connection:
        query = select(AUDIT.c.audit_id, AUDIT.c.hash).where(AUDIT.c.audit_id > after).order_by(AUDIT.c.audit_id)
        found = connection.execute(query).all()
    return b"".join(hash_ for _, hash_ in found), found[-1][0] if found else after


def _rows(database: Database, query: Select[Any]) -> Sequence[Sequence[Any]]:
    with database.reading() as connection:
        return connection.execute(query).all()
