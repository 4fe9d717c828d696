"""The champion: a bundle that is checked when it is loaded, and scores one vector at a time."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime as ort
import pyarrow.parquet as pq
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,  # noqa: A004 an operator that the runtime lacks
    RuntimeException,
)

from domain.bundle import (
    CHAMPION_FILE,
    CONTRIBUTIONS_FILE,
    FORMAT,
    MANIFEST_FILE,
    MODEL_FILE,
    ROWS_FILE,
    STABILITY_FILE,
    Manifest,
)
from domain.errors import BundleError, ExplanationError, ThresholdError
from features.bins import SCORE, Reference
from features.feature_set import FeatureSet
from features.plan import Plan
from features.profiles import PROFILE_NAMES
from features.tree_contributions import Contributions
from serving.contributions import Explainer

SCORE_TOLERANCE = 1e-12
"""Raw scores must be equal to the bit; the calibrated score passes one exponential, whose last bit depends on the processor."""


MODEL_FAILURES = (Fail, InvalidArgument, RuntimeException, MemoryError, RuntimeError, ValueError)
"""What a session may raise for a vector; any of them leads to verification."""
UNREADABLE = (*MODEL_FAILURES, InvalidGraph, InvalidProtobuf, NotImplemented, LookupError, TypeError)
"""What a graph or reference rows may raise when they are loaded."""


class _Format(msgspec.Struct):
    """Of a manifest, what is read before everything else: a later format has fields that this release does not know."""

    format: int


class Model:
    """A loaded bundle. One thread, one reused input: a call costs the graph and little else."""

    def __init__(
        self, manifest: Manifest, content: bytes, stability: Reference | None = None, explainer: Explainer | None = None
    ) -> None:
        """stability: what drift is measured against, explainer: says what a score is made of; None where the bundle has none."""
        self.manifest, self.version, self.thresholds = manifest, manifest.version, manifest.thresholds
        self.stability, self.explainer = stability, explainer
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.asks_for_profiles = not set(PROFILE_NAMES).isdisjoint(manifest.features)
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._input = np.empty((1, len(manifest.features)), np.float64)
        self._feed = {"features": self._input}

    def score(self, vector: NDArray[np.float64]) -> float:
        """The probability of fraud, 0 to 1, of one vector (features,)."""
        self._input[0] = vector
        return float(self._session.run(["score"], self._feed)[0][0, 0])

    def score_many(self, matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(raw scores, probabilities), each (n,), of a matrix (n, features)."""
        raw, scores = self._session.run(["raw", "score"], {"features": matrix})
        return raw[:, 0], scores[:, 0]


def champion(models: Path) -> Path:
    """The folder of the served bundle; BundleError when none is named."""
    try:
        version = (models / CHAMPION_FILE).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BundleError(
            f"{models / CHAMPION_FILE} cannot be read: train a model first (`burana train --champion`)"
        ) from error
    return models / version


def load(folder: Path, plan: Plan) -> Model:
    """Load and check a bundle against what runs; BundleError names the difference."""
    manifest = manifest_of(folder)
    content = _stated(folder / MODEL_FILE, manifest.model_sha256)
    _stated(folder / ROWS_FILE, manifest.rows_sha256)
    _check_features(folder, manifest, plan)
    stability, explainer = stability_of(folder, manifest), explainer_of(folder, manifest, plan)
    try:
        model = Model(manifest, content, stability, explainer)
        _check_reference_rows(folder, model)
    except UNREADABLE as error:
        raise BundleError(f"{folder}: the model or its reference rows cannot be read: {error}") from error
    return model


def manifest_of(folder: Path) -> Manifest:
    """What a bundle says of itself; BundleError when it is none, or of another format."""
    try:
        stated = (folder / MANIFEST_FILE).read_bytes()
        if (seen := msgspec.json.decode(stated, type=_Format).format) != FORMAT:
            raise BundleError(f"{folder}: format {seen}, this release reads {FORMAT}")
        return msgspec.json.decode(stated, type=Manifest)
    except (OSError, msgspec.DecodeError, ThresholdError) as error:
        raise BundleError(f"{folder} is not a bundle: {error}") from error


def stability_of(folder: Path, manifest: Manifest) -> Reference | None:
    """What drift is measured against; None for a bundle of a release that kept nothing to measure it."""
    if not manifest.stability_sha256:
        return None
    reference = Reference.decode(_stated(folder / STABILITY_FILE, manifest.stability_sha256))
    if reference.names != (*manifest.features, SCORE):
        raise BundleError(f"{folder / STABILITY_FILE} is of other features than the model, or in another order")
    return reference


def explainer_of(folder: Path, manifest: Manifest, plan: Plan) -> Explainer | None:
    """Says what a score is made of; None for a bundle of a release that kept nothing to say it."""
    if not manifest.contributions_sha256:
        return None
    contributions = Contributions.decode(_stated(folder / CONTRIBUTIONS_FILE, manifest.contributions_sha256))
    if contributions.columns > len(manifest.features):
        raise BundleError(
            f"{folder / CONTRIBUTIONS_FILE} is of {contributions.columns} features or more, the model of fewer"
        )
    return Explainer(contributions, manifest.features, FeatureSet(plan).entries)


def _stated(file: Path, sha256: str) -> bytes:
    """The content of a file of a bundle; BundleError unless it is the one that the manifest states."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BundleError(f"{file.parent} is not a bundle: {error}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BundleError(f"{file} is not the file that its manifest states (sha256 differs)")
    return content


def _check_features(folder: Path, manifest: Manifest, plan: Plan) -> None:
    running = FeatureSet(plan, not set(PROFILE_NAMES).isdisjoint(manifest.features))
    if manifest.declarations == running.hash and manifest.features == running.names:
        return
    missing = [name for name in manifest.features if name not in running.names]
    new = [name for name in running.names if name not in manifest.features]
    raise BundleError(
        f"{folder} was trained on other features (declarations {manifest.declarations[:12]}, running {running.hash[:12]}): "
        f"only in the bundle {missing or 'none'}, only running {new or 'none'}"
        + ("" if missing or new else "; the names agree, so an order, a window, a filter or the retained arrivals differ")
        + ". Train again or serve the release that made it."
    )


def _check_reference_rows(folder: Path, model: Model) -> None:
    # through DLPack: pq.read_table and to_numpy import pandas where it is installed
    with pq.ParquetFile(folder / ROWS_FILE) as file:
        table = file.read()
    columns = {name: np.from_dlpack(table[name].combine_chunks()) for name in table.column_names}
    matrix = np.column_stack([columns[name] for name in model.manifest.features])
    raw, scores = model.score_many(matrix)
    off = np.flatnonzero((raw != columns["_raw"]) | ~(np.abs(scores - columns["_score"]) <= SCORE_TOLERANCE))
    if len(off):
        first = int(off[0])
        raise BundleError(
            f"{folder}: {len(off)} of {len(raw)} reference rows score otherwise here; row {first}: raw {raw[first]!r}, "
            f"stated {columns['_raw'][first]!r}"
        )
    _check_contributions(folder, model, matrix, scores)


def _check_contributions(folder: Path, model: Model, matrix: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
    """Contributions make the scores of the reference rows; the compiled step is warm after it."""
    if model.explainer is None:
        return
    try:
        for row, score in zip(matrix, scores.tolist(), strict=True):
            model.explainer.log_odds(row, score)
    except ExplanationError as error:
        raise BundleError(f"{folder / CONTRIBUTIONS_FILE} is of another model: {error}") from error
