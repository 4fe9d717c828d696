"""A challenger beside the champion on the same operations: figures of both, and what the difference may be by chance.

Intervals are by bootstrap over customers; those of a difference are paired: both are measured on the same resample.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from domain.bundle import Manifest
from domain.levels import Thresholds
from training.dataset import Dataset, Texts
from training.figures import Mask, caught
from training.intervals import Interval, interval, resampled
from training.rankings import Floats, Ranking

BUDGET = 0.001
"""Of genuine operations, the share that may be stopped where recall is compared at an equal budget."""
AP, AT_BUDGET = "ap", f"recall_at_fpr_{BUDGET:g}"
UNNAMED = "unnamed"


@dataclass(frozen=True)
class Scored:
    """A bundle and its scores (n,) of the operations compared."""

    manifest: Manifest
    scores: Floats

    @property
    def thresholds(self) -> Thresholds:
        """Frozen when it was trained."""
        return self.manifest.thresholds


@dataclass(frozen=True)
class Figures:
    """A figure of both and the difference, challenger less champion, each with its interval."""

    champion: float
    challenger: float
    difference: float
    champion_interval: Interval
    challenger_interval: Interval
    difference_interval: Interval


@dataclass(frozen=True)
class Slice:
    """Recall at the budget among the frauds of one kind or scheme; each one's cut is that of all operations together."""

    name: str
    frauds: int
    recall: Figures


@dataclass(frozen=True)
class Comparison:
    """Everything that `burana promote` decides by and prints. figures by name; slices: of kinds, then of schemes."""

    champion: str
    challenger: str
    operations: int
    frauds: int
    customers: int
    figures: dict[str, Figures]
    slices: tuple[Slice, ...]

    def as_json(self) -> dict[str, Any]:
        """Every figure by name."""
        return asdict(self)


def compare(operations: Dataset, champion: Scored, challenger: Scored, resamples: int, seed: int = 1) -> Comparison:
    """operations: (n,) with known labels; their vectors are not needed."""
    customers = np.unique(operations.customers, return_inverse=True)[1].astype(np.int64)
    measured = [_Measured(operations, scored) for scored in (champion, challenger)]
    values = [one(np.ones(len(operations))) for one in measured]
    drawn = [resampled(one, customers, resamples, seed) for one in measured]  # the same seed draws the same customers
    found = {name: _both((values[0][name], values[1][name]), (drawn[0][name], drawn[1][name])) for name in values[0]}
    masks = dict(_masks(operations))
    return Comparison(
        champion.manifest.version, challenger.manifest.version, len(operations), int(operations.labels.sum()),
        int(customers.max()) + 1, {name: figures for name, figures in found.items() if name not in masks},
        tuple(Slice(name, int(mask.sum()), found[name]) for name, mask in masks.items()),
    )  # fmt: skip


def _both(values: tuple[float, float], drawn: tuple[Floats, Floats]) -> Figures:
    champion, challenger = values
    return Figures(
        champion, challenger, challenger - champion, interval(drawn[0]), interval(drawn[1]), interval(drawn[1] - drawn[0])
    )


class _Measured:
    """Every figure of one bundle for any weights (n,); what does not depend on them is done once."""

    def __init__(self, operations: Dataset, scored: Scored) -> None:
        self._operations, self._ranking = operations, Ranking(operations.labels, scored.scores)
        self._stopped = {level: scored.scores >= threshold for level, threshold in asdict(scored.thresholds).items()}
        above = scored.scores > _cut(operations, scored.scores)
        self._slices = {name: (rows := np.flatnonzero(mask), above[rows]) for name, mask in _masks(operations)}

    def __call__(self, weights: Floats) -> dict[str, float]:
        curve = self._ranking.curve(weights)
        ranked = {AP: curve.ap(), AT_BUDGET: curve.recall_at_fpr(BUDGET), "auc": curve.auc()}
        return (
            ranked
            | self._caught(weights)
            | {name: _share(weights[rows], hits) for name, (rows, hits) in self._slices.items()}
        )

    def _caught(self, weights: Floats) -> dict[str, float]:
        """What each frozen threshold stops."""
        found: dict[str, float] = {}
        for level, stopped in self._stopped.items():
            each = asdict(caught(self._operations.labels, self._operations.amounts, stopped, weights))
            found |= {
                f"{level}_{name}": each[name] for name in ("recall", "value_recall", "precision", "false_positive_rate")
            }
        return found


def _share(weights: Floats, hits: Mask) -> float:
    return float((weights * hits).sum() / weights.sum()) if weights.sum() else float("nan")


def _cut(operations: Dataset, scores: Floats) -> float:
    """The score of the genuine operation that no longer fits into the budget: frauds strictly above it are found."""
    genuine = np.sort(scores[operations.labels == 0])[::-1]
    return float(genuine[max(1, int(np.floor(BUDGET * len(genuine)))) - 1])


def _masks(operations: Dataset) -> Iterator[tuple[str, Mask]]:
    """The frauds of each kind and of each scheme, where there is more than one."""
    is_fraud = operations.labels == 1
    schemes = np.array([scheme or UNNAMED for scheme in operations.schemes.tolist()], np.object_)
    for title, texts in (("kind", operations.kinds), ("scheme", schemes)):
        known = _known(texts[is_fraud])
        yield from ((f"{title} {text}", is_fraud & (texts == text)) for text in known if len(known) > 1)


def _known(texts: Texts) -> list[str]:
    return sorted(set(texts.tolist()))
