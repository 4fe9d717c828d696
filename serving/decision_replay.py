"""A stored decision made again from what was there then: behaviour, profiles, registry, rules, model, thresholds, terms.

Equal means equal to the byte of the answer, and to the bit of the vector. The same `hear` that decides for the live path decides
here. What failed or was late then is taken as it was: without a vector it is heard without one, from a stage that there was no
time for nothing is asked.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from casework import rule_sets
from casework.database import Database
from casework.ledger import Entry, Ledger
from casework.registry import Registry
from domain.decision import Decision, Degraded
from domain.errors import BuranaError, ReplayError, UnknownOperationError
from domain.operation import Operation
from features.arrivals import row_of_operation
from features.engine import Engine
from features.feature_set import FeatureSet
from features.layout import Word
from features.plan import Plan
from features.profile_kernel import Integers
from features.profiles import day_of
from serving import recovery, scoring
from serving.contracts import OPERATION, encode
from serving.control import Shares
from serving.hearing import Question, Terms, decision_of, hear
from serving.live_profiles import Used
from serving.recomputed_profiles import NOT_COMPARED, Asked, Recompute
from serving.rules import Rules
from serving.scoring import Model
from serving.settings import Settings
from serving.stages import Stage
from serving.verification import Profiles

ORDER = tuple(Stage)
KEPT = 8
"""Registries, rule sets and models of then that stay loaded."""
Vector = NDArray[np.float64]


class Kept(Struct, frozen=True):
    """What is read of a decision's evidence."""

    declarations: str
    limit_tyiyn: int
    registry_change: int | None = None
    shares: Shares | None = None
    late: Stage | None = None
    profiles: Profiles | None = None


class Again(NamedTuple):
    """A decision made again. differences: field, stored, made; empty when the answer is the same to the byte."""

    operation_id: str
    differences: tuple[tuple[str, Any, Any], ...]

    @property
    def is_equal(self) -> bool:
        """Whether the answer and the vector are the same."""
        return not self.differences


class NotMade(NamedTuple):
    """A decision that could not be made again, and why."""

    operation_id: str
    reason: str


class _Stored(NamedTuple):
    entry: Entry
    operation: Operation
    decision: Decision
    kept: Kept


_DECISION, _KEPT = msgspec.json.Decoder(Decision), msgspec.json.Decoder(Kept)


class Then:
    """What was in force at any time, from the database and the folders of an operator."""

    def __init__(self, settings: Settings, database: Database, plan: Plan) -> None:
        identifiers = settings.identifiers()
        self._plan, self._database, self.lots = plan, database, settings.lots()
        self.registry: Callable[[int], Registry] = lru_cache(KEPT)(lambda change: Registry(database, identifiers, change))
        self.model: Callable[[str], Model] = lru_cache(KEPT)(lambda version: scoring.load(settings.models / version, plan))
        self.rules: Callable[[str, str], Rules] = lru_cache(KEPT)(self._rules)
        self._features = {of.hash: of for of in (FeatureSet(plan, False), FeatureSet(plan))}

    def features(self, declarations: str) -> FeatureSet:
        """The features of a hash; ReplayError for those of another release."""
        if declarations not in self._features:
            raise ReplayError(
                f"it was decided with other features (declarations {declarations[:12]}); the release that served then can make it again"
            )
        return self._features[declarations]

    def _rules(self, policy: str, declarations: str) -> Rules:
        version = policy.removeprefix("rules-")
        stored = rule_sets.of_version(self._database, version)
        if stored is None:
            raise ReplayError(f"the rule set {version} is not in the database")
        return Rules(stored.content, self.features(declarations).names, version, stored.shadow)


def replay(
    settings: Settings, database: Database, plan: Plan, ids: Sequence[str], profiles: Recompute
) -> Iterator[Again | NotMade]:
    """Make the decisions on these operations again, in the ledger's order; what cannot be made comes back with the reason.

    profiles: how the part of a vector that was compared with profiles is made. UnknownOperationError for an id that is not recorded.
    The ledger is read once, up to the last of them.
    """
    ledger, then = Ledger(database), Then(settings, database, plan)
    wanted = sorted((_stored(ledger, id_) for id_ in dict.fromkeys(ids)), key=lambda stored: stored.entry.sequence)
    for stored, vector in _with_vectors(ledger, plan, wanted, profiles):
        try:
            yield _again(stored, vector, then)
        except BuranaError as error:
            yield NotMade(stored.entry.id, str(error))


def asked_then(ledger: Ledger, then: Then, id_: str) -> tuple[Question, Decision]:
    """What was asked about a recorded operation, with the vector that was recorded, and what was answered.

    UnknownOperationError for an id that is not recorded, ReplayError where nothing was decided or what was asked then is not at hand.
    """
    stored = _stored(ledger, id_)
    then.features(stored.kept.declarations)
    vector = None if stored.entry.vector is None else np.frombuffer(stored.entry.vector, "<f8")
    return _question(stored, vector, then), stored.decision


