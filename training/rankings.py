"""Operations put in order of their scores once, so that figures of any weights take one pass: what bootstraps ask for.

Arrays as in `training.figures`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int8]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST = 5e-324


class Ranking:
    """All operations, highest score first; ties are one step."""

    def __init__(self, labels: Labels, scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._is_fraud = labels[self._order] == 1
        self._steps = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))

    def curve(self, weights: Floats | None = None) -> "Curve":
        """What lies at or above each score, with these weights (n,)."""
        each = np.ones(len(self._order)) if weights is None else weights[self._order]
        everything = np.cumsum(each)[self._steps]
        frauds = np.cumsum(np.where(self._is_fraud, each, 0.0))[self._steps]
        return Curve(frauds, everything - frauds)


@dataclass(frozen=True)
class Curve:
    """Frauds and genuine operations (steps,) from the highest score down to each distinct one.

    AUC and AP equal scikit-learn's (held by a test), at a tenth of the time: it would sort again for each of 1,000 resamples.
    Without fraud, or with nothing else, they are NaN.
    """

    frauds: Floats
    genuine: Floats

    def auc(self) -> float:
        """Area under the ROC curve."""
        if not self._has_both:
            return float("nan")
        area = np.trapezoid(np.append(0, self.frauds), np.append(0, self.genuine))
        return float(area / self.frauds[-1] / self.genuine[-1])

    def ap(self) -> float:
        """Average precision."""
        if not self._has_both:
            return float("nan")
        precision = self.frauds / np.maximum(self.frauds + self.genuine, LEAST)
        return float((np.diff(self.frauds, prepend=0) * precision).sum() / self.frauds[-1])

    def recall_at_fpr(self, rate: float) -> float:
        """Share of fraud strictly above the floor(rate x genuine)-th highest genuine score; below one, above the highest."""
        if not self._has_both:
            return float("nan")
        at = int(np.searchsorted(self.genuine, max(np.floor(rate * self.genuine[-1]), LEAST)))
        return float(self.frauds[at - 1] / self.frauds[-1]) if at else 0.0

    @property
    def _has_both(self) -> bool:
        return bool(self.frauds[-1] > 0 and self.genuine[-1] > 0)


class DailyBudget:
    """The operations of each day that fit into a number of alerts, highest score first; of a tie, those that came first."""

    def __init__(self, scores: Floats, days: Integers, alerts: float) -> None:
        self._alerts = alerts
        self._order = np.lexsort((-scores, days))
        ranked = days[self._order]
        begins = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        self._first = np.repeat(begins, np.diff(np.append(begins, len(days))))

    def stopped(self, weights: Floats | None = None) -> Floats:
        """The share of each operation (n,) that is stopped: 1, 0, or between for the one on the edge of the budget."""
        each = np.ones(len(self._order)) if weights is None else weights[self._order]
        before = np.cumsum(each) - each
        room = np.clip(self._alerts - (before - before[self._first]), 0, each)
        stopped = np.empty(len(each))
        stopped[self._order] = room / np.maximum(each, LEAST)
        return stopped


@dataclass(frozen=True)
class _Day:
    """Customers of one day, highest score first: their numbers, whether defrauded, the row of their highest score."""

    customers: Integers
    is_fraud: NDArray[np.bool_]
    rows: NDArray[np.intp]


class CustomerDays:
    """Each customer's highest score and label of each day; of a tie, whose operation came first."""

    def __init__(self, labels: Labels, scores: Floats, customers: Integers, days: Integers) -> None:
        known, numbers = np.unique(customers, return_inverse=True)
        self._customers = len(known)
        self._days = [_day(labels, scores, numbers, np.flatnonzero(days == day)) for day in np.unique(days)]

    def precision(self, k: int, weights: Floats | None = None) -> float:
        """CP@k; weights (n,) are the same in all rows of a customer: in how many copies it is there."""
        detected = np.zeros(self._customers, np.bool_)
        found = []
        for day in self._days:
            copies = np.ones(len(day.rows)) if weights is None else weights[day.rows]
            copies = np.where(detected[day.customers], 0.0, copies)
            taken = np.clip(k - (np.cumsum(copies) - copies), 0, copies)
            hits = day.is_fraud & (taken > 0)
            found.append(taken[hits].sum() / k)
            detected[day.customers[hits]] = True
        return float(np.mean(found)) if found else float("nan")


def _day(labels: Labels, scores: Floats, numbers: NDArray[np.intp], rows: NDArray[np.intp]) -> _Day:
    by_customer = rows[np.lexsort((-scores[rows], numbers[rows]))]
    highest = by_customer[np.append(True, numbers[by_customer][1:] != numbers[by_customer][:-1])]
    ranked = highest[np.lexsort((highest, -scores[highest]))]
    defrauded = np.unique(numbers[rows[labels[rows] == 1]])
    return _Day(numbers[ranked].astype(np.int64), np.isin(numbers[ranked], defrauded), ranked)
