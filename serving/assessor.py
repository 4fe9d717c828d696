"""The assessor: takes one record after another through the layers, the features and the ledger, in one order.

Everything between the look-up of the id and the durable write happens in one turn of the event loop, so the order of the features
and the order of the ledger are the same. A record is in the features before it is on the disk; when the disk refuses it, nothing
more is taken until the features are rebuilt from what is on the disk.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casework.group_commit import GroupCommit
from casework.ledger import Entry
from casework.lookups import Key, Known, Lookups
from casework.new_ids import NewIds
from casework.registry import Registry
from casework.tables import id_hash
from domain import instants
from domain.errors import ConflictError, LedgerError, UnknownOperationError
from domain.events import Event, Outcome, normal_event, normal_outcome
from domain.identifiers import Identifiers
from domain.levels import RiskLevel
from domain.operation import Operation, normal_operation
from features.arrivals import ENCODING, row_of_event, row_of_operation, row_of_outcome
from features.engine import Engine
from features.feature_set import FeatureSet
from features.layout import Word
from features.profile_kernel import Integers
from serving import logs
from serving.contracts import EVENT, OPERATION, OUTCOME, Recorded, decoded, encode
from serving.hearing import Hearing, Question, Terms, decision_of, hear
from serving.live_counts import LiveCounts
from serving.live_profiles import LiveProfiles, Used
from serving.logs import Decided as Logged
from serving.metrics import Metrics
from serving.recorded_at import RecordedAt
from serving.rules import Rules
from serving.scoring import Model
from serving.settings import Settings
from serving.stages import Stage, Timing

log = logging.getLogger("burana")
_AMOUNT = int(Word.AMOUNT)
FEATURE_FAILURES = (ArithmeticError, LookupError, MemoryError, SystemError, TypeError, ValueError)


@dataclass
class Layers:
    """What an assessment asks. A new champion brings new layers, exchanged as a whole; rules may be exchanged alone.

    features: what the model reads, the vocabulary of the rules; profiles: what it reads beside behaviour, None for a model
    that reads behaviour alone; live: counts the served vectors, to see drift, None where there is nothing to compare with.
    """

    registry: Registry
    model: Model | None
    rules: Rules
    features: FeatureSet
    profiles: LiveProfiles | None = None
    live: LiveCounts | None = None


@dataclass
class _Pending:
    """A record that is on its way to the disk: what it was and who waits for it."""

    body: bytes
    row: Integers
    answer: "asyncio.Future[bytes]"
    since: float


class Assessor:
    """One for a process. `broken` is set while the ledger takes nothing of this process: from a failed write, or from the start of a
    standby, until `recover` has run; meanwhile every caller is told to retry.

    `stale` is set when the features could not take a record: until `recover` has run they are not asked, and whatever is not
    rejected is verified. `is_draining` says that the process stops: the endpoint then takes no more records.
    """

    def __init__(self, settings: Settings, identifiers: Identifiers, layers: Layers, engine: Engine, commits: GroupCommit,
                 lookups: Lookups, clock: Callable[[], datetime], recorded_at: RecordedAt, metrics: Metrics) -> None:  # fmt: skip
        """engine: as of the last entry of the ledger that `commits` adds to, and so `recorded_at`."""
        self.layers, self.engine, self.metrics = layers, engine, metrics
        self._settings, self._identifiers, self._clock = settings, identifiers, clock
        self._commits, self._lookups, self.recorded_at = commits, lookups, recorded_at
        self._lots, self._terms = settings.lots(), Terms(settings.limit_tyiyn, settings.shares)
        which = settings.log_decisions
        self._is_logged = {
            level.word: which == Logged.ALL or (which == Logged.STOPPED and level > RiskLevel.LOW) for level in RiskLevel
        }
        self._deadline_s = settings.deadline_ms / 1000
        self._ahead = timedelta(seconds=settings.clock_ahead_s)
        self._pending: dict[Key, _Pending] = {}
        self.new_ids = NewIds()
        self._asked: dict[Key, asyncio.Future[LedgerError | None]] = {}
        self._next = engine.applied + 1
        self.broken: LedgerError | None = None
        self.stale = False
        self.is_draining = False
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

    # ---- what callers ask --------------------------------------------------------------------------------------------

    async def operation(self, body: bytes) -> bytes:
        """The decision on an operation, once it is durable; the stored one when the id was seen before."""
        timing = Timing(self.metrics.stages, self._deadline_s)
        operation: Operation = normal_operation(
            decoded(OPERATION, body), self._identifiers, self.recorded_at.latest() + self._ahead
        )
        canonical = encode(operation)
        if (repeated := await self._repeated(("operation", operation.operation_id), canonical)) is not None:
            return repeated
        row, live = np.array(row_of_operation(operation), np.int64), self.layers.live
        decided_at = instants.from_ms(instants.to_ms(self._clock()))
        question = self._question(operation, row, timing, decided_at)
        hearing = hear(question)
        if hearing.late is not None:
            log.warning("operation %s: the time for an answer ran out before %s", operation.operation_id, hearing.late)
        decision = decision_of(question, hearing, decided_at, self._next)
        evidence, blob = self._evidence(question, hearing), None if hearing.vector is None else hearing.vector.tobytes()
        timing.late(Stage.WRITING)
        answer = await self._record("operation", operation.operation_id, canonical, row, encode(decision), blob, evidence)
        seconds = timing.done()
        self.metrics.decided(decision)
        if self._is_logged[decision.level]:
            logs.decided(operation, decision, seconds)
        if live is not None and blob is not None:  # of the layers that were asked, whatever came while the disk wrote
            live.take(blob, decision.score)
        return answer

    async def event(self, body: bytes) -> bytes:
        """The receipt of an event, once it is durable."""
        event: Event = normal_event(decoded(EVENT, body), self._identifiers, self.recorded_at.latest() + self._ahead)
        canonical = encode(event)
        if (repeated := await self._repeated(("event", event.event_id), canonical)) is not None:
            return repeated
        answer = encode(Recorded(event.event_id, self._next))
        return await self._record("event", event.event_id, canonical, np.array(row_of_event(event)), answer)

    async def outcome(self, body: bytes) -> bytes:
        """The receipt of an outcome, once it is durable; its operation must be recorded."""
        outcome: Outcome = normal_outcome(decoded(OUTCOME, body), self.recorded_at.latest() + self._ahead)
        canonical = encode(outcome)
        # first: the outcome's own look-up must be the last
        operation = await self._known(("operation", outcome.operation_id))
        if (repeated := await self._repeated(("outcome", outcome.outcome_id), canonical)) is not None:
            return repeated
        row = np.array(row_of_outcome(outcome, _row_of(outcome.operation_id, operation)))
        answer = encode(Recorded(outcome.outcome_id, self._next))
        return await self._record("outcome", outcome.outcome_id, canonical, row, answer)

    # ---- the way -----------------------------------------------------------------------------------------------------

    def _question(self, operation: Operation, row: Integers, timing: Timing, decided_at: datetime) -> Question:
        """What is asked about an operation; entries of the registry that are valid when it is decided count."""
        layers = self.layers
        hits, change = layers.registry.ask(operation, decided_at)
        return Question(
            operation=operation, amount_tyiyn=row.item(_AMOUNT), hits=hits, registry_change=change, read=lambda: self._vector(row),
            model=layers.model, rules=layers.rules, terms=self._terms, lot=self._lots.draw(operation.operation_id),
            late=timing.late,
        )  # fmt: skip

    def _evidence(self, question: Question, hearing: Hearing) -> bytes:
        """What beside reasons and vector is kept of a decision; `declarations` says whose names the vector has.

        `registry_change`: the last change of the registry that was in force; `behaviour`: the declarations of the part before the
        profiles; `profiles`: what the rest was compared with; `control`: the level that it would have had without the lot, and the
        probability with which such an operation is stopped; `shares`: what was set then; `late`: the first stage for which there
        was no time.
        """
        heard, used, control = hearing.heard, hearing.used, hearing.assessment.control
        evidence: dict[str, Any] = {"declarations": self.layers.features.hash}
        if used is not None:
            evidence |= {"behaviour": self.engine.plan.hash, "profiles": used.evidence()}
        evidence |= {
            "limit_tyiyn": question.terms.limit_tyiyn,
            "registry_change": question.registry_change,
            "registry": [{"field": hit.field, "list": hit.list, "entry_id": hit.entry_id} for hit in heard.hits],
            "shadow": [rule.id for rule in heard.rules.shadow],
            "failed": [{"rule": name, "error": error} for name, error in heard.rules.failed],
            "control": {"would_be": control.would_be.word, "propensity": control.propensity},
            "shares": question.terms.shares,
        }
        if hearing.late is not None:
            evidence["late"] = hearing.late
        return encode(evidence)

    def _vector(self, row: Integers) -> tuple[NDArray[np.float64] | None, Used | None]:
        """The vector, and what its profile part was compared with."""
        if self.stale:
            return None, None
        try:
            behaviour = self.engine.read(row)
            profiles = self.layers.profiles
            return (behaviour, None) if profiles is None else profiles.beside(behaviour, row)
        except FEATURE_FAILURES:
            log.exception("features could not be read; the operation goes to verification")
            return None, None

    # ---- the order and the disk --------------------------------------------------------------------------------------

    async def _repeated(self, key: Key, body: bytes) -> bytes | None:
        """The answer to come or already given to an id; None for a new id, to be recorded in this turn. ConflictError for another body."""
        known = await self._known(key)
        if known is None:
            return None
        if known.body != body:
            raise ConflictError(
                f"{' '.join(key)} is recorded with another body; a repeat carries the same body, a new record a new id"
            )
        if known.answer is None:
            raise ConflictError(f"{' '.join(key)} came in with a history; it was never answered")
        return known.answer if isinstance(known.answer, bytes) else await asyncio.shield(known.answer)

    async def _known(self, key: Key) -> "_Pending | Known | None":
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
        if len(self._asked) >= self._settings.max_pending:
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
        self.metrics.ledger_failures.inc()
        if self._is_readable:
            log.error("callers are told to retry, a look-up failed: %s", error)
        self._is_readable = False

    def _refuse_while_broken(self) -> None:
        if self.broken is not None:
            raise type(self.broken)(str(self.broken))  # a new one: a shared one would gather the frames of every caller

    async def _record(self, type_: str, id_: str, body: bytes, row: Integers, answer: bytes, vector: bytes | None = None,
                      evidence: bytes | None = None) -> bytes:  # fmt: skip
        """Apply the record to the features, queue it for the disk, and answer once it is there."""
        if len(self._pending) >= self._settings.max_pending:
            raise LedgerError(f"{len(self._pending)} records wait for the disk")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        self._apply(row)
        self._pending[type_, id_] = _Pending(body, row, future, perf_counter())
        self.new_ids.recorded(id_hash(type_, id_))
        self._idle.clear()
        sequence, self._next = self._next, self._next + 1
        entry = Entry(
            sequence,
            type_,
            id_,
            self.recorded_at.now(),
            body,
            row.astype("<i8").tobytes(),
            ENCODING,
            answer,
            vector,
            evidence,
        )
        self._commits.append(entry, lambda error: self._done(type_, id_, answer, error))
        return await asyncio.shield(future)  # a caller that hangs up does not undo what is recorded

    def _apply(self, row: Integers) -> None:
        """Let the features take a record. The record is kept also when they cannot: they are rebuilt from the ledger then."""
        try:
            if not self.stale:
                self.engine.apply(row)
        except FEATURE_FAILURES:
            log.exception("the features could not take a record; they are not asked until they are rebuilt")
            self.metrics.features_failed.inc()
            self.stale = True

    def _done(self, type_: str, id_: str, answer: bytes, error: LedgerError | None) -> None:
        pending = self._pending.pop((type_, id_))
        if error is None:
            pending.answer.set_result(answer)
        else:
            self._lost(error)
            pending.answer.set_exception(LedgerError(str(error)))
            pending.answer.exception()  # retrieved: the caller may be gone
        self._idle_when_empty()

    def _lost(self, error: LedgerError) -> None:
        """The ledger takes no records until `recover` has run: counted and said once, whoever notices."""
        if self.broken is None:
            self.metrics.ledger_failures.inc()
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
        self._next = self.engine.applied + 1
        self.new_ids = NewIds()  # another process may have recorded ids while this one did not hold the ledger
        self.broken, self.stale = None, False
        log.warning("the ledger takes records again, from sequence %d", self._next)


def _row_of(operation_id: str, operation: _Pending | Known | None) -> list[int]:
    if operation is None:
        raise UnknownOperationError(f"operation {operation_id} is not recorded; an outcome is of a recorded operation")
    if isinstance(operation, _Pending):
        return operation.row.tolist()
    return row_of_operation(OPERATION.decode(operation.body))
