"""Parity is the law: the served graph gives the booster's raw scores, bit for bit, also where values lie on thresholds."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lightgbm as lgb
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto

from domain.errors import BundleError
from training.boosting import THREADS
from training.export import INPUT, RAW, threshold_of

Matrix = NDArray[np.float64]
Thresholds = dict[int, NDArray[np.float64]]
"""Split values by column."""
PIECE = 2_500
"""Rows that are drawn and scored at once, each piece on a thread; 4 MB of 195 features."""


def session(model: ModelProto | bytes) -> ort.InferenceSession:
    """An ONNX session on one thread, as the endpoint runs it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def count_differences(
    booster: lgb.Booster, model: ModelProto | bytes, matrix: Matrix, rows: int, seed: int
) -> dict[str, int]:
    """Rows whose raw scores differ in any bit, per kind of row: `random`, `on_thresholds`, `not_finite`.

    matrix: real vectors, from whose columns random rows are drawn; rows: how many of each kind. BundleError if any differs.
    """
    served, thresholds = session(model), thresholds_of(booster)
    pieces = [(kind, min(PIECE, rows - first)) for kind in KINDS for first in range(0, rows, PIECE)]

    def count(piece: tuple[str, int], random: np.random.Generator) -> int:
        sample = KINDS[piece[0]](matrix, thresholds, piece[1], random)
        ours = served.run([RAW], {INPUT: sample})[0][:, 0]
        theirs = np.asarray(booster.predict(sample, raw_score=True, num_threads=1))
        return int(np.sum(ours.view(np.int64) != theirs.view(np.int64)))

    with ThreadPoolExecutor(THREADS) as threads:
        counts = list(threads.map(count, pieces, np.random.default_rng(seed).spawn(len(pieces))))
    differing = {}
    for kind in KINDS:
        differing[kind] = sum(found for (of, _), found in zip(pieces, counts, strict=True) if of == kind)
        differing[f"{kind}_rows"] = rows
    if any(counts):
        raise BundleError(f"the ONNX graph and LightGBM differ: {differing}; the model is not exported")
    return differing


def samples(booster: lgb.Booster, matrix: Matrix, rows: int, random: np.random.Generator) -> Iterator[tuple[str, Matrix]]:
    """Rows of every kind that differ where a model could, and the kind's name."""
    thresholds = thresholds_of(booster)
    for kind, drawn in KINDS.items():
        yield kind, drawn(matrix, thresholds, rows, random)


def _random_rows(matrix: Matrix, _: Thresholds, rows: int, random: np.random.Generator) -> Matrix:
    """Every value from its own column, columns drawn independently, some scaled.

    They are drawn from as many rows, which are drawn first: from all rows at once nearly every value is a read from memory, and
    2,500 rows of 195 features take 12 ms in place of 6.
    """
    columns = np.ascontiguousarray(matrix[random.integers(0, len(matrix), rows)].T)
    for column in columns:
        column[:] = column[random.integers(0, rows, rows)]
    columns *= np.array([1, 1, random.normal()])[random.integers(0, 3, columns.shape, np.uint8)]
    return np.ascontiguousarray(columns.T)


def _threshold_rows(matrix: Matrix, thresholds: Thresholds, rows: int, random: np.random.Generator) -> Matrix:
    """Random rows in which every value of a split column is a threshold, or one ulp to either side."""
    drawn = _random_rows(matrix, thresholds, rows, random)
    for column, splits in thresholds.items():
        sides = np.concatenate([splits, np.nextafter(splits, np.inf), np.nextafter(splits, -np.inf)])
        drawn[:, column] = sides[random.integers(0, len(sides), rows)]
    return drawn


def _strange_rows(matrix: Matrix, thresholds: Thresholds, rows: int, random: np.random.Generator) -> Matrix:
    """Random rows in which half of the values are missing, infinite, or as large and as small as doubles are."""
    drawn = _random_rows(matrix, thresholds, rows, random)
    strange = np.array([np.nan, np.inf, -np.inf, -0.0, 1e308, -1e308, 5e-324])
    values = strange[random.integers(0, len(strange), drawn.shape, np.uint8)]
    return np.where(random.integers(0, 2, drawn.shape, np.bool_), values, drawn)


KINDS = {"random": _random_rows, "on_thresholds": _threshold_rows, "not_finite": _strange_rows}
"""Rows that differ where a model could."""


def thresholds_of(booster: lgb.Booster) -> Thresholds:
    """Every split value of every column that the booster splits on."""
    found: dict[int, list[float]] = {}
    pending: list[dict[str, Any]] = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    while pending:
        node = pending.pop()
        if "split_index" in node:
            found.setdefault(node["split_feature"], []).append(threshold_of(node))
            pending += [node["left_child"], node["right_child"]]
    return {column: np.array(values) for column, values in sorted(found.items())}
