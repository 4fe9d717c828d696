"""Whether the audit log is the one that was written: its chain, its tree against the checkpoints, the tables and the ledger against it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from casework import audit_keys, audit_log, audit_tables, checkpoints, decision_batches
from casework.audit_form import FIRST, AuditEntry, form
from casework.audit_keys import PublicKey
from casework.checkpoints import Checkpoint
from casework.database import Database
from casework.decision_batches import Batch
from casework.ledger import Ledger
from casework.merkle import HASH, Tree
from casework.tables import AUDIT
from domain.errors import AuditError, LedgerError

Told = Callable[[int], object]
PAGES = (10_000, 100, 1)
"""Entries read at once; SQLite refuses a page in which one text is no UTF-8."""
_UNREADABLE = (AttributeError, TypeError, ValueError)


@dataclass
class Findings:
    """What was verified, and what is wrong: `faults`, the first of each part, in words; none means that all of it holds.

    entries: of the audit log; root: of its tree, in hexadecimal; signed_to: the size of the largest checkpoint that holds;
    checkpoints, batches: how many hold; batched_to: the last entry of the ledger that is in one; unbatched: entries after it; rows: of
    registry, rules, proposals and keys that are what the log says.
    """

    entries: int = 0
    root: str = ""
    checkpoints: int = 0
    signed_to: int = 0
    batches: int = 0
    batched_to: int = 0
    unbatched: int = 0
    rows: int = 0
    faults: list[str] = field(default_factory=list)


def verify(
    database: Database,
    folder: Path,
    keys: Sequence[PublicKey] = (),
    told: Told = lambda _: None,
    *,
    with_ledger: bool = True,
) -> Findings:
    """Everything. keys: those known from elsewhere, none: those beside the checkpoints; told: how many more were verified."""
    found = Findings()
    signed = _files(folder, keys, found)  # before the log: a running server signs what it adds
    tree = _log(database, found, told)
    found.entries, found.root = len(tree), tree.root().hex()
    _compare(tree, signed, found)
    _tables(database, found)
    if with_ledger:
        _ledger(database, found, told)
    return found


# ---- the chain -------------------------------------------------------------------------------------------------------


class Chain:
    """Goes along the entries: hashes of what is there, and the first that is wrong.

    What it says of an entry depends on that entry and on the number and hash of the one before, on nothing else.
    """

    def __init__(self, after: AuditEntry | None = None) -> None:
        """after: the entry from which it goes on, known to be right; None for the beginning."""
        self.leaves, self.fault = bytearray(), ""
        self.audit_id, self._last = (0, FIRST) if after is None else (after.audit_id, after.hash)

    def follow(self, rows: Sequence[Sequence[Any]]) -> None:
        """One page. What is hashed is what is there, so the tree is that of the log as it stands."""
        sha256, last, made = hashlib.sha256, self._last, []
        for row in rows:
            try:
                hash_ = sha256(b"\0" + form(row)).digest()
            except _UNREADABLE:
                hash_ = b""
            if hash_ != row[10] or row[9] != last:
                self._wrong(row, hash_)
            last = row[10]
            made.append(hash_ or bytes(HASH))
            self.audit_id = row[0]
        self.leaves += b"".join(made)
        self._last = last

    def unreadable(self, audit_id: int, error: LedgerError) -> None:
        """An entry that the database does not give."""
        self.fault = self.fault or f"entry {audit_id} cannot be read: {error}"
        self.leaves += bytes(HASH)
        self.audit_id = audit_id

    def _wrong(self, row: Sequence[Any], hash_: bytes) -> None:
        if self.fault:
            return
        if hash_ != row[10]:
            self.fault = f"entry {row[0]} is not what it was when it was written: its hash is another one"
        else:
            before = f"entry {self.audit_id}" if self.audit_id else "the beginning"
            self.fault = f"entry {row[0]} does not follow {before}: something between was taken out, exchanged or put in"


def _log(database: Database, found: Findings, told: Told) -> Tree:
    """Goes by pages; where one cannot be read, by ever smaller ones to the entry that is the cause, and past it."""
    chain, size = Chain(), PAGES[0]
    while True:
        try:
            page = audit_log.page(database, chain.audit_id, size)
        except LedgerError as error:
            if size == PAGES[-1]:
                chain.unreadable(_next(database, chain.audit_id), error)
            size = PAGES[(PAGES.index(size) + 1) % len(PAGES)]
            continue
        if not page:
            break
        chain.follow(page)
        told(len(page))
    if chain.fault:
        found.faults.append(chain.fault)
    return Tree(bytes(chain.leaves))


def _next(database: Database, audit_id: int) -> int:
    """The number after a number."""
    with database.reading() as connection:
        return connection.scalars(select(func.min(AUDIT.c.audit_id)).where(AUDIT.c.audit_id > audit_id)).one()


# ---- the checkpoints -------------------------------------------------------------------------------------------------


def _files(folder: Path, given: Sequence[PublicKey], found: Findings) -> list[tuple[Path, Checkpoint]]:
    try:
        keys, files = given or audit_keys.public_keys(folder), checkpoints.read(folder)
    except AuditError as error:
        found.faults.append(str(error))
        return []
    unsigned = [file for file, checkpoint in files if checkpoint.signed_by(keys) is None]
    if unsigned:
        found.faults.append(f"{unsigned[0]} is signed by none of the {len(keys)} keys that are known")
    return [(file, checkpoint) for file, checkpoint in files if file not in unsigned]


def _compare(tree: Tree, signed: list[tuple[Path, Checkpoint]], found: Findings) -> None:
    try:
        for file, checkpoint in signed:
            checkpoints.continues(tree, checkpoint, file)
            found.checkpoints += 1
            found.signed_to = checkpoint.size
    except AuditError as error:
        found.faults.append(str(error))


# ---- the tables ------------------------------------------------------------------------------------------------------


def _tables(database: Database, found: Findings) -> None:
    try:
        found.rows, faults = audit_tables.compare(database)
        found.faults += faults
    except (LedgerError, KeyError, *_UNREADABLE) as error:
        found.faults.append(f"the tables cannot be held against the log: {error}")


# ---- the ledger ------------------------------------------------------------------------------------------------------


def _ledger(database: Database, found: Findings, told: Told) -> None:
    try:
        for batch in decision_batches.recorded(database):
            _batch(database, batch, found.batched_to)
            found.batches += 1
            found.batched_to = batch.last
            told(batch.last - batch.first + 1)
        found.unbatched = max(0, Ledger(database).last_sequence - found.batched_to)
    except (AuditError, LedgerError, KeyError, *_UNREADABLE) as error:
        found.faults.append(f"the ledger's batches: {error}")


def _batch(database: Database, batch: Batch, after: int) -> None:
    named = f"the entries {batch.first} to {batch.last} of the ledger (audit entry {batch.audit_id})"
    if batch.first != after + 1 or batch.last < batch.first:
        raise AuditError(f"{named} do not follow entry {after}")
    count, root = decision_batches.root(database, batch.first, batch.last)
    if count != batch.last - batch.first + 1:
        raise AuditError(f"of {named} there are {count}")
    if root != batch.root:
        raise AuditError(f"{named} are not what they were when they were decided")


def size(database: Database) -> int:
    """How much there is to verify: entries of the audit log and of the ledger."""
    with database.reading() as connection:
        entries = connection.scalar(select(func.count()).select_from(AUDIT)) or 0
    return entries + Ledger(database).last_sequence
