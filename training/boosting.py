"""Growing trees with LightGBM: the same rows, settings, seed and versions give the same model bytes."""

from dataclasses import asdict, dataclass
from typing import Any

import lightgbm as lgb
from tqdm import tqdm

from domain.errors import SettingsError
from training.dataset import Dataset

PATIENCE = 60
"""Growing stops after so many trees without a better average precision on later operations."""
THREADS = 2
"""Fixed: sums over rows depend on how many threads they are cut for, and with them the bytes of the model."""


@dataclass(frozen=True)
class Boosting:
    """How trees are grown.

    trees: at most so many; learning_rate: what each tree adds, of what it found; leaves: of a tree, at most; leaf_operations: of a
    leaf, at least; feature_share, row_share: of features and of operations that a tree sees; l2: holds leaf values down;
    bins: into how many a feature's values are cut before growing, so that thresholds lie only between them; fraud_weight: how
    many genuine operations a fraud weighs as much as, 1 for as they are (calibration takes it back).
    """

    trees: int = 500
    learning_rate: float = 0.05
    leaves: int = 31
    leaf_operations: int = 50
    feature_share: float = 0.5
    row_share: float = 0.8
    l2: float = 5.0
    bins: int = 1_023
    fraud_weight: float = 1.0

    def __post_init__(self) -> None:
        bounds = {"trees": (1, 10_000), "learning_rate": (1e-4, 1), "leaves": (2, 1_024), "leaf_operations": (1, 10**6),
                  "feature_share": (0.01, 1), "row_share": (0.01, 1), "l2": (0, 1e6), "bins": (2, 65_535),
                  "fraud_weight": (1e-3, 1e6)}  # fmt: skip
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise SettingsError(f"{name}: seen {getattr(self, name)}, allowed {low} to {high}")

    def parameters(self, seed: int) -> dict[str, Any]:
        """The parameters under LightGBM's names."""
        return {
            "objective": "binary", "metric": "average_precision", "learning_rate": self.learning_rate,
            "num_leaves": self.leaves, "min_data_in_leaf": self.leaf_operations, "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share, "bagging_freq": 1, "lambda_l2": self.l2, "max_bin": self.bins,
            "scale_pos_weight": self.fraud_weight, "seed": seed, "deterministic": True, "force_row_wise": True,
            "num_threads": THREADS, "verbosity": -1,
        }  # fmt: skip

    def figures(self) -> dict[str, float]:
        """The settings by name."""
        return asdict(self)


def grow(
    dataset: Dataset, names: tuple[str, ...], boosting: Boosting, seed: int, later: Dataset | None = None
) -> lgb.Booster:
    """A booster of `boosting.trees` trees; with `later`, of as many as rank the frauds of these operations best.

    dataset, later: vectors in the order of `names`. Progress is shown when it takes more than two seconds.
    """
    rows = lgb.Dataset(dataset.matrix, dataset.labels, feature_name=list(names))
    valid = [] if later is None else [lgb.Dataset(later.matrix, later.labels, reference=rows)]
    with tqdm(total=boosting.trees, desc="trees", unit="tree", delay=2, leave=False) as progress:
        stopping = [lgb.early_stopping(PATIENCE, verbose=False)] if valid else []
        return lgb.train(
            boosting.parameters(seed), rows, boosting.trees, valid_sets=valid,
            callbacks=[*stopping, lambda _: progress.update()],
        )  # fmt: skip
