"""Parity is the law: LightGBM is the reference, the served graph must give its bits."""

import re

import lightgbm as lgb
import numpy as np
import pytest
from onnx import ModelProto, helper

from domain.errors import BundleError
from training.export import INPUT, RAW, READ, SCORE, Platt, to_onnx
from training.parity import count_differences, session, thresholds_of

ROWS = 100_000


def grown(
    columns: int = 12, rows: int = 4_000, trees: int = 60, seed: int = 5, **parameters: object
) -> tuple[lgb.Booster, np.ndarray]:
    """A booster on columns with missing values, zeros, ties and wide ranges; the matrix it was trained on."""
    random = np.random.default_rng(seed)
    matrix = np.round(random.lognormal(3, 3, (rows, columns)), 2)
    matrix[random.random(matrix.shape) < 0.2] = 0
    matrix[:, ::2][random.random(matrix[:, ::2].shape) < 0.3] = np.nan
    labels = (np.nan_to_num(matrix).max(axis=1) > random.lognormal(4 + columns / 4, 1, rows)).astype(int)
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True,
                "min_data_in_leaf": 5, **parameters}  # fmt: skip
    return lgb.train(settings, lgb.Dataset(matrix, labels, params={"verbosity": -1}), trees), matrix


def raw_of(booster: lgb.Booster, matrix: np.ndarray) -> np.ndarray:
    return session(to_onnx(booster, Platt(1, 0))).run([RAW], {INPUT: matrix})[0][:, 0]


def test_raw_scores_are_bit_equal_on_random_on_threshold_and_not_finite_rows() -> None:
    booster, matrix = grown()
    found = count_differences(booster, to_onnx(booster, Platt(1, 0)), matrix, ROWS, seed=11)
    assert found == {
        "random": 0, "random_rows": ROWS, "on_thresholds": 0, "on_thresholds_rows": ROWS, "not_finite": 0, "not_finite_rows": ROWS,
    }  # fmt: skip


def test_one_ulp_decides_the_side_of_a_split() -> None:
    """The rows of the test above do test something: next to a threshold the score does change."""
    booster, _ = grown(columns=1, trees=1)
    threshold = next(iter(thresholds_of(booster).values()))
    finite = threshold[np.isfinite(threshold)][:1]
    at, above = (
        booster.predict(finite[:, None], raw_score=True),
        booster.predict(np.nextafter(finite, np.inf)[:, None], raw_score=True),
    )
    assert at[0] != above[0]
    assert raw_of(booster, np.array([[finite[0]], [np.nextafter(finite[0], np.inf)]])).tolist() == [at[0], above[0]]


def test_a_split_that_parts_missing_from_all_else_keeps_its_infinite_threshold() -> None:
    random = np.random.default_rng(1)
    matrix = np.where(random.random((2_000, 1)) < 0.5, np.nan, 1.0)
    labels = np.isnan(matrix[:, 0]).astype(int)
    booster = lgb.train({"objective": "binary", "verbosity": -1}, lgb.Dataset(matrix, labels, params={"verbosity": -1}), 3)
    rows = np.array([[np.nan], [1.0], [1e300], [1.1e300], [np.inf], [-np.inf]])
    assert raw_of(booster, rows).tolist() == booster.predict(rows, raw_score=True).tolist()


def test_a_missing_value_where_training_saw_none_counts_as_zero() -> None:
    random = np.random.default_rng(2)
    matrix = random.normal(size=(2_000, 2))
    booster = lgb.train(
        {"objective": "binary", "verbosity": -1},
        lgb.Dataset(matrix, (matrix[:, 0] > 0.1).astype(int), params={"verbosity": -1}),
        5,
    )
    assert raw_of(booster, np.array([[np.nan, 0.0]])) == raw_of(booster, np.array([[0.0, 0.0]]))
    assert (
        raw_of(booster, np.array([[np.nan, np.nan]])).tolist()
        == booster.predict([[np.nan, np.nan]], raw_score=True).tolist()
    )


def test_values_next_to_zero_go_where_the_booster_sends_zero() -> None:
    """Its predictor reads |x| <= 1e-35 as 0.0; splits within that band are made by values as small."""
    random = np.random.default_rng(8)
    tiny = np.array([-3e-35, -1e-35, -4e-36, 0.0, 4e-36, 1e-35, 3e-35])
    matrix = random.choice(tiny, (3_000, 2))
    labels = (matrix[:, 0] + matrix[:, 1] > 0).astype(int)
    settings = {"objective": "binary", "verbosity": -1, "min_data_in_leaf": 5}
    booster = lgb.train(settings, lgb.Dataset(matrix, labels, params={"verbosity": -1}), 20)
    edges = np.concatenate([tiny, *thresholds_of(booster).values()])
    values = np.unique(np.concatenate([edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)]))
    rows = np.stack([random.choice(values, 20_000), random.choice(values, 20_000)], axis=1)
    assert raw_of(booster, rows).tobytes() == np.asarray(booster.predict(rows, raw_score=True)).tobytes()


