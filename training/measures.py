"""Every figure of one test, by name, for any weights of its operations: what evaluation prints and what bootstraps repeat."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from domain.levels import Thresholds
from training import figures
from training.dataset import Dataset, Texts
from training.figures import Mask
from training.rankings import CustomerDays, DailyBudget, Floats, Ranking

FALSE_POSITIVE_RATES = (0.0005, 0.001, 0.005, 0.01)
HIGHEST_CUSTOMERS = 100
UNNAMED = "unnamed"


@dataclass(frozen=True)
class Tested:
    """A test: its operations (their vectors are not needed), their scores (n,), and what the model stops.

    thresholds: frozen before the test, None for a model without; alerts: operations that people can verify a day.
    """

    operations: Dataset
    scores: Floats
    thresholds: Thresholds | None
    alerts: int

    def stopped(self) -> dict[str, Mask]:
        """Which operations (n,) are stopped: by a budget of alerts, and from each threshold on."""
        budget = DailyBudget(self.scores, self.operations.days, self.alerts).stopped() > 0
        return {f"alerts_{self.alerts}": budget} | self.levels()

    def levels(self) -> dict[str, Mask]:
        """Which operations (n,) score each threshold or more: `medium` holds those of `high`."""
        return {} if self.thresholds is None else {name: self.scores >= at for name, at in asdict(self.thresholds).items()}


class Measures:
    """The figures of a test by name; what does not depend on weights is done once."""

    def __init__(self, tested: Tested) -> None:
        operations, scores = tested.operations, tested.scores
        self._tested, self._labels = tested, operations.labels
        self._ranking = Ranking(operations.labels, scores)
        self._budget = DailyBudget(scores, operations.days, tested.alerts)
        by_customer = (operations.customers, operations.days)
        self._customers = CustomerDays(operations.labels, scores, *by_customer)
        self._ideal = CustomerDays(operations.labels, operations.labels.astype(np.float64), *by_customer)
        self._days = len(np.unique(operations.days))

    def __call__(self, weights: Floats | None = None) -> dict[str, float]:
        """Every figure, with each operation there `weights` (n,) times."""
        return self._ranked(weights) | self._stopped(weights) | self._calibrated(weights)

    def _ranked(self, weights: Floats | None) -> dict[str, float]:
        curve, k = self._ranking.curve(weights), HIGHEST_CUSTOMERS
        at_rates = {f"recall_at_fpr_{rate:g}": curve.recall_at_fpr(rate) for rate in FALSE_POSITIVE_RATES}
        by_customer = {f"cp{k}": self._customers.precision(k, weights), f"cp{k}_max": self._ideal.precision(k, weights)}
        return {"auc": curve.auc(), "ap": curve.ap()} | by_customer | at_rates

    def _stopped(self, weights: Floats | None) -> dict[str, float]:
        budget = {f"alerts_{self._tested.alerts}": self._budget.stopped(weights)}
        found: dict[str, float] = {}
        for name, stopped in (budget | self._tested.levels()).items():
            caught = asdict(figures.caught(self._labels, self._tested.operations.amounts, stopped, weights))
            found[f"{name}_stopped_a_day"] = caught.pop("stopped") / self._days
            found |= {f"{name}_{figure}": value for figure, value in caught.items()}
        return found

    def _calibrated(self, weights: Floats | None) -> dict[str, float]:
        named = {name: getattr(figures, name) for name in ("calibration_error", "brier", "scores_over_frauds")}
        return {name: figure(self._labels, self._tested.scores, weights) for name, figure in named.items()}


def by_kind(tested: Tested) -> dict[str, dict[str, Any]]:
    """Kind of operation -> operations, frauds, AP, and what each way of stopping catches among them."""
    return {
        kind: _slice(tested, tested.operations.kinds == kind, ("precision", "recall", "value_recall", "false_positive_rate"))
        for kind in _known(tested.operations.kinds)
    }


def by_scheme(tested: Tested) -> dict[str, dict[str, Any]]:
    """Scheme that the outcome of a fraud names -> frauds, and what each way of stopping catches of them."""
    is_fraud = tested.operations.labels == 1
    schemes = np.array([scheme or UNNAMED for scheme in tested.operations.schemes], np.object_)
    return {
        scheme: _slice(tested, is_fraud & (schemes == scheme), ("recall", "value_recall"))
        for scheme in _known(schemes[is_fraud])
    }


def weekly_spreads(tests: Sequence[Tested]) -> dict[str, dict[str, float]]:
    """How figures differ between calendar weeks (`figures.Spread`), of the operations of all tests, each as its model saw them."""
    labels, amounts, days = (
        np.concatenate([getattr(test.operations, name) for test in tests]) for name in ("labels", "amounts", "days")
    )
    scores = np.concatenate([test.scores for test in tests])
    masks = {name: np.concatenate([test.stopped()[name] for test in tests]) for name in tests[0].stopped()}

    def of_week(week: Mask) -> dict[str, float]:
        ranked = {"ap": figures.ap(labels[week], scores[week])}
        ranked["recall_at_fpr_0.001"] = figures.recall_at_fpr(labels[week], scores[week], 0.001)
        caught = {name: figures.caught(labels[week], amounts[week], stopped[week]) for name, stopped in masks.items()}
        asked = ("precision", "recall", "value_recall")
        return ranked | {f"{name}_{figure}": getattr(each, figure) for name, each in caught.items() for figure in asked}

    return {name: asdict(spread) for name, spread in figures.weekly(days, of_week).items()}


def _slice(tested: Tested, mask: Mask, asked: Iterable[str]) -> dict[str, Any]:
    labels, amounts = tested.operations.labels[mask], tested.operations.amounts[mask]
    found: dict[str, Any] = {"operations": len(labels), "frauds": int(labels.sum())}
    if found["frauds"] < found["operations"]:
        found["ap"] = figures.ap(labels, tested.scores[mask])
    for name, stopped in tested.stopped().items():
        caught = figures.caught(labels, amounts, stopped[mask])
        found |= {f"{name}_{figure}": getattr(caught, figure) for figure in asked}
    return found


def _known(texts: Texts) -> list[str]:
    return sorted(set(texts.tolist()))
