"""One training run: point-in-time matrix -> trees, calibration, thresholds -> ONNX -> parity -> bundle, all in one MLflow run."""

import hashlib
import importlib.metadata
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain import instants
from domain.bundle import FORMAT, Manifest
from domain.errors import HistoryError
from features import bins
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from training import bundles, contributions, figures, parity, tracking
from training.code import code_sha256
from training.contribution_summary import summary_of
from training.dataset import Dataset, check_told, labelled
from training.export import INPUT, RAW, SCORE, to_onnx
from training.pipeline import FitSettings, Fitted, fit
from training.search import Found, SearchSettings, forward_blocks, search

LIBRARIES = ("lightgbm", "numpy", "numba", "onnx", "onnxruntime", "scikit-learn")
REFERENCE_ROWS = 256
CONTRIBUTION_ROWS = 64
"""Of each kind, compared with LightGBM's own contributions, which take it 1 to 10 ms a row."""


@dataclass(frozen=True)
class TrainSettings:
    """What a run is made of.

    start, end: operations with start <= occurred_at < end, by default from `warm_up` after the history's first one: earlier
    operations have not the behaviour before them that the longest window looks at; as_of: the moment of training, by default
    `end`, or the history's own end where that is a day earlier or more; delay: how long until silence about an operation counts as
    legitimate; profiles: whether the model reads daily profiles beside behaviour, which the server must then have; parity_rows:
    rows of each kind on which ONNX and LightGBM are compared; search: a search for better ways of growing trees, None for
    `fit.boosting` as it is.
    """

    start: datetime | None = None
    end: datetime | None = None
    as_of: datetime | None = None
    delay: timedelta = timedelta(days=7)
    warm_up: timedelta = timedelta(days=30)
    profiles: bool = False
    parity_rows: int = 100_000
    fit: FitSettings = field(default_factory=FitSettings)
    search: SearchSettings | None = None


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
    with report.stage("history"):
        history, history_sha256 = histories.read(folder), histories.sha256(folder)
    with report.stage("matrix"):
        start = settings.start or _after_warm_up(history, settings.warm_up)
        check_told(history, settings.as_of)
        dataset = labelled(history, features, start, settings.end, settings.as_of, settings.delay)
    data = {"history": history_sha256, "declarations": features.hash, "code": code_sha256()}
    with tracking.run(tracking_uri, {**_flat(settings), **data}) as run:
        with report.stage("search"):
            fitting = _searched(dataset, features.names, settings, "/".join(data.values()), report)
        with report.stage("fit"):
            fitted = fit(dataset, features.names, fitting)
        with report.stage("export"):
            content = to_onnx(fitted.booster, fitted.calibrator).SerializeToString()
            added = contributions.contributions_of(fitted.booster, fitted.calibrator)
        with report.stage("parity"):
            differences = parity.count_differences(
                fitted.booster, content, dataset.matrix, settings.parity_rows, fitting.seed
            )
            differences |= contributions.count_differences(
                fitted.booster, added, dataset.matrix, CONTRIBUTION_ROWS, fitting.seed
            )
        report.metrics |= _metrics(dataset, fitted)
        manifest = Manifest(
            format=FORMAT, version=_version(content), created_at=datetime.now(UTC).replace(microsecond=0),
            features=features.names, declarations=features.hash, model_sha256=hashlib.sha256(content).hexdigest(), rows_sha256="",
            thresholds=fitted.thresholds, thresholds_argument=fitted.argument.text, history_sha256=history_sha256, run=run.id,
            metrics=report.metrics, parity=differences, code_sha256=data["code"],
            trained_to=instants.from_ms(int(dataset.times.max()) + 1),
            libraries={name: importlib.metadata.version(name) for name in LIBRARIES},
        )  # fmt: skip
        with report.stage("bundle"):
            reference = bins.reference(manifest.features, dataset.matrix, fitted.later_scores)
            rows = _reference_rows(fitted.later, fitting.seed)
            bundle, manifest = bundles.write(
                models, manifest, content, rows, *scores_of(content, rows), reference, fitted.argument, added,
                summary_of(added, fitted.later.matrix, features.entries),
            )  # fmt: skip
            run.finish(bundle, manifest, fitting, fitted)
    return bundle, manifest, report


