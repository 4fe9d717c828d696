"""Measuring on a history: models trained fold after fold by the prequential protocol, or a bundle as it is."""

import hashlib
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from domain import instants
from domain.errors import HistoryError, SettingsError
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.history import History
from features.labels import UNKNOWN
from features.plan import Plan
from training import book_features, released
from training.baselines import BASELINES, fit_baseline
from training.boosting import Boosting
from training.code import code_sha256
from training.dataset import Dataset, Outcomes, dataset_of, known_by, span
from training.fitting import ScoringModel, fit
from training.matrix_file import read_matrix
from training.measures import Tested
from training.pipeline import FitSettings
from training.protocols import Fold, Prequential
from training.results import Result, measure, summary
from training.search import Found, SearchSettings, search
from training.thresholds import Capacity
from training.vectors import vectors

LIGHTGBM, DECLARED, BOOK = "lightgbm", "declared", "book"
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """What is measured, and how.

    model: LIGHTGBM or one of BASELINES; features: DECLARED, or BOOK for baselines; profiles: the model reads daily profiles
    too; matrix: a file of `burana features --out` that spares computing the vectors; alerts: operations that people can verify a
    day; bootstrap: resamples of customers for intervals, 0 for none; boosting: how trees are grown, at the start of a search;
    search: over the validation folds that `validate` names by their starts, before any test fold is looked at; None for none.
    """

    protocol: Prequential = field(default_factory=Prequential)
    model: str = LIGHTGBM
    features: str = DECLARED
    profiles: bool = False
    matrix: Path | None = None
    alerts: int = 100
    bootstrap: int = 1_000
    seed: int = 1
    boosting: Boosting = field(default_factory=Boosting)
    validate: tuple[datetime, ...] = ()
    search: SearchSettings | None = None

    def __post_init__(self) -> None:
        if self.matrix is not None and (self.profiles or self.features == BOOK):
            raise SettingsError("--matrix: the file has the declared features without profiles; leave it out here")
        if self.alerts < 1 or self.bootstrap < 0:
            raise SettingsError(f"seen {self.alerts} alerts a day, {self.bootstrap} resamples; allowed from 1, from 0")
        if (self.search is None) != (not self.validate) or (self.search and self.model != LIGHTGBM):
            raise SettingsError(
                "a search (--trials) and the folds that it is measured on (--validate) go together, with lightgbm"
            )


def evaluate_folds(folder: Path, starts: list[datetime], settings: Evaluation) -> dict[str, Any]:
    """Train and test a model for each start on the history in `folder`; the figures as `results.summary` tells them."""
    history, protocol = histories.read(folder), settings.protocol
    every = [*starts, *settings.validate]
    first, end = min(map(protocol.train_start, every)), max(map(protocol.test_end, every))
    past, operations = span(history, first, end)
    outcomes = _outcomes(history, operations)
    folds = protocol.folds(operations, outcomes, starts)
    names, matrix = _vectors(past, operations, history.outcomes, first, settings)
    dataset, history_sha256 = (
        dataset_of(operations, matrix, outcomes, outcomes.end, protocol.delay),
        histories.sha256(folder),
    )
    searched: dict[str, Any] = {}
    if settings.search is not None:
        _check_validation(starts, settings)
        validation = protocol.folds(operations, outcomes, list(settings.validate))
        found = _search(validation, dataset, names, settings, history_sha256)
        searched, settings = {"search": asdict(found)}, replace(settings, boosting=found.boosting)
    results = [_tested_fold(fold, dataset, names, settings) for fold in tqdm(folds, desc="folds", unit="fold")]
    return {
        "model": settings.model,
        "features": settings.features,
        "history_sha256": history_sha256,
        "boosting": settings.boosting.figures(),
        **searched,
        **summary(results),
    }


def _check_validation(starts: list[datetime], settings: Evaluation) -> None:
    last, first = max(map(settings.protocol.test_end, settings.validate)), min(map(settings.protocol.test_start, starts))
    if last > first:
        raise SettingsError(
            f"--validate: its tests end on {last:%Y-%m-%d}, after the first test of --starts begins ({first:%Y-%m-%d}); growing would "
            "be chosen by what it is then tested on: name earlier starts"
        )


def _search(folds: list[Fold], dataset: Dataset, names: tuple[str, ...], settings: Evaluation, history_sha256: str) -> Found:
    """The growing that does best on validation folds."""
    assert settings.search is not None, "asked by the caller"
    pairs = [(fold.training(dataset), fold.testing(dataset)) for fold in folds]
    # names stay where a filter, the retained arrivals or the code change what the vectors hold
    declarations = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS), settings.profiles).hash
    key = search_key("/".join((history_sha256, declarations, code_sha256())), names, settings)
    return search(pairs, names, settings.boosting, settings.seed, settings.search, key)


