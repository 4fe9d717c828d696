"""Why a score is what it is: which criteria of para. 15 moved it, exactly, and the strongest feature of each (R58-R74).

What a feature adds is counted in log odds of the calibrated score, so that its exponential is by how much it multiplies the odds
of fraud. All together with `base`, the mean over the operations of the training, make the score.
"""

import logging
import math
from collections.abc import Iterable

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from domain.criteria import FraudCriterion
from domain.decision import Layer, Reason
from domain.errors import ExplanationError
from domain.levels import RiskLevel
from features import wording
from features.catalogue import Entry
from features.tree_contributions import Contributions
from serving.decide import Assessment

log = logging.getLogger("burana")
Floats = NDArray[np.float64]

MOST_REASONS = 3
LEAST = math.log(1.05)
"""Log odds from which a criterion is named: what raises the odds by less than a twentieth is no reason."""
TOLERANCE = 1e-9
"""Between a score and that which its parts make."""
FAILURES = (ExplanationError, ArithmeticError, LookupError, MemoryError, SystemError, TypeError, ValueError)
NOT_EXPLAINED = Reason(
    Layer.SCORE, "score_not_explained", None, "no explanation of the score could be made; the log of the server says why"
)


class Explainer:
    """Explains the scores of one bundle."""

    def __init__(self, contributions: Contributions, names: tuple[str, ...], entries: Iterable[Entry]) -> None:
        """names: of the model's features, in order; entries: the features that run, in words. Others serve no criterion."""
        known = {entry.name: entry for entry in entries}
        self.contributions, self.names = contributions, names
        self.entries = [known.get(name) for name in names]
        self.base = contributions.slope * contributions.expected + contributions.intercept
        self._columns = {
            criterion: np.array(
                [i for i, entry in enumerate(self.entries) if entry is not None and entry.serves is criterion], np.int64
            )
            for criterion in FraudCriterion
        }

    def log_odds(self, vector: Floats, score: float) -> Floats:
        """What each value of a vector (features,) adds; ExplanationError unless all of it makes the score."""
        if len(vector) != len(self.names):
            raise ExplanationError(f"a vector of {len(vector)} values; this model has {len(self.names)} features")
        added: Floats = self.contributions.slope * self.contributions.of(vector)
        made = 1 / (1 + math.exp(-(self.base + float(added.sum()))))
        if not abs(made - score) <= TOLERANCE:
            raise ExplanationError(f"the contributions make a score of {made!r}, the model said {score!r}")
        return added

    def by_criterion(self, added: Floats) -> dict[FraudCriterion, float]:
        """What the features that serve each criterion add together, the most first."""
        sums = {criterion: float(added[columns].sum()) for criterion, columns in self._columns.items()}
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    def reasons(self, vector: Floats, score: float) -> tuple[Reason, ...]:
        """The criteria that raise a score most, each with its strongest feature."""
        added = self.log_odds(vector, score)
        raising = [(criterion, sum_) for criterion, sum_ in self.by_criterion(added).items() if sum_ >= LEAST]
        return tuple(self._reason(criterion, sum_, added, vector) for criterion, sum_ in raising[:MOST_REASONS])

    def _reason(self, criterion: FraudCriterion, sum_: float, added: Floats, vector: Floats) -> Reason:
        columns = self._columns[criterion]
        strongest = int(columns[added[columns].argmax()])
        said = self.said(strongest, float(vector[strongest]))
        text = f"odds of fraud times {_times(sum_)}; strongest, times {_times(float(added[strongest]))}: {said}"
        return Reason(Layer.SCORE, f"score_{criterion.name.lower()}", criterion, text)

    def said(self, column: int, value: float) -> str:
        """A feature and its value in words; its name where it is not a feature that runs."""
        entry = self.entries[column]
        if entry is None:
            return f"{self.names[column]}: {value:g}"
        when = f" ({entry.missing.partition(': ')[2]})" if math.isnan(value) else ""
        return f"{entry.meaning}: {wording.value(value, entry.unit)}{when}"


def explained(assessment: Assessment, explainer: Explainer | None, vector: Floats | None, score: float | None) -> Assessment:
    """The assessment with what moved the score among its reasons; a low one as it is.

    An explanation that cannot be made is logged and said, and changes nothing else.
    """
    if assessment.level is RiskLevel.LOW or explainer is None or vector is None or score is None:
        return assessment
    try:
        reasons = explainer.reasons(vector, score)
    except FAILURES:
        log.exception("the score of an operation could not be explained")
        reasons = (NOT_EXPLAINED,)
    return replace(assessment, reasons=(*assessment.reasons, *reasons))


def _times(log_odds: float) -> str:
    """By how much odds are multiplied: `1.12`, `35`."""
    odds = math.exp(log_odds)
    return f"{odds:,.0f}" if odds >= 10 else f"{odds:.2f}"