def scores_of(content: bytes, matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(raw scores, probabilities), each (n,), that a graph gives to vectors (n, features)."""
    raw, scores = parity.session(content).run([RAW, SCORE], {INPUT: matrix})
    return raw[:, 0], scores[:, 0]


def _after_warm_up(history: histories.History, warm_up: timedelta) -> datetime:
    times = history.operations["occurred_at"].cast("int64").to_numpy()
    if not len(times):
        raise HistoryError("the history has no operations to train on")
    first, last = instants.from_ms(int(times.min())), instants.from_ms(int(times.max()))
    if first + warm_up >= last:
        raise HistoryError(
            f"the history goes from {first:%Y-%m-%d} to {last:%Y-%m-%d}, no longer than its first {warm_up.days} days, which are left "
            "out of training because the windows before them are not full yet; give --from, or fewer --warm-up-days"
        )
    return first + warm_up


def _searched(dataset: Dataset, names: tuple[str, ...], settings: TrainSettings, data: str, report: Report) -> FitSettings:
    """The settings of the fit, with the best growing that a search found."""
    if settings.search is None:
        return settings.fit
    pairs = forward_blocks(dataset)
    if not pairs:
        raise HistoryError("no block of the training span has fraud in it to search on; train on a longer span")
    found: Found = search(
        pairs, names, settings.fit.boosting, settings.fit.seed, settings.search, search_key(data, settings)
    )
    report.metrics |= {
        "search_trials": found.trials,
        "search_average_precision": found.average_precision,
        "search_average_precision_at_start": found.average_precision_at_start,
    }
    return replace(settings.fit, boosting=found.boosting)


def search_key(data: str, settings: TrainSettings) -> str:
    """Names what a search is over: data, and all that says which operations are trained on, with which labels, and how."""
    labelled_by = (settings.start, settings.end, settings.as_of, settings.delay, settings.warm_up)
    return hashlib.sha256(f"{data}/{labelled_by}/{settings.fit}".encode()).hexdigest()[:16]


def _reference_rows(later: Dataset, seed: int) -> NDArray[np.float64]:
    """Vectors that the bundle keeps with their scores, to be checked at every load."""
    rows = np.random.default_rng(seed).choice(len(later), min(REFERENCE_ROWS, len(later)), replace=False)
    return later.matrix[np.sort(rows)]


def _metrics(dataset: Dataset, fitted: Fitted) -> dict[str, float]:
    """What was trained on, and how the probe did on the later operations that it had not seen."""
    later, scores = fitted.later, fitted.later_scores
    return {
        "operations": len(dataset), "frauds": int(dataset.labels.sum()), "trees": fitted.booster.num_trees(),
        "later_operations": len(later), "later_frauds": int(later.labels.sum()), "later_auc": figures.auc(later.labels, scores),
        "later_average_precision": figures.ap(later.labels, scores),
        "later_recall_at_fpr_0.001": figures.recall_at_fpr(later.labels, scores, 0.001),
        "later_brier": figures.brier(later.labels, scores),
        "later_calibration_error": figures.calibration_error(later.labels, scores),
        "later_scores_over_frauds": figures.scores_over_frauds(later.labels, scores),
    }  # fmt: skip


def _flat(settings: TrainSettings) -> dict[str, Any]:
    """The settings by name, for people: those of growing and of the thresholds' policy as `boosting.leaves`."""
    fitting = settings.fit
    parts = {"boosting": asdict(fitting.boosting), "policy": asdict(fitting.policy)}
    flat = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    own = {name: value for name, value in asdict(settings).items() if name not in ("fit", "search")}
    return {**own, **flat, "later": fitting.later, "seed": fitting.seed, "policy": type(fitting.policy).__name__.lower()}


def _version(content: bytes) -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{hashlib.sha256(content).hexdigest()[:8]}"
