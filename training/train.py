"""One training run: point-in-time matrix -> LightGBM -> calibration -> thresholds -> ONNX -> parity -> bundle."""

import hashlib
import importlib.metadata
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from domain.bundle import FORMAT, Manifest
from domain.errors import HistoryError
from features import bins
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from training import bundles, parity, thresholds, tracking
from training.dataset import Dataset, labelled
from training.export import INPUT, RAW, SCORE, Platt, to_onnx

LIBRARIES = ("lightgbm", "numpy", "numba", "onnx", "onnxruntime", "scikit-learn")
REFERENCE_ROWS = 256


@dataclass(frozen=True)
class TrainSettings:
    """What a run is made of.

    start, end: operations with start <= occurred_at < end; as_of: the moment of training, by default `end`; delay: how long
    until silence about an operation counts as legitimate; fit, stop: shares of the operations, in order of time, on which
    trees are grown and on which growing stops; calibration and thresholds take the rest; profiles: whether the model reads daily profiles beside behaviour, which the server must then have.
    """

    start: datetime | None = None
    end: datetime | None = None
    as_of: datetime | None = None
    delay: timedelta = timedelta(days=7)
    fit: float = 0.7
    stop: float = 0.15
    seed: int = 1
    trees: int = 500
    learning_rate: float = 0.05
    leaves: int = 31
    parity_rows: int = 100_000
    profiles: bool = False
    capacity: thresholds.Capacity = field(default_factory=thresholds.Capacity)


@dataclass
class Report:
    """Figures of a run as they are printed and logged; seconds per stage."""

    metrics: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 3)


def train(folder: Path, models: Path, tracking_uri: str, settings: TrainSettings) -> tuple[Path, Manifest, Report]:
    """Train on the history in `folder`; the bundle's folder under `models`, its manifest and the figures come back."""
    features, report = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS), settings.profiles), Report()
    with report.stage("matrix"):
        history = histories.read(folder)
        dataset = labelled(history, features, settings.start, settings.end, settings.as_of, settings.delay)
        fit, stop, later = split(dataset, settings)
    with tracking.run(tracking_uri, {**_flat(settings), "declarations": features.hash}) as run:
        with report.stage("fit"):
            booster = grow(fit, stop, features.names, settings)
        with report.stage("calibration"):
            calibrator = calibrate(np.asarray(booster.predict(later.matrix, raw_score=True)), later.labels)
            model = to_onnx(booster, calibrator)
            raw, scores = _scores(model.SerializeToString(), later.matrix)
            chosen, argument = thresholds.choose(scores, later.labels, settings.capacity)
        with report.stage("parity"):
            differences = parity.count_differences(booster, model, fit.matrix, settings.parity_rows, settings.seed)
        report.metrics |= _metrics(fit, stop, later, scores, booster)
        rows = np.random.default_rng(settings.seed).choice(len(later), min(REFERENCE_ROWS, len(later)), replace=False)
        rows.sort()
        content = model.SerializeToString()
        manifest = Manifest(
            format=FORMAT, version=_version(content), created_at=datetime.now(UTC).replace(microsecond=0),
            features=features.names, declarations=features.hash, model_sha256=hashlib.sha256(content).hexdigest(), rows_sha256="",
            thresholds=chosen, thresholds_argument=argument, history_sha256=histories.sha256(folder), run=run.id,
            metrics=report.metrics, parity=differences,
            libraries={name: importlib.metadata.version(name) for name in LIBRARIES},
        )  # fmt: skip
        with report.stage("stability"):
            reference = bins.reference(manifest.features, dataset.matrix, scores)
        bundle, manifest = bundles.write(models, manifest, content, later.matrix[rows], raw[rows], scores[rows], reference)
        run.finish(bundle, manifest, booster, scores, later.labels)
    return bundle, manifest, report


def split(dataset: Dataset, settings: TrainSettings) -> tuple[Dataset, Dataset, Dataset]:
    """Three parts one after another in time; HistoryError when one of them has no fraud or nothing else."""
    ordered = np.sort(dataset.times)
    edges = [int(ordered[int(len(ordered) * share)]) for share in (settings.fit, settings.fit + settings.stop)]
    parts = (dataset.slice(0, edges[0]), dataset.slice(edges[0], edges[1]), dataset.slice(edges[1], 2**62))
    for name, part in zip(("fit", "stop", "later"), parts, strict=True):
        if not 0 < part.labels.sum() < len(part):
            raise HistoryError(
                f"the {name} part has {len(part)} operations and {part.labels.sum()} frauds; it needs both kinds"
            )
    return parts


def grow(fit: Dataset, stop: Dataset, names: tuple[str, ...], settings: TrainSettings) -> lgb.Booster:
    """A booster that stops when average precision on the later part no longer rises. Same input, same bytes."""
    parameters = {
        "objective": "binary", "metric": "average_precision", "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves, "min_data_in_leaf": 50, "feature_fraction": 0.5, "bagging_fraction": 0.8,
        "bagging_freq": 1, "lambda_l2": 5.0, "seed": settings.seed, "deterministic": True, "force_row_wise": True,
        "num_threads": 2, "verbosity": -1,
    }  # fmt: skip
    train_set = lgb.Dataset(fit.matrix, fit.labels, feature_name=list(names), free_raw_data=True)
    stop_set = lgb.Dataset(stop.matrix, stop.labels, reference=train_set)
    return lgb.train(
        parameters, train_set, settings.trees, valid_sets=[stop_set], callbacks=[lgb.early_stopping(60, verbose=False)]
    )


def calibrate(raw: NDArray[np.float64], labels: NDArray[np.int8]) -> Platt:
    """Platt scaling: the logistic regression of the label on the raw score."""
    regression = LogisticRegression(C=np.inf).fit(raw[:, None], labels)
    return Platt(float(regression.coef_[0, 0]), float(regression.intercept_[0]))


def _scores(content: bytes, matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    raw, scores = parity.session(content).run([RAW, SCORE], {INPUT: matrix})
    return raw[:, 0], scores[:, 0]


def _metrics(
    fit: Dataset, stop: Dataset, later: Dataset, scores: NDArray[np.float64], booster: lgb.Booster
) -> dict[str, float]:
    return {
        "fit_operations": len(fit), "fit_frauds": int(fit.labels.sum()), "stop_operations": len(stop),
        "stop_frauds": int(stop.labels.sum()), "later_operations": len(later), "later_frauds": int(later.labels.sum()),
        "trees": booster.num_trees(), "later_auc": float(roc_auc_score(later.labels, scores)),
        "later_average_precision": float(average_precision_score(later.labels, scores)),
        "later_brier": float(brier_score_loss(later.labels, scores)),
        "later_scores_over_frauds": float(scores.sum() / later.labels.sum()),
    }  # fmt: skip


def _flat(settings: TrainSettings) -> dict[str, Any]:
    values = asdict(settings)
    return {**values.pop("capacity"), **{name: str(value) for name, value in values.items()}}


def _version(content: bytes) -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{hashlib.sha256(content).hexdigest()[:8]}"
