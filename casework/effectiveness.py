"""How well the system did: levels against outcomes (Appendix 1, R114-R116), with both readings of the false-positive rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.levels import RiskLevel


@dataclass(frozen=True)
class Effectiveness:
    """Counts of operations whose outcome is known, by level; every rate is made of these six numbers.

    fraud, genuine: counts at low, medium, high. Stopped means medium or high: an operation that did not pass at once.
    """

    fraud: tuple[int, int, int]
    genuine: tuple[int, int, int]

    @property
    def recall(self) -> float:
        """Share of the known frauds that were stopped; the form's row 3 asks for 1 - recall, the missed share (R116)."""
        return _share(sum(self.fraud[1:]), sum(self.fraud))

    @property
    def high_recall(self) -> float:
        """Share of the known frauds that were rejected."""
        return _share(self.fraud[2], sum(self.fraud))

    @property
    def precision(self) -> float:
        """Share of the stopped operations that were fraud (R114)."""
        return _share(sum(self.fraud[1:]), sum(self.fraud[1:]) + sum(self.genuine[1:]))

    @property
    def false_positives_of_stopped(self) -> float:
        """R115 read as a share of the stopped: 1 - precision."""
        return 1 - self.precision

    @property
    def false_positives_of_genuine(self) -> float:
        """R115 read as a share of all genuine operations."""
        return _share(sum(self.genuine[1:]), sum(self.genuine))

    def figures(self) -> dict[str, float]:
        """Every figure by name."""
        names = ("recall", "high_recall", "precision", "false_positives_of_stopped", "false_positives_of_genuine")
        counts = {f"{kind}_{level.word}": getattr(self, kind)[level] for kind in ("fraud", "genuine") for level in RiskLevel}
        return {**counts, **{name: getattr(self, name) for name in names}, "missed": 1 - self.recall}


def effectiveness(levels: NDArray[np.int64], is_fraud: NDArray[np.bool_]) -> Effectiveness:
    """levels (n,): RiskLevel of each operation; is_fraud (n,): what it turned out to be."""
    fraud, genuine = (np.bincount(levels[mask], minlength=3).tolist() for mask in (is_fraud, ~is_fraud))
    return Effectiveness(tuple(fraud), tuple(genuine))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
