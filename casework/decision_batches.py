"""Decisions join the audit log: one root over each batch of consecutive entries of the ledger, recorded as an entry of the log.

Who answers does nothing for it: batches are made after the fact, by whoever follows the ledger. A leaf is SHA-256 of a zero byte
and of what was received, answered and kept as evidence, see `content`.
"""

import json
import struct
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from casework.audit_form import leaf
from casework.audit_log import record_change
from casework.database import Database
from casework.ledger import Ledger
from casework.merkle import HASH, root_of
from casework.tables import AUDIT, ENTRIES

KIND = "decisions"
MOST = 65_536
"""Entries of a batch: half a second of hashing, beside a server that takes a thousand a second once a minute."""
PAGE = 512
"""Entries read at once: two megabytes, and the thread that answers does not wait long."""
_SERVER, _REASON = "the server", "entries of the ledger since the last batch"
_E = ENTRIES.c
_FIELDS = (_E.type, _E.id, _E.recorded_at, _E.body, _E.answer, _E.vector, _E.evidence)
_RECORDED = select(AUDIT.c.audit_id, AUDIT.c.after).where(AUDIT.c.kind == KIND)


class Batch(NamedTuple):
    """The root over the entries of the ledger from first to last, both in it; audit_id: of the entry that says so."""

    audit_id: int
    first: int
    last: int
    root: str


def content(sequence: int, *fields: str | bytes | None) -> bytes:
    """What a leaf is made of: the sequence number in 8 bytes; for each field its length and one, in 4 bytes, and it; 0 for none.

    fields: type, id, recorded_at, body, answer, vector, evidence. Numbers are big-endian, text is UTF-8.
    """
    parts = [struct.pack(">Q", sequence)]
    for field in fields:
        if field is None:
            parts.append(b"\0\0\0\0")
        else:
            data = field.encode() if isinstance(field, str) else field
            parts += [struct.pack(">I", len(data) + 1), data]
    return b"".join(parts)


def contents(database: Database, first: int, last: int) -> Iterator[bytes]:
    """What the leaves of entries are made of, in order."""
    after = first - 1
    columns = select(_E.sequence, *_FIELDS).order_by(_E.sequence).limit(PAGE)
    while True:
        with database.reading() as connection:
            page = connection.execute(columns.where(_E.sequence > after, _E.sequence <= last)).all()
        if not page:
            return
        yield from (content(*row) for row in page)
        after = page[-1][0]


def root(database: Database, first: int, last: int) -> tuple[int, str]:
    """How many entries there are from first to last, and the root over them, in hexadecimal."""
    leaves = b"".join(map(leaf, contents(database, first, last)))
    return len(leaves) // HASH, root_of(leaves).hex()


def recorded(database: Database) -> Iterator[Batch]:
    """Every batch, in order. ValueError and KeyError for an entry that does not say one."""
    with database.reading() as connection:
        found = connection.execute(_RECORDED.order_by(AUDIT.c.audit_id)).all()
    for audit_id, after in found:
        yield _batch(audit_id, after)


def batched_to(database: Database) -> int:
    """The sequence number of the last entry that is in a batch; 0 before the first."""
    with database.reading() as connection:
        return _last(connection)


def record(database: Database, least: int) -> Batch | None:
    """Record the next batch, of at least so many entries and at most MOST; None where there are not so many."""
    last, end = batched_to(database), Ledger(database).last_sequence
    if end - last < max(least, 1):
        return None
    first, until = last + 1, min(last + MOST, end)
    _, root_ = root(database, first, until)
    with database.transaction() as connection:
        if _last(connection) != last:  # another process recorded it meanwhile
            return None
        after = {"first": first, "last": until, "root": root_}
        words = f"{KIND}: entries {first} to {until} of the ledger"
        return Batch(record_change(connection, _SERVER, _REASON, words, after=after), first, until, root_)


def _last(connection: Connection) -> int:
    found = connection.execute(_RECORDED.order_by(AUDIT.c.audit_id.desc()).limit(1)).first()
    return 0 if found is None else _batch(*found).last


def _batch(audit_id: int, after: str) -> Batch:
    said = json.loads(after)
    return Batch(audit_id, int(said["first"]), int(said["last"]), str(said["root"]))
