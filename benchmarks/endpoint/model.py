"""A real model of a stated size on all that is served, in our bundle and in MLflow's form: the same trees for ours and the peers."""

import hashlib
import importlib.metadata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lightgbm as lgb
import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from tqdm import tqdm

from benchmarks.endpoint.asked import Asked
from benchmarks.endpoint.processes import BenchmarkError
from domain.bundle import FORMAT, Manifest
from features import bins
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.history import History
from features.plan import Plan
from training import bundles
from training.boosting import Boosting
from training.contribution_summary import summary_of
from training.contributions import contributions_of
from training.dataset import Dataset, labelled, span
from training.export import Platt, to_onnx
from training.parity import count_differences
from training.pipeline import calibrate, cut
from training.ranked import Ranked
from training.thresholds import Capacity, choose
from training.train import LIBRARIES, scores_of

STOPPED_PER_1000 = 15
"""Of later operations, verified by the score; with the rejected and what rules stop about 2% are medium or high."""
DAYS = 3
"""So many days before the first served one are trained on, thresholds and calibration made on the last of them."""
WHEN_KNOWN = timedelta(days=60)
"""Later than the served days: nothing is measured of detection here, and a small world has few frauds that become known at once."""
FULL_TREES = Boosting(learning_rate=0.02, leaf_operations=5, l2=0.0, fraud_weight=100.0)
"""So that even the last tree finds splits for all its leaves: usual settings leave it too little to explain."""
GROWN_ON = 20_000
PARITY_ROWS = 2_000


def make(history: History, end: datetime, models: Path, peer: Path, trees: int, leaves: int) -> Asked:
    """Write the bundle, named champion, and MLflow's model at `peer`; the operations of DAYS days before `end`, with their vectors."""
    features, start = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS), with_profiles=True), end - timedelta(days=DAYS)
    dataset = labelled(history, features, start, end, end + WHEN_KNOWN, timedelta(0))
    earlier, later = cut(dataset, 1 / DAYS)
    booster = _grown(earlier, features.names, replace(FULL_TREES, trees=trees, leaves=leaves))
    _check_size(booster, trees, leaves)
    calibrator = calibrate(np.asarray(booster.predict(later.matrix, raw_score=True)), later.labels)
    bundle(models, features, booster, calibrator, later)
    doubles = Schema([ColSpec(DataType.double, name) for name in features.names])
    mlflow.lightgbm.save_model(booster, str(peer), signature=ModelSignature(inputs=doubles))
    return Asked(span(history, start, end)[1], dataset.matrix, features.names)


def _grown(earlier: Dataset, names: tuple[str, ...], boosting: Boosting) -> lgb.Booster:
    """Trees of a part of the operations, on one thread: the machine may be shared, and threads that wait for each other crawl."""
    some = slice(None, None, -(-len(earlier) // GROWN_ON))
    rows = lgb.Dataset(earlier.matrix[some], earlier.labels[some], feature_name=list(names))
    with tqdm(total=boosting.trees, desc="trees", unit="tree", delay=2) as progress:
        told = [lambda _: progress.update()]
        return lgb.train(boosting.parameters(1) | {"num_threads": 1}, rows, boosting.trees, callbacks=told)


def _check_size(booster: lgb.Booster, trees: int, leaves: int) -> None:
    seen = {tree["num_leaves"] for tree in booster.dump_model()["tree_info"]}
    if booster.num_trees() != trees or seen != {leaves}:
        raise BenchmarkError(f"seen {booster.num_trees()} trees of {sorted(seen)} leaves, asked for {trees} of {leaves}")


def bundle(models: Path, features: FeatureSet, booster: lgb.Booster, calibrator: Platt, later: Dataset) -> None:
    """As training writes it, without a run in MLflow."""
    content, added = to_onnx(booster, calibrator).SerializeToString(), contributions_of(booster, calibrator)
    rows = later.matrix[:: max(1, len(later) // 256)]
    scores = scores_of(content, later.matrix)[1]
    thresholds, argument = choose(
        Ranked(scores, later.labels, later.amounts, later.days), Capacity(alerts_per_1000=STOPPED_PER_1000)
    )
    manifest = Manifest(
        format=FORMAT, version="benchmark", created_at=datetime.now(UTC).replace(microsecond=0), features=features.names,
        declarations=features.hash, model_sha256=hashlib.sha256(content).hexdigest(), rows_sha256="", thresholds=thresholds,
        thresholds_argument=argument.text, history_sha256="", run="benchmark", metrics={},
        parity=count_differences(booster, content, later.matrix, PARITY_ROWS, 1), code_sha256="",
        libraries={name: importlib.metadata.version(name) for name in LIBRARIES},
    )  # fmt: skip
    reference = bins.reference(features.names, later.matrix, scores)
    summary = summary_of(added, later.matrix, features.entries)
    bundles.write(models, manifest, content, rows, *scores_of(content, rows), reference, argument, added, summary)
    bundles.set_champion(models, manifest.version)
