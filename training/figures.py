"""How well scores tell fraud from genuine: pure functions of arrays, a row an operation.

Everywhere: labels (n,) int8, 1 fraud; scores (n,) float64; customers (n,) int64, a number for each; days (n,) int64, days since
1970-01-01; amounts (n,) int64 minor units; weights (n,) float64: how many operations a row stands for (inverse propensities,
counts of a resample), by default one each. A figure without an answer (no fraud, nothing stopped) is NaN.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from training.rankings import CustomerDays, DailyBudget, Floats, Integers, Labels, Ranking

Mask = NDArray[np.bool_]
RELIABILITY_EDGES = np.concatenate([[0.0], np.logspace(-5, 0, 11)])
"""Edges of the bins of scores in which calibration is looked at: two a decade, and all below 0.00001 in one."""


def auc(labels: Labels, scores: Floats, weights: Floats | None = None) -> float:
    """Area under the ROC curve (scikit-learn's roc_auc_score)."""
    return float(roc_auc_score(labels, scores, sample_weight=weights)) if _has_both(labels, weights) else np.nan


def ap(labels: Labels, scores: Floats, weights: Floats | None = None) -> float:
    """Average precision (scikit-learn's average_precision_score)."""
    return float(average_precision_score(labels, scores, sample_weight=weights)) if _has_both(labels, weights) else np.nan


def recall_at_fpr(labels: Labels, scores: Floats, rate: float, weights: Floats | None = None) -> float:
    """Share of fraud that scores strictly above the floor(rate x genuine)-th highest score of a genuine operation."""
    return Ranking(labels, scores).curve(weights).recall_at_fpr(rate)


def customer_precision(labels: Labels, scores: Floats, customers: Integers, days: Integers, k: int) -> float:
    """CP@k (Fraud Detection Handbook, ch. 4): of the k customers who score highest on a day, the share defrauded on it; mean of days.

    A customer has the highest score and label of the day's operations. Who was found on an earlier day is no longer looked at.
    """
    return CustomerDays(labels, scores, customers, days).precision(k)


def highest_customer_precision(labels: Labels, customers: Integers, days: Integers, k: int) -> float:
    """CP@k of a ranking that puts every defrauded customer first: no scores reach more, however good."""
    return customer_precision(labels, labels.astype(np.float64), customers, days, k)


@dataclass(frozen=True)
class Caught:
    """What stopping some operations catches and whom it disturbs.

    stopped: operations; precision: share of them that is fraud; recall, value_recall: share of fraud, and of its money, that is
    among them; false_positive_rate: share of genuine operations that is.
    """

    stopped: float
    precision: float
    recall: float
    value_recall: float
    false_positive_rate: float


def caught(labels: Labels, amounts: Integers, stopped: Mask | Floats, weights: Floats | None = None) -> Caught:
    """stopped: (n,) which operations, or which share of each, are stopped."""
    each = np.ones(len(labels)) if weights is None else weights
    fraud, taken = each * labels, each * stopped
    hits = taken * labels
    return Caught(
        float(taken.sum()), _share(hits.sum(), taken.sum()), _share(hits.sum(), fraud.sum()),
        _share((hits * amounts).sum(), (fraud * amounts).sum()), _share(taken.sum() - hits.sum(), each.sum() - fraud.sum()),
    )  # fmt: skip


def at_threshold(
    labels: Labels, scores: Floats, amounts: Integers, threshold: float, weights: Floats | None = None
) -> Caught:
    """What is caught when every operation that scores the threshold or more is stopped."""
    return caught(labels, amounts, scores >= threshold, weights)


def at_daily_alerts(
    labels: Labels, scores: Floats, amounts: Integers, days: Integers, alerts: float, weights: Floats | None = None
) -> Caught:
    """What is caught when the `alerts` operations of each day that score highest are stopped; of a tie, those that came first."""
    return caught(labels, amounts, DailyBudget(scores, days, alerts).stopped(weights), weights)


@dataclass(frozen=True)
class Reliability:
    """One bin of scores, low <= score < high: how many operations, their mean score, the share of fraud among them."""

    low: float
    high: float
    operations: float
    mean_score: float
    fraud_share: float


def reliability(labels: Labels, scores: Floats, weights: Floats | None = None) -> list[Reliability]:
    """The bins of RELIABILITY_EDGES that hold operations, lowest first; a score of 1 is in the last."""
    each = np.ones(len(labels)) if weights is None else weights
    place = np.clip(np.searchsorted(RELIABILITY_EDGES, scores, side="right") - 1, 0, len(RELIABILITY_EDGES) - 2)
    count, score, fraud = (np.bincount(place, of, len(RELIABILITY_EDGES) - 1) for of in (each, each * scores, each * labels))
    return [
        Reliability(float(RELIABILITY_EDGES[i]), float(RELIABILITY_EDGES[i + 1]), float(count[i]),
                    float(score[i] / count[i]), float(fraud[i] / count[i]))
        for i in np.flatnonzero(count)
    ]  # fmt: skip


def calibration_error(labels: Labels, scores: Floats, weights: Floats | None = None) -> float:
    """Expected calibration error: |mean score - share of fraud| of the bins of `reliability`, weighted by their operations."""
    bins = reliability(labels, scores, weights)
    total = sum(part.operations for part in bins)
    return _share(sum(part.operations * abs(part.mean_score - part.fraud_share) for part in bins), total)


def brier(labels: Labels, scores: Floats, weights: Floats | None = None) -> float:
    """Mean squared distance of probability and label (scikit-learn's brier_score_loss)."""
    is_somebody = len(labels) > 0 if weights is None else bool((weights > 0).any())
    return float(brier_score_loss(labels, scores, sample_weight=weights)) if is_somebody else np.nan


def scores_over_frauds(labels: Labels, scores: Floats, weights: Floats | None = None) -> float:
    """Frauds that the scores expect over frauds that there were; 1 is right."""
    each = np.ones(len(labels)) if weights is None else weights
    return _share((each * scores).sum(), (each * labels).sum())


@dataclass(frozen=True)
class Spread:
    """A figure over calendar weeks: their number, mean, standard deviation (n - 1), lowest, highest."""

    weeks: int
    mean: float
    sd: float
    lowest: float
    highest: float


def weekly(days: Integers, named: Callable[[Mask], Mapping[str, float]]) -> dict[str, Spread]:
    """The spread of each figure of named(mask of a week's operations (n,)) over the weeks, Monday to Sunday, that answer it."""
    weeks = (days + 3) // 7  # 1970-01-01 was a Thursday
    found = [named(weeks == week) for week in np.unique(weeks)]
    return {name: _spread(np.array([each[name] for each in found], np.float64)) for name in (found[0] if found else ())}


def _spread(values: Floats) -> Spread:
    values = values[~np.isnan(values)]
    if not len(values):
        return Spread(0, np.nan, np.nan, np.nan, np.nan)
    sd = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return Spread(len(values), float(values.mean()), sd, float(values.min()), float(values.max()))


def _has_both(labels: Labels, weights: Floats | None) -> bool:
    there = labels if weights is None else labels[weights > 0]
    return bool(0 < there.sum() < len(there))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan
