"""Many wait for one commit: a thread writes, and all that came while a commit was under way goes into the next one together."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from casework.ledger import Entry
from casework.writers import Writer
from domain.errors import LedgerError

MAX_BATCH = 1024
WRITE_FAILURES = (ArithmeticError, MemoryError, TypeError, ValueError)
Done = Callable[[LedgerError | None], None]


@dataclass(frozen=True)
class _Waiting:
    """entry: None for who only asks whether one could be written."""

    entry: Entry | None
    done: Done


class GroupCommit:
    """Adds entries to a ledger in the order of their coming. `append` may be called from one thread."""

    def __init__(self, writer: Writer, announce: Callable[[Callable[[], None]], object] = lambda call: call()) -> None:
        """announce: runs a callable where waiting callers live, such as `loop.call_soon_threadsafe`."""
        self._writer, self._announce = writer, announce
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._failure: LedgerError | None = None
        self._thread = threading.Thread(target=self._write, name="ledger", daemon=True)
        self._thread.start()

    def append(self, entry: Entry, done: Done) -> None:
        """Queue an entry; `done(None)` once it is on the disk, `done(error)` if it is not, or nobody knows."""
        self._queue.put(_Waiting(entry, done))

    def check(self, done: Done) -> None:
        """`done(None)` if an entry could be written now, else `done(error)`; `is_broken` then says whether none will be until `mend`."""
        self._queue.put(_Waiting(None, done))

    @property
    def is_broken(self) -> bool:
        """Whether entries are refused until `mend`: a write failed, or the ledger is not held any more."""
        return self._failure is not None

    def mend(self) -> None:
        """After a failed write, with nothing under way: accept entries again. LedgerError when the database does not yet.

        The caller then brings its state back to what is committed, before it appends.
        """
        self._writer.mend()
        self._failure = None

    def close(self) -> None:
        """Write what is queued, then let go of the ledger."""
        self._queue.put(None)
        self._thread.join()
        self._writer.close()

    def _write(self) -> None:
        while True:
            batch = self._next_batch()
            if waiting := [one for one in batch if one is not None]:
                self._commit(waiting)
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
        entries = [waiting.entry for waiting in batch if waiting.entry is not None]
        if error is None:
            error = self._failed(partial(self._writer.add, entries) if entries else self._writer.check)
            if entries or not self._writer.is_holding:
                self._failure = error

        def tell() -> None:
            for waiting in batch:
                waiting.done(error)

        self._announce(tell)

    def _failed(self, call: Callable[[], None]) -> LedgerError | None:
        try:
            call()
        except LedgerError as failed:
            return failed
        except WRITE_FAILURES as failed:  # whoever waits is told: a writer that ended silently would leave them waiting
            return LedgerError(f"nothing was recorded: {failed}")
        return None
