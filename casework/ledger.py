"""The ledger: every operation with its decision, every event, every outcome, in the order of arrival (R38, R39).

One thread writes; all that waits while a commit is under way goes into the next commit together.
"""

import queue
import sqlite3
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from casework import database
from domain.errors import LedgerError

MAX_BATCH = 1024
WRITE_FAILURES = (sqlite3.Error, ArithmeticError, MemoryError, TypeError, ValueError)
_LAST = "SELECT coalesce(max(sequence), 0) FROM entries"
_INSERT = "INSERT INTO entries (sequence, type, id, recorded_at, body, row, encoding, answer, vector, evidence) VALUES (?,?,?,?,?,?,?,?,?,?)"


class Entry(NamedTuple):
    """One line of the ledger; see the table `entries` for the columns."""

    sequence: int
    type: str
    id: str
    recorded_at: str
    body: bytes
    row: bytes
    encoding: int
    answer: bytes | None = None
    vector: bytes | None = None
    evidence: bytes | None = None


Done = Callable[[LedgerError | None], None]


@dataclass(frozen=True)
class _Waiting:
    entry: Entry
    done: Done


class Ledger:
    """Append, look up, read in order. `append` may be called from one thread, look-ups from any."""

    def __init__(self, path: Path, announce: Callable[[Callable[[], None]], object] = lambda call: call()) -> None:
        """announce: runs a callable where waiting callers live, such as `loop.call_soon_threadsafe`."""
        self.path, self._announce = path, announce
        self._writing = database.connect(path)
        self._reading = database.connect(path)
        self._read_lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._failure: LedgerError | None = None
        self._thread = threading.Thread(target=self._write, name="ledger", daemon=True)
        self._thread.start()

    @property
    def last_sequence(self) -> int:
        """The sequence number of the last committed entry, 0 when there is none."""
        found = self._one(_LAST)
        return int(found[0]) if found else 0

    def append(self, entry: Entry, done: Done) -> None:
        """Queue an entry; `done(None)` once it is on the disk, `done(error)` if it is not and never will be."""
        self._queue.put(_Waiting(entry, done))

    def find(self, type_: str, id_: str) -> Entry | None:
        """The committed entry of an id, or None."""
        found = self._one(f"SELECT {', '.join(Entry._fields)} FROM entries WHERE type = ? AND id = ?", type_, id_)  # noqa: S608
        return None if found is None else Entry(*found)

    def at(self, sequence: int) -> Entry | None:
        """The committed entry of a sequence number, or None."""
        found = self._one(f"SELECT {', '.join(Entry._fields)} FROM entries WHERE sequence = ?", sequence)  # noqa: S608
        return None if found is None else Entry(*found)

    def last_before(self, moment: str) -> int:
        """The sequence number of the last entry that was recorded before a moment (as in `recorded_at`), 0 when there is none.

        Entries are recorded in the order of their numbers, so a few look-ups find it.
        """
        numbers = range(1, self.last_sequence + 1)
        return bisect_left(numbers, moment, key=self._recorded_at)

    def draw(self, count: int, newest: int) -> list[Entry]:
        """Up to `count` operations with a vector, drawn at random among the newest entries, in order."""
        query = (
            f"SELECT {', '.join(Entry._fields)} FROM entries WHERE sequence IN (SELECT sequence FROM entries WHERE sequence > ? "  # noqa: S608
            "AND type = 'operation' AND vector IS NOT NULL ORDER BY random() LIMIT ?) ORDER BY sequence"
        )
        connection = database.connect(self.path)
        try:
            return [Entry(*found) for found in connection.execute(query, (self.last_sequence - newest, count))]
        finally:
            connection.close()

    def read(self, after: int = 0, up_to: int = 2**62) -> Iterator[Entry]:
        """Committed entries with after < sequence <= up_to, in order, through a connection of its own."""
        connection = database.connect(self.path)
        try:
            query = f"SELECT {', '.join(Entry._fields)} FROM entries WHERE sequence > ? AND sequence <= ? ORDER BY sequence"  # noqa: S608
            for found in connection.execute(query, (after, up_to)):
                yield Entry(*found)
        finally:
            connection.close()

    def rows(self, after: int = 0, chunk: int = 100_000) -> Iterator[list[tuple[int, bytes, int]]]:
        """(sequence, row, encoding) of all entries after a sequence number, in order: what the features are rebuilt from."""
        connection = database.connect(self.path)
        try:
            query = "SELECT sequence, row, encoding FROM entries WHERE sequence > ? ORDER BY sequence"
            found = connection.execute(query, (after,))
            while rows := found.fetchmany(chunk):
                yield rows
        finally:
            connection.close()

    def mend(self) -> None:
        """After a failed write: accept entries again. The caller has brought its state back to what is committed."""
        self._failure = None

    def close(self) -> None:
        """Write what is queued, then close."""
        self._queue.put(None)
        self._thread.join()
        self._writing.close()
        self._reading.close()

    def _recorded_at(self, sequence: int) -> str:
        found = self._one("SELECT recorded_at FROM entries WHERE sequence = ?", sequence)
        return "" if found is None else str(found[0])

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        try:
            with self._read_lock:
                found: tuple[Any, ...] | None = self._reading.execute(query, values).fetchone()
                return found
        except sqlite3.Error as error:
            raise LedgerError(f"the ledger cannot be read: {error}") from error

    def _write(self) -> None:
        while True:
            batch = self._next_batch()
            if batch:
                self._commit([waiting for waiting in batch if waiting is not None])
            if batch[-1] is None:
                return

    def _next_batch(self) -> list[_Waiting | None]:
        batch = [self._queue.get()]
        while batch[-1] is not None and len(batch) < MAX_BATCH:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _commit(self, batch: list[_Waiting]) -> None:
        # after a failure nothing later may be written: its order would have a gap where the lost entries stood
        error = self._failure
        if error is None and batch:
            try:
                with database.transaction(self._writing):
                    self._writing.executemany(_INSERT, [waiting.entry for waiting in batch])
            except LedgerError as failed:
                error = self._failure = failed
            except WRITE_FAILURES as failed:  # whoever waits is told: a writer that ended silently would leave them waiting
                error = self._failure = LedgerError(f"nothing was recorded: {failed}")

        def tell() -> None:
            for waiting in batch:
                waiting.done(error)

        self._announce(tell)


def last_sequence(path: Path) -> int:
    """The sequence number at which a ledger ends, 0 for an empty one."""
    connection = database.connect(path)
    try:
        return int(connection.execute(_LAST).fetchone()[0])
    finally:
        connection.close()


def bring_in(path: Path, entries: Iterator[Entry], batch: int = 20_000) -> int:
    """Add entries of a history to the end of a ledger, all or none; how many came in. LedgerError for an id that is there."""
    connection = database.connect(path)
    count = 0
    try:
        with database.transaction(connection):
            pending: list[Entry] = []
            for entry in entries:
                pending.append(entry)
                if len(pending) == batch:
                    connection.executemany(_INSERT, pending)
                    count, pending = count + len(pending), []
            connection.executemany(_INSERT, pending)
        return count + len(pending)
    finally:
        connection.close()
