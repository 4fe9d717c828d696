"""Records in one order: what is known of an id, the features, the ledger.

An id is held from the turn of the event loop in which it was looked up. A record then gets its place: a sequence number, a moment, and
the features take it; and it is written in that order, so the order of the features and the order of the ledger are the same. A record is in
the features before it is on the disk; when the disk refuses it, nothing more is taken until the features are rebuilt from what is on the disk.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

from casework.group_commit import Done, GroupCommit
from casework.ledger import Entry
from casework.lookups import Key, Known, Lookups
from casework.new_ids import NewIds
from casework.tables import id_hash
from domain.errors import ConflictError, LedgerError
from features.arrivals import ENCODING
from features.engine import Engine
from features.profile_kernel import Integers
from serving.metrics import Metrics
from serving.recorded_at import RecordedAt

log = logging.getLogger("burana")
FEATURE_FAILURES = (ArithmeticError, LookupError, MemoryError, SystemError, TypeError, ValueError)


@dataclass(slots=True)
class Pending:
    """A record that is on its way to the disk: what it was, since when, who waits for it; its place in the order, once it has one."""

    key: Key
    body: bytes
    row: Integers
    since: float
    sequence: int | None = None
    recorded_at: str = ""
    _waiting: "list[asyncio.Future[bytes]]" = field(default_factory=list)

    async def answered(self) -> bytes:
        """The answer, once the record is on the disk; LedgerError where it is not, or nobody knows."""
        # one each: a caller that hangs up neither undoes what is recorded nor takes the answer from who repeats it
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        answer: bytes = await waiting
        return answer

    def tell(self, answer: bytes, error: Exception | None) -> None:
        """Answer all that wait."""
        for waiting in self._waiting:
            if waiting.done():  # who asked is gone
                continue
            if error is None:
                waiting.set_result(answer)
            else:  # one each: a shared one would gather the frames of every caller
                waiting.set_exception(LedgerError(str(error)) if isinstance(error, LedgerError) else error)


class Records:
    """One for a process. `broken` is set while the ledger takes nothing of this process: from a failed write, or from the start of a
    standby, until `recover` has run; meanwhile every caller is told to retry.

    `stale` is set when the features could not take a record: until `recover` has run they are not to be asked.
    """

    def __init__(self, engine: Engine, commits: GroupCommit, lookups: Lookups, recorded_at: RecordedAt, metrics: Metrics,
                 most: int) -> None:  # fmt: skip
        """engine: as of the last entry of the ledger that `commits` adds to, and so `recorded_at`; most: records that may be on their way
        to the disk, and look-ups that may wait for the database.
        """
        self.engine, self.recorded_at = engine, recorded_at
        self._commits, self._lookups, self._metrics, self._most = commits, lookups, metrics, most
        self._pending: dict[Key, Pending] = {}
        self.new_ids = NewIds()
        self._asked: dict[Key, asyncio.Future[LedgerError | None]] = {}
        self.next_sequence = engine.applied + 1
        """The sequence number that the next record will have."""
        self._written: dict[int, tuple[Entry, Done]] = {}  # by sequence number, until all before them are written
        self._next_written = self.next_sequence
        self.broken: LedgerError | None = None
        self.stale = False
        self._is_readable = True
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pending(self) -> list[bytes]:
        """The hashes of the ids that are on their way to the disk."""
        return [id_hash(*key) for key in self._pending]

    @property
    def waiting(self) -> int:
        """How many records are on their way to the disk."""
        return len(self._pending)

    @property
    def oldest_s(self) -> float:
        """How long the oldest of them has been on its way, 0.0 without any."""
        oldest = next(iter(self._pending.values()), None)
        return 0.0 if oldest is None else perf_counter() - oldest.since

    # ---- what is known of an id --------------------------------------------------------------------------------------

    async def repeated(self, key: Key, body: bytes) -> bytes | None:
        """The answer to come or already given to an id; None for a new id, to be taken in this turn. ConflictError for another body."""
        known = await self.known(key)
        if known is None:
            return None
        if known.body != body:
            raise ConflictError(
                f"{' '.join(key)} is recorded with another body; a repeat carries the same body, a new record a new id"
            )
        if isinstance(known, Pending):
            return await known.answered()
        if known.answer is None:
            raise ConflictError(f"{' '.join(key)} came in with a history; it was never answered")
        return known.answer

    async def known(self, key: Key) -> Pending | Known | None:
        """What is on its way to the disk or on it under an id; None holds until this turn of the event loop ends.

        A second one who asks for an id waits until the first has his answer and took his turn, then asks anew: so between the
        moment that a look-up saw and the turn of who made it, nobody else can have recorded that id.
        """
        while (pending := self._pending.get(key)) is None:
            self._refuse_while_broken()
            if (asked := self._asked.get(key)) is None:
                return None if self.new_ids.has(id_hash(*key)) else await self._look_up(key)
            if (failed := await asyncio.shield(asked)) is not None:
                raise LedgerError(str(failed))
        self._refuse_while_broken()
        return pending

    async def _look_up(self, key: Key) -> Known | None:
        if len(self._asked) >= self._most:
            raise LedgerError(f"{len(self._asked)} look-ups wait for the database")
        asked = self._asked[key] = asyncio.get_running_loop().create_future()
        failed = None
        self._idle.clear()
        try:
            known = await self._lookups.find(key)
            self._is_readable = True
        except LedgerError as error:
            failed = error
            self._say_unreadable(error)
            raise
        finally:
            del self._asked[key]
            asked.set_result(failed)
            self._idle_when_empty()
        self._refuse_while_broken()
        return known

    def _say_unreadable(self, error: LedgerError) -> None:
        """Count it, and say it once until a look-up ends well again."""
        self._metrics.ledger_failures.inc()
        if self._is_readable:
            log.error("callers are told to retry, a look-up failed: %s", error)
        self._is_readable = False

    def _refuse_while_broken(self) -> None:
        if self.broken is not None:
            raise type(self.broken)(str(self.broken))  # a new one: a shared one would gather the frames of every caller

    # ---- the order and the disk --------------------------------------------------------------------------------------

    def take(self, key: Key, body: bytes, row: Integers) -> Pending:
        """Hold an id, in the turn in which it was seen to be new: who sends it meanwhile waits for the same answer."""
        if len(self._pending) >= self._most:
            raise LedgerError(f"{len(self._pending)} records wait for the disk")
        pending = self._pending[key] = Pending(key, body, row, perf_counter())
        self._idle.clear()
        return pending

    def place(self, pending: Pending) -> int:
        """Give a record its place in the order, and let the features take it; its sequence number. LedgerError while none are taken."""
        self._refuse_while_broken()
        pending.sequence, pending.recorded_at = self.next_sequence, self.recorded_at.now()
        self.next_sequence += 1
        self._apply(pending.row)
        self.new_ids.recorded(id_hash(*pending.key))
        return pending.sequence

    def write(self, pending: Pending, answer: bytes, vector: bytes | None = None, evidence: bytes | None = None) -> None:
        """Queue a record that has its place for the disk, behind all that have theirs before it. LedgerError while none are taken."""
        self._refuse_while_broken()
        assert pending.sequence is not None, "it has its place"
        entry = Entry(
            pending.sequence,
            *pending.key,
            pending.recorded_at,
            pending.body,
            pending.row.astype("<i8", copy=False).tobytes(),
            ENCODING,
            answer,
            vector,
            evidence,
        )
        self._written[pending.sequence] = entry, partial(self._done, pending, answer)
        while (written := self._written.pop(self._next_written, None)) is not None:
            self._next_written += 1
            self._commits.append(*written)

    def give_up(self, pending: Pending, error: Exception) -> None:
        """A record will not be written, whoever waits is told. Where it has its place no later one can be written either: all is
        brought back to what is on the disk.
        """
        if pending.sequence is not None:
            broken = self.broken or LedgerError(f"a record was lost on its way: {error}")
            self._lost(broken)
            behind, self._written = self._written, {}
            for _, done in behind.values():
                done(broken)
        self._answer(pending, b"", error)

    def _apply(self, row: Integers) -> None:
        """Let the features take a record. The record is kept also when they cannot: they are rebuilt from the ledger then."""
        try:
            if not self.stale:
                self.engine.apply(row)
        except FEATURE_FAILURES:
            log.exception("the features could not take a record; they are not asked until they are rebuilt")
            self._metrics.features_failed.inc()
            self.stale = True

    def _done(self, pending: Pending, answer: bytes, error: LedgerError | None) -> None:
        if error is not None:
            self._lost(error)
        self._answer(pending, answer, error)

    def _answer(self, pending: Pending, answer: bytes, error: Exception | None) -> None:
        self._pending.pop(pending.key).tell(answer, error)
        self._idle_when_empty()

    def _lost(self, error: LedgerError) -> None:
        """The ledger takes no records until `recover` has run: counted and said once, whoever notices."""
        if self.broken is None:
            self._metrics.ledger_failures.inc()
            log.error("callers are told to retry, the ledger does not take records: %s", error)
        self.broken = error

    def _idle_when_empty(self) -> None:
        if not self._pending and not self._asked:
            self._idle.set()

    async def drained(self) -> None:
        """Return once nothing is on its way to the disk, and no look-up under way."""
        await self._idle.wait()

    async def could_record(self) -> LedgerError | None:
        """Why a record could not be written now, None when it could. Nothing is recorded; a ledger that is lost is noticed."""
        if self.broken is not None:
            return self.broken
        checked: asyncio.Future[LedgerError | None] = asyncio.get_running_loop().create_future()
        self._commits.check(lambda error: None if checked.done() else checked.set_result(error))
        error = await checked
        if error is not None and self._commits.is_broken:
            self._lost(error)
        return error

    async def recover(self, rebuild: Callable[[], Engine]) -> None:
        """After a failed write, stale features, or as a standby: hold the ledger, bring the features to what is on the disk, then take records again.

        rebuild: the features as of the ledger's last entry; asked once nothing that failed can still come to the disk. Callers are told to retry meanwhile. When it fails all is as before, to be tried again.
        """
        before = self.broken
        self.broken = before or LedgerError("the features are being rebuilt from the ledger")
        try:
            await self.drained()
            await asyncio.to_thread(self._commits.mend)
            self.engine = await asyncio.to_thread(rebuild)
        finally:
            self.broken = before
        self._next_written = self.next_sequence = self.engine.applied + 1
        self.new_ids = NewIds()  # another process may have recorded ids while this one did not hold the ledger
        self.broken, self.stale = None, False
        log.warning("the ledger takes records again, from sequence %d", self.next_sequence)
