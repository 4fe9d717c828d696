"""A model: a bundle that is checked when it is loaded, and scores a vector alone or those that come together by one call."""

import logging
from pathlib import Path
from typing import NamedTuple

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

from domain.bundle import CONTRIBUTIONS_FILE, MODEL_FILE, ROWS_FILE, STABILITY_FILE, Manifest, manifest_of, stated
from domain.errors import BundleError, ExplanationError
from features.bins import SCORE, Reference
from features.feature_set import FeatureSet, fitting
from features.plan import Plan
from features.profiles import PROFILE_NAMES
from features.tree_contributions import Contributions
from serving.contributions import Explainer

log = logging.getLogger("burana")
SCORE_TOLERANCE = 1e-12
"""Raw scores must be equal to the bit; the calibrated score passes one exponential, whose last bit depends on the processor."""

MOST_TOGETHER = 64
"""Vectors that are scored together; as many reference rows are scored alone and together when a bundle is loaded."""
EXPLAINED = 8
"""One reference row of so many is explained at a load: each takes milliseconds, and another model's parts make none of their scores."""

MODEL_FAILURES = (Fail, InvalidArgument, RuntimeException, MemoryError, RuntimeError, ValueError)
"""What a session may raise for a vector; any of them leads to verification."""
UNREADABLE = (*MODEL_FAILURES, InvalidGraph, InvalidProtobuf, NotImplemented, LookupError, TypeError)
"""What a graph or reference rows may raise when they are loaded."""


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
        self._input, self._score = np.empty((1, len(manifest.features))), np.empty((1, 1))
        self._call = self._session.io_binding()  # one input and one output for all calls: 1.5 us less than handing them over
        self._call.bind_ortvalue_input("features", ort.OrtValue.ortvalue_from_numpy(self._input))
        self._call.bind_ortvalue_output("score", ort.OrtValue.ortvalue_from_numpy(self._score))
        self._batch = Batch(self)
        self.is_same_together = "lanes" in self._session.get_modelmeta().custom_metadata_map
        """Whether a score has the same bits alone and beside others, as a decision that is made again must have: told by the export."""

    def score(self, vector: NDArray[np.float64]) -> float:
        """The probability of fraud, 0 to 1, of one vector (features,)."""
        self._input[0] = vector
        self._session.run_with_iobinding(self._call)
        return float(self._score[0, 0])

    def later(self, vector: NDArray[np.float64]) -> "Later":
        """A vector (features,) whose probability is asked for once all that come with it are here: the first to be asked for scores all."""
        is_full = len(self._batch.vectors) == MOST_TOGETHER  # of vectors that nobody asked for in time
        if self._batch.scores is not None or is_full or not self.is_same_together:
            self._batch = Batch(self)
        self._batch.vectors.append(vector)
        return Later(self._batch, len(self._batch.vectors) - 1)

    def score_many(self, matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(raw scores, probabilities), each (n,), of a matrix (n, features)."""
        raw, scores = self._session.run(["raw", "score"], {"features": matrix})
        return raw[:, 0], scores[:, 0]


class Batch:
    """Vectors that are scored together, when the first of them is asked for."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.vectors: list[NDArray[np.float64]] = []
        self.scores: list[float] | None = None

    def score(self, place: int) -> float:
        """The probability of one of them. Raises what a session may raise for that very vector."""
        if self.scores is None:
            self.scores = self._together()
        return self.scores[place] if self.scores else self._model.score(self.vectors[place])

    def _together(self) -> list[float]:
        """Nothing where there is one alone, or a session takes not all of them: each is then scored by itself."""
        if len(self.vectors) == 1:
            return []
        try:
            scores: list[float] = self._model.score_many(np.array(self.vectors))[1].tolist()
        except MODEL_FAILURES:
            return []
        return scores


class Later(NamedTuple):
    """A vector in a batch."""

    batch: Batch
    place: int

    def score(self) -> float:
        """Its probability of fraud, 0 to 1."""
        return self.batch.score(self.place)


def load(folder: Path, plan: Plan) -> Model:
    """Load and check a bundle against what runs; BundleError names the difference."""
    manifest = manifest_of(folder)
    content = stated(folder / MODEL_FILE, manifest.model_sha256)
    stated(folder / ROWS_FILE, manifest.rows_sha256)
    fitting(folder, manifest, plan)
    stability, explainer = stability_of(folder, manifest), explainer_of(folder, manifest, plan)
    try:
        model = Model(manifest, content, stability, explainer)
        _check_reference_rows(folder, model)
        model.score(np.full(len(manifest.features), np.nan))  # the first run of a session makes its plan of memory
    except UNREADABLE as error:
        raise BundleError(f"{folder}: the model or its reference rows cannot be read: {error}") from error
    return model


def stability_of(folder: Path, manifest: Manifest) -> Reference | None:
    """What drift is measured against; None for a bundle of a release that kept nothing to measure it."""
    if not manifest.stability_sha256:
        return None
    reference = Reference.decode(stated(folder / STABILITY_FILE, manifest.stability_sha256))
    if reference.names != (*manifest.features, SCORE):
        raise BundleError(f"{folder / STABILITY_FILE} is of other features than the model, or in another order")
    reference.count(np.empty((0, len(manifest.features))), np.empty(0))  # the compiled step is warm after it
    return reference


def explainer_of(folder: Path, manifest: Manifest, plan: Plan) -> Explainer | None:
    """Says what a score is made of; None for a bundle of a release that kept nothing to say it."""
    if not manifest.contributions_sha256:
        return None
    contributions = Contributions.decode(stated(folder / CONTRIBUTIONS_FILE, manifest.contributions_sha256))
    if contributions.columns > len(manifest.features):
        raise BundleError(
            f"{folder / CONTRIBUTIONS_FILE} is of {contributions.columns} features or more, the model of fewer"
        )
    return Explainer(contributions, manifest.features, FeatureSet(plan).entries)


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
    if not model.is_same_together:
        log.info("%s: a bundle of an earlier release, scored one vector after another; exported anew it is faster", folder)
    elif not _is_same_together(model, matrix[:MOST_TOGETHER]):
        model.is_same_together = False
        log.warning("%s: scores have other bits beside others than alone here, so each is made alone", folder)


def _is_same_together(model: Model, matrix: NDArray[np.float64]) -> bool:
    """Whether rows have the same bits alone and in batches of every size up to that of the matrix."""
    alone = [model.score(row) for row in matrix]
    sizes = range(2, len(matrix) + 1)
    return all(model.score_many(matrix[:size])[1].tolist() == alone[:size] for size in sizes)


def _check_contributions(folder: Path, model: Model, matrix: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
    """Contributions make the scores of the reference rows; the compiled step is warm after it."""
    if model.explainer is None:
        return
    try:
        for row, score in zip(matrix[::EXPLAINED], scores[::EXPLAINED].tolist(), strict=True):
            model.explainer.log_odds(row, score)
    except ExplanationError as error:
        raise BundleError(f"{folder / CONTRIBUTIONS_FILE} is of another model: {error}") from error
