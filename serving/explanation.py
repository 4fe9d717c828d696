"""What a stored decision's score was made of, asked later: the stored vector, and the bundle that spoke then."""

import logging
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from casework.ledger import Entry, Ledger
from domain.bundle import manifest_of
from domain.errors import BundleError, ExplanationError, UnknownOperationError
from features.plan import Plan
from serving.answers import CriterionPart, Explanation, FeaturePart
from serving.contributions import Explainer, Floats
from serving.scoring import explainer_of

log = logging.getLogger("burana")
KEPT = 4
"""Bundles that are kept loaded."""


class _Decision(Struct):
    """What is read of a decision."""

    model: str | None
    score: float | None


_DECISION = msgspec.json.Decoder(_Decision)


class Explanations:
    """Explains decisions by the bundles of a folder; the last used of them stay loaded."""

    def __init__(self, models: Path, plan: Plan) -> None:
        self._explainer: Callable[[str], Explainer] = lru_cache(KEPT)(lambda version: _load(models / version, plan))

    def of(self, ledger: Ledger, operation_id: str) -> Explanation:
        """UnknownOperationError where it is not recorded; ExplanationError says why a recorded one cannot be explained."""
        entry = ledger.find("operation", operation_id)
        if entry is None:
            raise UnknownOperationError(f"operation {operation_id} is not recorded")
        vector, decision = _stored(entry)
        if decision.model is None or decision.score is None:
            raise ExplanationError(f"operation {operation_id} was decided without a score; its reasons say by what")
        explainer = self._explainer(decision.model)
        return _explanation(operation_id, decision.model, decision.score, vector, explainer)


def _stored(entry: Entry) -> tuple[Floats, _Decision]:
    if entry.answer is None:
        raise ExplanationError(f"operation {entry.id} came in with a history; nothing was decided about it")
    if entry.vector is None:
        raise ExplanationError(f"operation {entry.id} was decided without features; its reasons say by what")
    return np.frombuffer(entry.vector, "<f8"), _DECISION.decode(entry.answer)


def _load(folder: Path, plan: Plan) -> Explainer:
    try:
        explainer = explainer_of(folder, manifest_of(folder), plan)
    except BundleError as error:
        log.warning("a decision cannot be explained: %s", error)
        raise ExplanationError(f"the bundle {folder.name}, which decided, is not at hand or not whole") from error
    if explainer is None:
        raise ExplanationError(
            f"the bundle {folder.name}, which decided, was trained by a release that kept no contributions"
        )
    return explainer


def _explanation(operation_id: str, model: str, score: float, vector: Floats, explainer: Explainer) -> Explanation:
    added = explainer.log_odds(vector, score)
    criteria = explainer.by_criterion(added).items()
    return Explanation(
        operation_id, model, score, explainer.base, explainer.base + float(added.sum()),
        tuple(CriterionPart(criterion, criterion.words, sum_, math.exp(sum_)) for criterion, sum_ in criteria),
        tuple(_part(explainer, i, float(vector[i]), float(added[i])) for i in np.argsort(-np.abs(added)).tolist() if added[i]),
    )  # fmt: skip


def _part(explainer: Explainer, column: int, value: float, added: float) -> FeaturePart:
    entry, given = explainer.entries[column], None if math.isnan(value) else value
    criterion = None if entry is None else entry.serves
    return FeaturePart(explainer.names[column], given, explainer.said(column, value), criterion, added, math.exp(added))