def _stored(ledger: Ledger, id_: str) -> _Stored:
    entry = ledger.find("operation", id_)
    if entry is None:
        raise UnknownOperationError(f"operation {id_} is not recorded")
    if entry.answer is None or entry.evidence is None:
        raise ReplayError(f"operation {id_} came in with a history; nothing was decided about it")
    return _Stored(entry, OPERATION.decode(entry.body), _DECISION.decode(entry.answer), _KEPT.decode(entry.evidence))


def _again(stored: _Stored, vector: Vector | None, then: Then) -> Again:
    then.features(stored.kept.declarations)
    if stored.entry.vector is None:
        vector = None
    elif vector is None:
        raise ReplayError("the snapshot of profiles that it was compared with is not at hand; name the folder that has it")
    question = _question(stored, vector, then)
    hearing = hear(question)
    made = decision_of(question, hearing, stored.decision.decided_at, stored.entry.sequence)
    differences = _vector_differences(stored, vector, then)
    if encode(made) != stored.entry.answer:
        fields = ((name, getattr(stored.decision, name), getattr(made, name)) for name in Decision.__struct_fields__)
        differences += [(name, was, is_) for name, was, is_ in fields if was != is_]
    return Again(stored.entry.id, tuple(differences))


def _question(stored: _Stored, vector: Vector | None, then: Then) -> Question:
    operation, kept, decision = stored.operation, stored.kept, stored.decision
    if kept.registry_change is None or kept.shares is None:
        raise ReplayError("it was decided by a release that did not keep which registry and which shares were in force")
    hits, change = then.registry(kept.registry_change).ask(operation, decision.decided_at)
    return Question(
        operation=operation, amount_tyiyn=row_of_operation(operation)[Word.AMOUNT], hits=hits, registry_change=change,
        read=lambda: (vector, _used(stored)), model=None if decision.model is None else then.model(decision.model),
        rules=then.rules(decision.policy, kept.declarations), terms=Terms(kept.limit_tyiyn, kept.shares),
        lot=then.lots.draw(operation.operation_id), late=lambda stage: stage if _was_late(kept.late, stage) else None,
    )  # fmt: skip


def _was_late(late: Stage | None, stage: Stage) -> bool:
    return late is not None and ORDER.index(stage) >= ORDER.index(late)


def _used(stored: _Stored) -> Used | None:
    """What the vector was compared with, as far as the decision depends on it: what failed."""
    if (used := stored.kept.profiles) is None:
        return None
    failed = [step for step in stored.decision.degraded if step in {Degraded.NO_PROFILES, Degraded.STALE_PROFILES}]
    return Used(day_of(used.due), None if used.day is None else day_of(used.day), degraded=failed[0] if failed else None)


def _vector_differences(stored: _Stored, made: Vector | None, then: Then) -> list[tuple[str, Any, Any]]:
    if made is None or stored.entry.vector == made.tobytes():
        return []
    was = np.frombuffer(stored.entry.vector or b"", "<f8")
    names = then.features(stored.kept.declarations).names
    pairs = zip(names, was.tolist(), made.tolist(), strict=True)
    return [(name, a, b) for name, a, b in pairs if np.float64(a).tobytes() != np.float64(b).tobytes()]


# ---- vectors ---------------------------------------------------------------------------------------------------------


def _with_vectors(
    ledger: Ledger, plan: Plan, wanted: list[_Stored], profiles: Recompute
) -> Iterator[tuple[_Stored, Vector | None]]:
    """Each with its vector, made from everything that was recorded before it; None where its profiles are not at hand."""
    engine, waiting = Engine(plan), list(wanted)
    for chunk in ledger.rows():
        mine = [stored for stored in waiting if stored.entry.sequence <= chunk[-1][0]]
        waiting = waiting[len(mine) :]
        rows, sequences = recovery.rows_of(ledger, chunk), np.array([sequence for sequence, *_ in chunk])
        places = np.searchsorted(sequences, [stored.entry.sequence for stored in mine])
        behaviour, wanted_at = np.empty((len(mine), len(plan))), np.full(len(rows), -1)
        wanted_at[places] = np.arange(len(mine))
        engine.replay(rows, behaviour, wanted_at)
        yield from zip(mine, _with_profiles(mine, rows[places], behaviour, profiles), strict=True)
        if not waiting:
            return


def _with_profiles(mine: list[_Stored], rows: Integers, behaviour: Vector, profiles: Recompute) -> Iterator[Vector | None]:
    """Behaviour, and what it was compared with where there was something."""
    asked = Asked(rows, np.full(len(rows), NOT_COMPARED, np.int64), np.full(len(rows), "", dtype="U64"))
    for place, stored in enumerate(mine):
        used = stored.kept.profiles
        if used is not None and used.day is not None:
            asked.days_behind[place], asked.snapshots[place] = (used.due - used.day).days, used.snapshot or ""
    values, made = profiles(asked)
    for place, stored in enumerate(mine):
        if stored.kept.profiles is None:
            yield behaviour[place]
        else:
            yield np.concatenate((behaviour[place], values[place])) if made[place] else None
