"""The assessor: asks the layers about one operation after another, and answers once that is recorded (`serving/records.py`)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casework.lookups import Known
from casework.registry import Hit, Registry
from domain import instants
from domain.decision import Decision
from domain.errors import LedgerError, UnknownOperationError
from domain.events import Event, Outcome, check_known_after, normal_event, normal_outcome
from domain.identifiers import Identifiers
from domain.levels import RiskLevel
from domain.operation import Operation, normal_operation
from features.arrivals import row_of_event, row_of_operation, row_of_outcome
from features.feature_set import FeatureSet
from features.layout import Word
from features.profile_kernel import Integers
from serving import logs
from serving.contracts import EVENT, OPERATION, OUTCOME, Recorded, decoded, encode, read
from serving.hearing import Hearing, Question, Terms, decision_of, hear_in_steps
from serving.live_counts import LiveCounts
from serving.live_profiles import LiveProfiles, Used
from serving.logs import Decided as Logged
from serving.metrics import Metrics
from serving.records import FEATURE_FAILURES, Pending, Records
from serving.rules import Rules
from serving.scoring import Model
from serving.settings import Settings
from serving.stages import Stage, Steps, Timing, resting
from serving.turns import Turns

log = logging.getLogger("burana")
_AMOUNT = int(Word.AMOUNT)


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


@dataclass(slots=True)
class Case:
    """An operation on its way. decided_at: to the millisecond; hits: what the registry said as of then and as of that change.

    decision, vector and who counts vectors are there once it is decided.
    """

    operation: Operation
    row: Integers
    decided_at: datetime
    hits: tuple[Hit, ...]
    change: int
    timing: Timing
    decision: Decision | None = None
    vector: bytes | None = None
    live: LiveCounts | None = None


class Assessor:
    """One for a process. While its records are `stale` the features are not asked, and whatever is not rejected is verified.

    `is_draining` says that the process stops: the endpoint then takes no more records.
    """

    def __init__(self, settings: Settings, identifiers: Identifiers, layers: Layers, records: Records,
                 clock: Callable[[], datetime], metrics: Metrics) -> None:  # fmt: skip
        self.layers, self.records, self.metrics = layers, records, metrics
        self._identifiers, self._clock = identifiers, clock
        self._lots, self._terms = settings.lots(), Terms(settings.limit_tyiyn, settings.shares)
        which = settings.log_decisions
        self._is_logged = {
            level.word: which == Logged.ALL or (which == Logged.STOPPED and level > RiskLevel.LOW) for level in RiskLevel
        }
        self._deadline_s = settings.deadline_ms / 1000
        self._ahead = timedelta(seconds=settings.clock_ahead_s)
        self._turns = Turns(records.give_up)
        self.is_draining = False

    # ---- what callers ask --------------------------------------------------------------------------------------------

    async def operation(self, body: bytes) -> bytes:
        """The decision on an operation, once it is durable; the stored one when the id was seen before."""
        timing, now = Timing(self.metrics.stages, self._deadline_s), self._clock()
        given, canonical = read(OPERATION, body)
        operation: Operation = normal_operation(given, self._identifiers, self._latest(now))
        if operation is not given:  # it did not come in normal form
            canonical = encode(operation)
        case = Case(operation, np.array(row_of_operation(operation), np.int64), *self._listed(operation, now), timing)
        key = ("operation", operation.operation_id)
        if (repeated := await self.records.repeated(key, canonical)) is not None:
            return repeated
        pending = self.records.take(key, canonical, case.row)
        timing.rest()
        self._turns.add(pending, self._decide(case, pending))
        answer = await pending.answered()
        seconds, decision, live = timing.done(), case.decision, case.live
        assert decision is not None, "it was decided before it was recorded"
        self.metrics.decided(decision)
        if self._is_logged[decision.level]:
            logs.decided(operation, decision, seconds)
        if live is not None and case.vector is not None:  # of the layers that were asked, whatever came while the disk wrote
            live.take(case.vector, decision.score)
        return answer

    async def event(self, body: bytes) -> bytes:
        """The receipt of an event, once it is durable."""
        event: Event = normal_event(decoded(EVENT, body), self._identifiers, self._latest(self._clock()))
        canonical, row = encode(event), np.array(row_of_event(event))
        key = ("event", event.event_id)
        if (repeated := await self.records.repeated(key, canonical)) is not None:
            return repeated
        return await self._recorded(self.records.take(key, canonical, row))

    async def outcome(self, body: bytes) -> bytes:
        """The receipt of an outcome, once it is durable; its operation must be recorded."""
        outcome: Outcome = normal_outcome(decoded(OUTCOME, body), self._latest(self._clock()))
        canonical = encode(outcome)
        key = ("outcome", outcome.outcome_id)
        # first: the outcome's own look-up must be the last
        operation = await self.records.known(("operation", outcome.operation_id))
        if (repeated := await self.records.repeated(key, canonical)) is not None:
            return repeated
        operation_row = _row_of(outcome.operation_id, operation)
        check_known_after(outcome, instants.from_ms(operation_row[Word.TIME]))
        row = np.array(row_of_outcome(outcome, operation_row))
        return await self._recorded(self.records.take(key, canonical, row), operation)

    def _latest(self, now: datetime) -> datetime:
        """The last moment at which a record may have occurred."""
        return self.records.recorded_at.latest(now) + self._ahead

    # ---- the way -----------------------------------------------------------------------------------------------------

    def _listed(self, operation: Operation, now: datetime) -> tuple[datetime, tuple[Hit, ...], int]:
        """The moment to the millisecond, what the registry says as of then, and the last change that was in force."""
        decided_at = instants.from_ms(instants.to_ms(now))
        return decided_at, *self.layers.registry.ask(operation, decided_at)

    def _decide(self, case: Case, pending: Pending) -> Steps[None]:
        """The steps of an operation from features to the ledger's queue."""
        case.timing.go_on()
        if self.layers.registry.change != case.change:  # while others were read, or the id was looked up
            case.decided_at, case.hits, case.change = self._listed(case.operation, self._clock())
        layers, question = self.layers, self._question(case)
        steps = hear_in_steps(question)
        next(steps)
        sequence = self.records.place(pending)  # after its features are read, before those of the next
        hearing = yield from resting(steps, case.timing)
        if hearing.late is not None:
            log.warning("operation %s: the time for an answer ran out before %s", case.operation.operation_id, hearing.late)
        case.timing.rest()
        yield
        case.timing.go_on()
        case.decision, case.live = decision_of(question, hearing, case.decided_at, sequence), layers.live
        case.vector = None if hearing.vector is None else hearing.vector.tobytes()
        evidence = self._evidence(layers.features.hash, question, hearing)
        case.timing.late(Stage.WRITING)
        self.records.write(pending, encode(case.decision), case.vector, evidence)

    async def _recorded(self, pending: Pending, of: Pending | Known | None = None) -> bytes:
        """The receipt of what is recorded as it is, once it is durable. of: what it refers to."""
        self._turns.add(pending, self._record(pending, of))
        return await pending.answered()

    def _record(self, pending: Pending, of: Pending | Known | None) -> Steps[None]:
        """The steps of what nothing is decided about."""
        if isinstance(of, Pending) and of.sequence is None:  # it came before this, so it had its place, if it was not lost
            raise LedgerError(f"{' '.join(of.key)} was lost on its way")
        sequence = self.records.place(pending)
        yield
        self.records.write(pending, encode(Recorded(pending.key[1], sequence)))

    def _question(self, case: Case) -> Question:
        layers, operation, row = self.layers, case.operation, case.row
        return Question(
            operation=operation, amount_tyiyn=row.item(_AMOUNT), hits=case.hits, registry_change=case.change,
            read=lambda: self._vector(row), model=layers.model, rules=layers.rules, terms=self._terms,
            lot=self._lots.draw(operation.operation_id), late=case.timing.late,
        )  # fmt: skip

    def _evidence(self, declarations: str, question: Question, hearing: Hearing) -> bytes:
        """What beside reasons and vector is kept of a decision; `declarations` says whose names the vector has.

        `registry_change`: the last change of the registry that was in force; `behaviour`: the declarations of the part before the
        profiles; `profiles`: what the rest was compared with; `control`: the level that it would have had without the lot, and the
        probability with which such an operation is stopped; `shares`: what was set then; `late`: the first stage for which there
        was no time.
        """
        heard, used, control = hearing.heard, hearing.used, hearing.assessment.control
        evidence: dict[str, Any] = {"declarations": declarations}
        if used is not None:
            evidence |= {"behaviour": self.records.engine.plan.hash, "profiles": used.evidence()}
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
        if self.records.stale:
            return None, None
        try:
            behaviour = self.records.engine.read(row)
            profiles = self.layers.profiles
            return (behaviour, None) if profiles is None else profiles.beside(behaviour, row)
        except FEATURE_FAILURES:
            log.exception("features could not be read; the operation goes to verification")
            return None, None


def _row_of(operation_id: str, operation: Pending | Known | None) -> list[int]:
    if operation is None:
        raise UnknownOperationError(f"operation {operation_id} is not recorded; an outcome is of a recorded operation")
    if isinstance(operation, Pending):
        return operation.row.tolist()
    return row_of_operation(OPERATION.decode(operation.body))
