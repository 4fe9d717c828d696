"""Many wait for one commit: a thread writes, and all that came while a commit was under way goes into the next one together."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from casework.ledger import Entry
from casework.writers import Writer
from domain.errors import LedgerError

MAX_BATCH = 1024
WRITE_FAILURES = (ArithmeticError, MemoryError, TypeError, ValueError)
Done = Callable[[LedgerError | None], None]


@dataclass(frozen=True)
class _Waiting:
    entry: Entry
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
        if error is None:
            error = self._failure = self._added([waiting.entry for waiting in batch])

        def tell() -> None:
            for waiting in batch:
                waiting.done(error)

        self._announce(tell)

    def _added(self, entries: list[Entry]) -> LedgerError | None:
        try:
            self._writer.add(entries)
        except LedgerError as failed:
            return failed
        except WRITE_FAILURES as failed:  # whoever waits is told: a writer that ended silently would leave them waiting
            return LedgerError(f"nothing was recorded: {failed}")
        return None
