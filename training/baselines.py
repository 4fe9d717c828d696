"""Published baselines of the Fraud Detection Handbook (ch. 3): they prove that the protocol measures what the book measures."""

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from domain.errors import SettingsError
from training.dataset import Dataset
from training.fitting import Matrix, ScoringModel

BASELINES = ("forest", "xgboost")
FOREST_THREADS, XGBOOST_THREADS = 2, 1
"""XGBoost's threads wait for each other busily: two of them on a busy machine took six times as long as one."""


def fit_baseline(name: str, dataset: Dataset) -> ScoringModel:
    """A baseline with the parameters of the book, trained on everything given: not calibrated, so without thresholds."""
    model = make_pipeline(StandardScaler(), _forest() if name == "forest" else _xgboost())
    model.fit(dataset.matrix, dataset.labels)

    def score(matrix: Matrix) -> Matrix:
        return np.asarray(model.predict_proba(matrix)[:, 1], np.float64)

    return ScoringModel(score)


def _forest() -> Any:
    return RandomForestClassifier(random_state=0, n_jobs=FOREST_THREADS)


def _xgboost() -> Any:
    try:
        from xgboost import XGBClassifier  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError("--model xgboost: not installed here; install burana[development]") from error
    # the defaults when the book was written; with those of xgboost 3.2 AP is .568 in place of .639, CP@100 .247 of .273
    return XGBClassifier(
        n_estimators=100,
        max_depth=6,
        learning_rate=0.3,
        base_score=0.5,
        tree_method="exact",
        random_state=0,
        n_jobs=XGBOOST_THREADS,
    )
