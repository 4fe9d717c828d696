"""Weights by inverse propensity: figures of all decided operations, made of those whose verdict is known by design.

Of what is stopped people find out what it was; of what passes only reported fraud becomes known, and the rest looks
genuine. Where a share of what would pass was drawn by lot and verified (`serving/control.py`), each of the drawn stands for
1 / propensity of its like (Horvitz and Thompson 1952). The weights of each level without the lot are brought to the number of
operations that were decided so (Hajek's ratio in each stratum), which also makes up for verdicts that are missing there, as long
as they are missing by chance, and for days on which nothing was drawn, as long as they were like the others. `training.figures` takes the weights: its recall, precision and AP are then of all operations.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from domain.errors import HistoryError
from domain.levels import RiskLevel
from features.labels import UNKNOWN
from training.dataset import Outcomes, stopped
from training.rankings import Floats, Labels

MOST = 1_000.0
"""The weight above which a weight is clipped: one verdict then stands for a thousand operations, and a share of 0.001 is kept whole."""


@dataclass(frozen=True)
class Weighted:
    """Decided operations, in order of arrival, with how many each stands for. Every array is (n,).

    labels: int8, 1 fraud, 0 legitimate, UNKNOWN; weights: 0 where the label is not known by design, be it reported; levels:
    RiskLevel without the lot; scores: NaN without a model. clipped: share of the labelled whose weight was above MOST; unseen:
    how many operations nobody stands for, as no verdict is known of their level, by level.
    """

    labels: Labels
    weights: Floats
    levels: NDArray[np.int64]
    scores: Floats
    clipped: float
    unseen: dict[str, int]

    @property
    def effective(self) -> float:
        """Effective sample size (Kish): so many operations drawn evenly would say as much."""
        return effective_size(self.weights)

    @property
    def effective_frauds(self) -> float:
        """The same of the frauds among them, on which recall rests."""
        return effective_size(self.weights[self.labels == 1])

    @property
    def words(self) -> str:
        """How much the figures of these weights rest on, in a sentence or two."""
        there, frauds = self.weights > 0, (self.weights > 0) & (self.labels == 1)
        unseen = ", ".join(f"{count:,} {level}" for level, count in self.unseen.items())
        return (
            f"Of {len(self.weights):,} decided operations {there.sum():,} have a verdict by design and say as much as "
            f"{self.effective:,.0f} drawn evenly; {frauds.sum():,} of them are fraud and say as much as {self.effective_frauds:,.0f}. "
            f"The largest weight is {self.weights.max(initial=0):,.1f}; {self.clipped:.2%} were clipped at the bound."
            + (f" Nobody stands for {unseen}: verify a share of them." if unseen else "")
        )

    def seen(self) -> "Weighted":
        """Those that stand for somebody: what `training.figures` can take."""
        there = self.weights > 0
        return replace(
            self,
            labels=self.labels[there],
            weights=self.weights[there],
            levels=self.levels[there],
            scores=self.scores[there],
        )


def effective_size(weights: Floats) -> float:
    """(sum of w)^2 / sum of w^2 of weights (n,), 0 where there are none."""
    total = float((weights**2).sum())
    return float(weights.sum()) ** 2 / total if total else 0.0


def weigh(operations: pa.Table, outcomes: pa.Table, decisions: pa.Table, as_of: datetime, most: float = MOST) -> Weighted:
    """Of `operations`, those that were decided, weighted. as_of: only outcomes known by then are verdicts; most: see MOST.

    Without a control share what would pass has the propensity 0, nothing stands for it, and `unseen` says for how many: a recall
    of the rest is then one of what was stopped, and means nothing. HistoryError when nothing was decided.
    """
    decided = decisions.filter(pc.is_in(decisions["sequence"], operations["sequence"].combine_chunks()))
    if not decided.num_rows:
        raise HistoryError("no operation of the span was decided; weights need the decisions of a ledger (`burana export`)")
    operations = operations.filter(pc.is_in(operations["sequence"], decided["sequence"].combine_chunks()))
    labels, propensity = Outcomes(operations, outcomes).verdicts(as_of), decided["propensity"].to_numpy()
    levels = np.array([RiskLevel[word.upper()] for word in decided["would_be"].to_pylist()], np.int64)
    answered = stopped(operations, decided) & (labels != UNKNOWN) & (propensity > 0)
    inverse = np.divide(1.0, propensity, out=np.zeros(len(propensity)), where=answered)
    weights, unseen = _brought_to_counts(inverse, levels)
    clipped = float((weights[answered] > most).mean()) if answered.any() else 0.0
    scores = decided["score"].to_numpy(zero_copy_only=False).astype(np.float64)
    return Weighted(labels, np.minimum(weights, most), levels, scores, clipped, unseen)


def _brought_to_counts(inverse: Floats, levels: NDArray[np.int64]) -> tuple[Floats, dict[str, int]]:
    """The inverse propensities (n,) so that those of each level sum to its operations; and the levels where none is there."""
    sums, counts = np.bincount(levels, inverse, len(RiskLevel)), np.bincount(levels, minlength=len(RiskLevel))
    factor = np.divide(counts, sums, out=np.zeros(len(RiskLevel)), where=sums > 0)
    unseen = {level.word: int(counts[level]) for level in RiskLevel if counts[level] and not sums[level]}
    return inverse * factor[levels], unseen
