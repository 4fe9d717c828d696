"""Hearing: every layer is asked about one operation, one after another, for as long as there is time.

What comes in is all that a decision depends on, so a stored decision can be heard again later (`serving/decision_replay.py`).
Nothing here changes anything.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from casework.registry import Hit
from domain.decision import Decision, Degraded, Layer, Reason
from domain.levels import RiskLevel
from domain.operation import Operation
from serving import basic
from serving.contributions import explained
from serving.control import Shares
from serving.decide import Assessment, Heard, decide
from serving.live_profiles import Used
from serving.rules import Outcome, Rules
from serving.scoring import MODEL_FAILURES, Later, Model
from serving.stages import Stage, Steps

log = logging.getLogger("burana")
Vector = NDArray[np.float64]
UNASKED = Outcome()
NO_TIME_TO_EXPLAIN = Reason(
    Layer.SCORE,
    "score_not_explained",
    None,
    "the time for an answer ran out before the score was explained; ask for it later",
)


class Terms(NamedTuple):
    """What the operator has set that a decision depends on. limit_tyiyn: the amount from which an operation is verified (R22)."""

    limit_tyiyn: int
    shares: Shares


class Question(Struct, frozen=True):
    """What is asked, and by what it is answered.

    hits: what the registry said, as of the change of that number; read: gives the vector, None where it cannot be read, and what its profile part was compared with;
    lot: of this operation, in [0, 1); late: told that a stage begins, gives it back when the time has run out before it.
    """

    operation: Operation
    amount_tyiyn: int
    hits: tuple[Hit, ...]
    registry_change: int
    read: Callable[[], tuple[Vector | None, Used | None]]
    model: Model | None
    rules: Rules
    terms: Terms
    lot: float
    late: Callable[[Stage], Stage | None]


class Hearing(Struct, frozen=True):
    """What was heard, and what came of it. late: the first stage that was left out because the time had run out."""

    heard: Heard
    assessment: Assessment
    vector: Vector | None
    used: Used | None
    late: Stage | None


def hear(question: Question) -> Hearing:
    """Ask every layer, decide, and say why."""
    steps = hear_in_steps(question)
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            heard: Hearing = ended.value
            return heard


def hear_in_steps(question: Question) -> Steps[Hearing]:
    """The same in steps, so that others may take theirs in between: features, score, and all the rest."""
    heard, vector, used, late = yield from _listen(question)
    assessment, model = decide(heard), question.model
    if assessment.level is not RiskLevel.LOW and model is not None and late is None:
        late = question.late(Stage.REASONS)
        if late is None:
            assessment = explained(assessment, model.explainer, vector, heard.score)
        else:
            assessment = replace(assessment, reasons=(*assessment.reasons, NO_TIME_TO_EXPLAIN))
    return Hearing(heard, assessment, vector, used, late)


def _listen(question: Question) -> Steps[tuple[Heard, Vector | None, Used | None, Stage | None]]:
    operation, amount, model, terms = question.operation, question.amount_tyiyn, question.model, question.terms
    vector, used, score, rules = None, None, None, UNASKED
    checks = basic.verify(operation, amount, terms.limit_tyiyn)
    late = question.late(Stage.FEATURES)
    if late is None:
        vector, used = question.read()
    waiting = None if model is None or vector is None else model.later(vector)
    yield
    late = late or question.late(Stage.SCORE)
    if late is None and waiting is not None:
        score = _score(waiting)
    yield
    late = late or question.late(Stage.RULES)
    if late is None:
        rules = question.rules.evaluate(operation, amount, vector, score, question.hits)
    degraded = _degraded(vector, score, used, late)
    thresholds = None if model is None else model.thresholds
    heard = Heard(question.hits, checks, score, thresholds, rules, degraded, question.lot, terms.shares)
    return heard, vector, used, late


def _degraded(vector: Vector | None, score: float | None, used: Used | None, late: Stage | None) -> tuple[Degraded, ...]:
    """What the answer was made without."""
    if vector is not None and score is not None and late is None and (used is None or used.degraded is None):
        return ()
    steps = []
    if vector is None and late is not Stage.FEATURES:
        steps.append(Degraded.NO_FEATURES)
    if vector is not None and score is None and late is not Stage.SCORE:
        steps.append(Degraded.NO_MODEL)
    if used is not None and used.degraded is not None:
        steps.append(used.degraded)
    if late is not None:
        steps.append(Degraded.DEADLINE)
    return tuple(steps)


def _score(waiting: Later) -> float | None:
    """The model's probability; None where the model fails or gives something else."""
    try:
        score = waiting.score()
    except MODEL_FAILURES:
        log.exception("the model failed; the operation goes to verification")
        return None
    if not 0 <= score <= 1:
        log.error("the model gave %r, which is no probability; the operation goes to verification", score)
        return None
    return score


def decision_of(question: Question, hearing: Hearing, decided_at: datetime, sequence: int) -> Decision:
    """The answer. decided_at: to the millisecond, UTC; sequence: the operation's place in the ledger."""
    level, model = hearing.assessment.level, question.model
    return Decision(
        operation_id=question.operation.operation_id, level=level.word, action=level.action, score=hearing.heard.score,
        reasons=hearing.assessment.reasons, degraded=hearing.assessment.degraded,
        model=None if model is None else model.version, policy=f"rules-{question.rules.version}",
        case_id=None if level is RiskLevel.LOW else f"case-{sequence}", decided_at=decided_at, sequence=sequence,
    )  # fmt: skip
