"""Decisions join the audit log: one root over each batch of consecutive entries of the ledger, recorded as an entry of the log.

Who answers does nothing for it: batches are made after the fact, beside a server by a process of its own (`burana audit batch`). A leaf
is SHA-256 of a zero byte and of what was received, answered and kept as evidence, see `content`.
"""

import json
import struct
from collections.abc import Iterator
from itertools import starmap
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from casework.audit_form import ChangeKind, leaf
from casework.audit_log import record_change
from casework.database import Database, speaking
from casework.ledger import Ledger
from casework.merkle import HASH, root_of
from casework.tables import AUDIT

KIND = ChangeKind.DECISIONS
MOST = 65_536
"""Entries of a batch at most: half a second of hashing; a server that takes a thousand a second has as many in a minute."""
PAGE = 512
"""Entries read at once: two megabytes."""
_SERVER, _REASON = "the server", "entries of the ledger since the last batch"
# by the driver itself: through SQLAlchemy a leaf of 2,900 bytes takes 8.8 us of CPU, so 6.9, of which SQLite takes 3.2 and SHA-256 1.8
_ENTRIES = (
    "SELECT sequence, type, id, recorded_at, body, answer, vector, evidence FROM entries "
    "WHERE sequence > {} AND sequence <= {} ORDER BY sequence LIMIT {}"
)
_sequence, _length, _NONE = struct.Struct(">Q").pack, struct.Struct(">I").pack, bytes(4)
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
    parts = [_sequence(sequence)]
    for field in fields:
        if field is None:
            parts.append(_NONE)
        else:
            data = field.encode() if isinstance(field, str) else field
            parts += (_length(len(data) + 1), data)
    return b"".join(parts)


def contents(database: Database, first: int, last: int) -> Iterator[bytes]:
    """What the leaves of entries are made of, in order."""
    after = first - 1
    while page := _page(database, after, last):
        yield from starmap(content, page)
        after = page[-1][0]


def _page(database: Database, after: int, last: int) -> list[Any]:
    with speaking("the ledger cannot be read"), database.reading() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None, "it has just been opened"
        cursor = driver.cursor() if database.file is not None else driver.cursor(binary=True)
        return list(cursor.execute(_ENTRIES.format(after, last, PAGE)).fetchall())


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


def record(database: Database, up_to: int | None = None) -> Batch | None:
    """Record the next batch, of at most MOST entries, none after `up_to` or the ledger's end; None where there is nothing to record.

    None also where another process recorded it meanwhile.
    """
    after, end = batched_to(database), Ledger(database).last_sequence
    first, last = after + 1, min(after + MOST, end if up_to is None else min(up_to, end))
    if last < first:
        return None
    _, root_ = root(database, first, last)
    with database.transaction() as connection:
        if _last(connection) != after:
            return None
        said = {"first": first, "last": last, "root": root_}
        words = f"{KIND}: entries {first} to {last} of the ledger"
        return Batch(record_change(connection, _SERVER, _REASON, words, after=said), first, last, root_)


def record_all(database: Database) -> Iterator[Batch]:
    """Record batch after batch of what the ledger has now; what is added meanwhile is of the next time."""
    end = Ledger(database).last_sequence
    while batch := record(database, end):
        yield batch


def _last(connection: Connection) -> int:
    found = connection.execute(_RECORDED.order_by(AUDIT.c.audit_id.desc()).limit(1)).first()
    return 0 if found is None else _batch(*found).last


def _batch(audit_id: int, after: str) -> Batch:
    said = json.loads(after)
    return Batch(audit_id, int(said["first"]), int(said["last"]), str(said["root"]))