@pytest.mark.parametrize("threshold", [-2e-35, -1e-35, -5e-324, 0.0, 5e-324, 1e-36, 1e-35, 2e-35])
def test_a_split_anywhere_next_to_zero_routes_as_zero_does(threshold: float) -> None:
    """A booster's text with the threshold put into it: what training seldom makes is still served exactly."""
    booster, _ = grown(columns=1, trees=1)
    text = booster.model_to_string()
    line = re.search(r"^threshold=(\S+)", text, re.MULTILINE)
    assert line is not None
    edited = lgb.Booster(model_str=text.replace(line[0], f"threshold={threshold!r}", 1))
    near = [threshold, -1e-35, 1e-35, float(np.float32(1e-35)), -float(np.float32(1e-35)), 0.0, 5e-324, 2e-35, -2e-35]
    values = np.unique(np.concatenate([near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf)]))[:, None]
    assert raw_of(edited, values).tobytes() == np.asarray(edited.predict(values, raw_score=True)).tobytes()


def true_steps(model: ModelProto, matrix: np.ndarray) -> float:
    """The share of all steps of rows through trees that go to the true side, which lies elsewhere in memory."""
    width = matrix.shape[1]
    ensemble = next(node for node in model.graph.node if READ in node.input)
    parts = {part.name: helper.get_attribute_value(part) for part in ensemble.attribute}
    splits = np.frombuffer(parts["nodes_splits"].raw_data or np.array(parts["nodes_splits"].double_data).tobytes())
    steps = []
    for row in matrix:
        filled = np.where(np.isnan(row), -np.inf, row)
        values = np.concatenate([row, filled, -row, np.where(np.isnan(row), -np.inf, -row)])
        assert len(values) == 4 * width
        for place in parts["tree_roots"]:
            ends = 0
            while not ends:
                steps.append(bool(values[parts["nodes_featureids"][place]] <= splits[place]))
                side = "true" if steps[-1] else "false"
                place, ends = parts[f"nodes_{side}nodeids"][place], parts[f"nodes_{side}leafs"][place]
    return float(np.mean(steps))


def test_most_steps_of_training_rows_go_to_the_side_that_lies_next() -> None:
    booster, matrix = grown(trees=20)
    assert true_steps(to_onnx(booster, Platt(1, 0)), matrix[:200]) < 0.15


def test_a_tree_of_one_leaf_is_exported() -> None:
    matrix = np.ones((200, 1))
    booster = lgb.train(
        {"objective": "binary", "verbosity": -1}, lgb.Dataset(matrix, [0, 1] * 100, params={"verbosity": -1}), 2
    )
    assert raw_of(booster, matrix[:3]).tolist() == booster.predict(matrix[:3], raw_score=True).tolist()


def test_the_calibrator_in_the_graph_is_platts() -> None:
    booster, matrix = grown(trees=10)
    raw, score = session(to_onnx(booster, Platt(0.7, -1.5))).run([RAW, SCORE], {INPUT: matrix})
    assert np.allclose(score, 1 / (1 + np.exp(-(0.7 * raw - 1.5))), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({"zero_as_missing": True}, "zero_as_missing=False"), ({"linear_tree": True}, "linear_tree=False")],
    ids=["zeros as missing", "linear trees"],
)
def test_what_has_no_exact_form_is_refused(parameters: dict[str, object], said: str) -> None:
    booster, _ = grown(trees=3, **parameters)
    with pytest.raises(BundleError, match=said):
        to_onnx(booster, Platt(1, 0))


def test_a_categorical_split_is_refused() -> None:
    random = np.random.default_rng(4)
    matrix = random.integers(0, 8, (3_000, 1)).astype(float)
    dataset = lgb.Dataset(matrix, (matrix[:, 0] % 2).astype(int), categorical_feature=[0], params={"verbosity": -1})
    booster = lgb.train(
        {"objective": "binary", "verbosity": -1, "min_data_per_group": 5, "max_cat_to_onehot": 1}, dataset, 3
    )
    with pytest.raises(BundleError, match="categorical"):
        to_onnx(booster, Platt(1, 0))