def search_key(data: str, names: tuple[str, ...], settings: Evaluation) -> str:
    """Names what a search is over: data (history, declarations, code), features, validation folds, and how trees are grown."""
    key = f"{data}/{names}/{settings.validate}/{settings.protocol}/{settings.boosting}/{settings.seed}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def evaluate_bundle(
    folder: Path, bundle: Path, start: datetime | None, end: datetime | None, settings: Evaluation
) -> dict[str, Any]:
    """Test a bundle on the operations with start <= occurred_at < end whose label is known in the end."""
    released_model = released.read(bundle, Plan(DEFINITIONS, RETAINED_ARRIVALS))
    history, features, trained_to = histories.read(folder), released_model.features, released_model.manifest.trained_to
    if trained_to is not None and (start is None or start < trained_to):
        raise SettingsError(
            f"--from: seen {start}; {released_model.manifest.version} may have been trained on operations before {trained_to}, and "
            "on those any model looks good: name that moment or a later one"
        )
    past, operations = span(history, start, end)
    if not operations.num_rows:
        raise HistoryError(f"{folder} has no operations from {start} up to {end}; widen --from and --to")
    outcomes = _outcomes(history, operations)
    matrix = _declared(past, operations, features, start, settings.matrix)
    dataset = dataset_of(operations, matrix, outcomes, outcomes.end, settings.protocol.delay)
    known = dataset.where(dataset.labels != UNKNOWN)
    if not len(known):
        raise HistoryError(
            f"{folder}: none of the {len(dataset)} operations from {start} up to {end} has a known label yet: widen the span, or "
            "give fewer --delay-days"
        )
    facts = {"bundle": released_model.manifest.version, **_facts("test", known)}
    result = _measured(facts, known, released_model.model, settings, int(dataset.customers.max()) + 1)
    return {"model": released_model.manifest.version, "history_sha256": histories.sha256(folder), **summary([result])}


def _outcomes(history: History, operations: pa.Table) -> Outcomes:
    """The outcomes of some operations; how old these are in the end, the whole history says."""
    end = known_by(history.operations, history.outcomes)
    return Outcomes(operations, history.outcomes, history.decisions, end)


def _vectors(
    past: History, operations: pa.Table, outcomes: pa.Table, start: datetime, settings: Evaluation
) -> tuple[tuple[str, ...], Matrix]:
    """Names of the features, and the vectors of `operations`, which are those of `past` from `start` on."""
    if settings.features == BOOK:
        later = past.operations["occurred_at"].cast(pa.int64()).to_numpy() >= instants.to_ms(start)
        return book_features.NAMES, book_features.book_matrix(past.operations, outcomes)[later]
    features = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS), settings.profiles)
    return features.names, _declared(past, operations, features, start, settings.matrix)


def _declared(
    past: History, operations: pa.Table, features: FeatureSet, start: datetime | None, file: Path | None
) -> Matrix:
    if file is None:
        return vectors(past, features, start)
    if features.with_profiles:
        raise SettingsError("--matrix: the file has no profiles, which this model reads; leave it out")
    return read_matrix(file, operations, features.plan)


def _tested_fold(fold: Fold, dataset: Dataset, names: tuple[str, ...], settings: Evaluation) -> Result:
    training, testing = fold.training(dataset), fold.testing(dataset)
    began = time.perf_counter()
    fitted = _fitted(training, names, settings)
    facts = {
        "start": f"{fold.start:%Y-%m-%d}", **_facts("train", training), **_facts("test", testing), "dropped": fold.dropped,
        "thresholds_argument": fitted.argument, "fit_seconds": round(time.perf_counter() - began, 2),
    }  # fmt: skip
    return _measured(facts, testing, fitted, settings, int(dataset.customers.max()) + 1)


def _fitted(training: Dataset, names: tuple[str, ...], settings: Evaluation) -> ScoringModel:
    if settings.model in BASELINES:
        return fit_baseline(settings.model, training)
    a_day = len(training) / settings.protocol.train_days
    if settings.alerts >= a_day / 2:
        raise SettingsError(
            f"--alerts-per-day: seen {settings.alerts}, allowed less than half of the {a_day:.0f} operations a day"
        )
    policy = Capacity(alerts_per_day=settings.alerts)
    return fit(training, names, FitSettings(boosting=settings.boosting, seed=settings.seed, policy=policy))


def _measured(
    facts: dict[str, Any], testing: Dataset, fitted: ScoringModel, settings: Evaluation, population: int
) -> Result:
    scores = fitted.score(testing.matrix)
    without_vectors = replace(testing, matrix=np.empty((len(testing), 0)))
    tested = Tested(without_vectors, scores, fitted.thresholds, settings.alerts)
    return measure(facts, tested, settings.bootstrap, settings.seed, population)


def _facts(name: str, dataset: Dataset) -> dict[str, Any]:
    """How much there is, and the first and last day of it."""
    first, last = (instants.from_ms(int(at)) for at in (dataset.times.min(), dataset.times.max()))
    return {
        f"{name}_operations": len(dataset), f"{name}_frauds": int(dataset.labels.sum()),
        f"{name}_from": f"{first:%Y-%m-%d}", f"{name}_to": f"{last:%Y-%m-%d}",
    }  # fmt: skip
