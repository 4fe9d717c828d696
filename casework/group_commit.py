"""Many wait for one commit: a thread writes, and all that came while a commit was under way goes into the next one together.

What comes in one turn of an event loop is handed over together, too: a thread that took each at once made a commit for each, as it
takes less time than an answer, and commits were a third of the processor time of an operation.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from casework.ledger import Entry
from casework.writers import Writer
from domain.errors import LedgerError, UnkeptError

MAX_BATCH = 1024
WRITE_FAILURES = (ArithmeticError, MemoryError, TypeError, UnkeptError, ValueError)
"""Of one entry, and told to all of its batch and to whoever comes until `mend`: so as of now, never as refused for good."""
Done = Callable[[LedgerError | None], None]
Run = Callable[[Callable[[], None]], object]


def _at_once(call: Callable[[], None]) -> None:
    call()


@dataclass(frozen=True)
class _Waiting:
    """entry: None for who only asks whether one could be written."""

    entry: Entry | None
    done: Done


class GroupCommit:
    """Adds entries to a ledger in the order of their coming. `append` may be called from one thread."""

    def __init__(self, writer: Writer, announce: Run = _at_once, gather: Run = _at_once) -> None:
        """announce: runs a callable where waiting callers live, such as `loop.call_soon_threadsafe`; gather: runs one when all that
        came together have appended, such as `loop.call_soon`.
        """
        self._writer, self._announce, self._gather = writer, announce, gather
        self._gathered: list[_Waiting] = []
        self._queue: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._failure: LedgerError | None = None
        self._mending, self._is_closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._write, name="ledger", daemon=True)
        self._thread.start()

    def append(self, entry: Entry, done: Done) -> None:
        """Queue an entry; `done(None)` once it is on the disk, `done(error)` if it is not, or nobody knows."""
        self._put(_Waiting(entry, done))

    def check(self, done: Done) -> None:
        """`done(None)` if an entry could be written now, else `done(error)`; `is_broken` then says whether none will be until `mend`."""
        self._put(_Waiting(None, done))

    @property
    def is_broken(self) -> bool:
        """Whether entries are refused until `mend`: a write failed, or the ledger is not held any more."""
        return self._failure is not None

    def mend(self) -> None:
        """After a failed write, with nothing under way: accept entries again. LedgerError when the database does not yet.

        The caller then brings its state back to what is committed, before it appends. It may be called from any thread.
        """
        with self._mending:
            if self._is_closed:
                raise LedgerError("the ledger is let go of, this process ends")
            self._writer.mend()
            self._failure = None

    def close(self) -> None:
        """Write what was appended, then let go of the ledger; a `mend` under way in another thread is waited for."""
        self._hand_over()
        self._queue.put(None)
        self._thread.join()
        with self._mending:  # a SQLite session that is closed while a thread is in it takes the process down
            self._is_closed = True
            self._writer.close()

    def _put(self, waiting: _Waiting) -> None:
        self._gathered.append(waiting)
        if len(self._gathered) == 1:
            self._gather(self._hand_over)

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._queue.put(gathered)

    def _write(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            for first in range(0, len(batch), MAX_BATCH):
                self._commit(batch[first : first + MAX_BATCH])

    def _next_batch(self) -> tuple[list[_Waiting], bool]:
        """All that wait, of one at least, and whether more may come."""
        batch: list[_Waiting] = []
        while not batch or (len(batch) < MAX_BATCH and not self._queue.empty()):
            if (gathered := self._queue.get()) is None:
                return batch, False
            batch += gathered
        return batch, True

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
        except WRITE_FAILURES as failed:  # whoever waits is told: a writer that ended silently would leave them waiting
            return LedgerError(f"nothing was recorded: {failed}")
        except LedgerError as failed:
            return failed
        return None
