"""From labelled operations to a model that can be served: trees, calibration, thresholds. Training and evaluation both go this way.

Operations are cut once, in order of time. A probe is grown on the earlier ones and stops on the later ones, which say how many
trees are enough, how raw scores become probabilities, and where the thresholds lie. The model itself is then grown on all of
them, with as many trees.
"""

from dataclasses import dataclass, field, replace

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from domain.errors import HistoryError, SettingsError
from domain.levels import Thresholds
from training.boosting import Boosting, grow
from training.dataset import Dataset
from training.export import Platt
from training.ranked import Ranked
from training.thresholds import Argument, Capacity, Policy, choose


@dataclass(frozen=True)
class FitSettings:
    """How a model is made of labelled operations.

    boosting: how trees are grown; later: share of the operations, the last in time, kept from the probe; seed: of everything
    random; policy: how the thresholds are chosen.
    """

    boosting: Boosting = field(default_factory=Boosting)
    later: float = 0.2
    seed: int = 1
    policy: Policy = field(default_factory=Capacity)

    def __post_init__(self) -> None:
        if not 0.05 <= self.later <= 0.5:
            raise SettingsError(f"later: seen {self.later}, allowed a share from 0.05 to 0.5")


@dataclass(frozen=True)
class Fitted:
    """A model before it is exported, and what was measured on the way.

    thresholds, argument: chosen on `later` by `later_scores` (n,), the calibrated scores of a probe that had not seen them.
    """

    booster: lgb.Booster
    calibrator: Platt
    thresholds: Thresholds
    argument: Argument
    later: Dataset
    later_scores: NDArray[np.float64]

    def score(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n,) of vectors (n, features)."""
        return self.calibrator.probabilities(np.asarray(self.booster.predict(matrix, raw_score=True)))


def fit(dataset: Dataset, names: tuple[str, ...], settings: FitSettings) -> Fitted:
    """The model of a dataset whose columns are `names`; HistoryError when one of the two parts lacks fraud or anything else."""
    earlier, later = cut(dataset, settings.later)
    probe = grow(earlier, names, settings.boosting, settings.seed, later)
    raw = np.asarray(probe.predict(later.matrix, raw_score=True))
    calibrator = calibrate(raw, later.labels)
    scores = calibrator.probabilities(raw)
    chosen, argument = choose(Ranked(scores, later.labels, later.amounts, later.days), settings.policy)
    enough = replace(settings.boosting, trees=max(1, probe.best_iteration))
    return Fitted(grow(dataset, names, enough, settings.seed), calibrator, chosen, argument, later, scores)


def cut(dataset: Dataset, later: float) -> tuple[Dataset, Dataset]:
    """The earlier operations, and the last share of them in time."""
    edge = int(np.sort(dataset.times)[int(len(dataset) * (1 - later))])
    parts = (dataset.slice(0, edge), dataset.slice(edge, 2**62))
    for name, part in zip(("earlier", "later"), parts, strict=True):
        if not 0 < part.labels.sum() < len(part):
            raise HistoryError(
                f"the {name} part has {len(part)} operations and {part.labels.sum()} frauds; it needs both kinds: "
                "widen --from and --to"
            )
    return parts


def calibrate(raw: NDArray[np.float64], labels: NDArray[np.int8]) -> Platt:
    """Platt scaling: the logistic regression of the label on the raw score."""
    regression = LogisticRegression(C=np.inf).fit(raw[:, None], labels)
    return Platt(float(regression.coef_[0, 0]), float(regression.intercept_[0]))
