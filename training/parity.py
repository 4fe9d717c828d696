"""Parity is the law: the served graph gives the booster's raw scores, bit for bit, also where values lie on thresholds."""

from collections.abc import Iterator
from typing import Any

import lightgbm as lgb
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto

from domain.errors import BundleError
from training.export import INPUT, RAW, threshold_of

Matrix = NDArray[np.float64]


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
    served = session(model)
    differing = {}
    for kind, sample in samples(booster, matrix, rows, np.random.default_rng(seed)):
        ours = served.run([RAW], {INPUT: sample})[0][:, 0]
        theirs = np.asarray(booster.predict(sample, raw_score=True))
        differing[kind] = int(np.sum(ours.view(np.int64) != theirs.view(np.int64)))
        differing[f"{kind}_rows"] = len(sample)
    if any(count for kind, count in differing.items() if not kind.endswith("_rows")):
        raise BundleError(f"the ONNX graph and LightGBM differ: {differing}; the model is not exported")
    return differing


def samples(booster: lgb.Booster, matrix: Matrix, rows: int, random: np.random.Generator) -> Iterator[tuple[str, Matrix]]:
    """Rows that differ where a model could: drawn by column, on thresholds and one ulp aside, missing and infinite."""
    yield "random", _random_rows(matrix, rows, random)
    yield "on_thresholds", _threshold_rows(booster, matrix, rows, random)
    strange = _random_rows(matrix, rows, random)
    spots = random.random(strange.shape) < 0.5
    strange[spots] = random.choice([np.nan, np.inf, -np.inf, -0.0, 1e308, -1e308, 5e-324], spots.sum())
    yield "not_finite", strange


def _random_rows(matrix: Matrix, rows: int, random: np.random.Generator) -> Matrix:
    """Every value from its own column, columns drawn independently, some scaled."""
    drawn = np.empty((rows, matrix.shape[1]))
    for column in range(matrix.shape[1]):
        drawn[:, column] = matrix[random.integers(0, len(matrix), rows), column]
    return drawn * random.choice([1.0, 1.0, random.normal()], drawn.shape)


def _threshold_rows(booster: lgb.Booster, matrix: Matrix, rows: int, random: np.random.Generator) -> Matrix:
    """Random rows in which every value of a split column is a threshold, or one ulp to either side."""
    drawn = _random_rows(matrix, rows, random)
    for column, thresholds in thresholds_of(booster).items():
        values = random.choice(thresholds, rows)
        side = random.integers(0, 3, rows)
        drawn[:, column] = np.choose(side, [values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)])
    return drawn


def thresholds_of(booster: lgb.Booster) -> dict[int, NDArray[np.float64]]:
    """Every split value of every column that the booster splits on."""
    found: dict[int, list[float]] = {}
    pending: list[dict[str, Any]] = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    while pending:
        node = pending.pop()
        if "split_index" in node:
            found.setdefault(node["split_feature"], []).append(threshold_of(node))
            pending += [node["left_child"], node["right_child"]]
    return {column: np.array(values) for column, values in sorted(found.items())}
