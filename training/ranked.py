"""Later operations ranked by score: what stopping from each score on would have caught, and whom it would have disturbed."""

import numpy as np
from numpy.typing import NDArray

from domain.levels import Thresholds

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
LOWEST, HIGHEST = 1e-9, float(np.nextafter(1, 0))
"""A threshold lies between these: never 0 or 1."""


class Ranked:
    """Operations from the highest score down, cut only between different scores.

    Every array has one value a cut (cuts,), the first of them for stopping nothing: scores: the lowest that is stopped;
    stopped, frauds: operations at or above it, and the frauds among them; money: amounts of these frauds, minor units.
    operations, days: how many there are, and on how many days they occurred.
    """

    def __init__(self, scores: Floats, labels: NDArray[np.int8], amounts: Integers, days: Integers) -> None:
        """All (n,), n > 0; see `training.figures`."""
        order = np.argsort(-scores, kind="stable")
        ranked, label = scores[order], labels[order].astype(np.int64)
        last = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
        self.scores: Floats = np.append(HIGHEST, ranked[last])
        self.stopped: Integers = np.append(0, last + 1)
        self.frauds: Integers = np.append(0, np.cumsum(label)[last])
        self.money: Integers = np.append(0, np.cumsum(label * amounts[order])[last])
        self.operations, self.days = len(scores), len(np.unique(days))

    @property
    def genuine(self) -> Integers:
        """Genuine operations at or above each cut (cuts,)."""
        return self.stopped - self.frauds

    def thresholds(self, medium: int, high: int) -> Thresholds:
        """The thresholds that two cuts stand for, medium not above high."""
        rejecting = float(np.clip(self.scores[high], 2 * LOWEST, HIGHEST))
        return Thresholds(float(np.clip(self.scores[medium], LOWEST, np.nextafter(rejecting, 0))), rejecting)

    def cut(self, score: float) -> int:
        """The cut that stops what scores at least `score`."""
        return int(np.searchsorted(-self.scores[1:], -score, side="right"))
