"""Contributions are exact: LightGBM's own are the reference, and Shapley's definition is that of both."""

import itertools
import math
import re
from fractions import Fraction

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BundleError
from features.tree_contributions import NODE, Contributions
from tests.training.test_export import grown
from training.contributions import contributions_of, count_differences
from training.export import INPUT, RAW, Platt, to_onnx
from training.parity import samples, session

IDENTITY = Platt(1, 0)
QUIET = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5}


def chain(length: int) -> tuple[lgb.Booster, np.ndarray]:
    """One tree whose longest path asks `length` different features: the target is how many columns in a row are one."""
    random = np.random.default_rng(7)
    matrix = (random.random((20_000, length)) < 0.9).astype(float)
    target = np.cumprod(matrix, axis=1).sum(axis=1) ** 2
    settings = {"objective": "regression", "num_leaves": length + 1, "learning_rate": 1.0, **QUIET}
    return lgb.train(settings, lgb.Dataset(matrix, target, params={"verbosity": -1}), 1), matrix


def stump() -> lgb.Booster:
    dataset = lgb.Dataset(np.ones((200, 1)), [0, 1, 1, 1] * 50, params={"verbosity": -1})
    return lgb.train({"objective": "binary", **QUIET}, dataset, 2)


def shapley(contributions: Contributions, x: np.ndarray) -> np.ndarray:
    """By definition: over all orders in which features become known, the mean of what each changes when it does."""
    everybody = range(len(x))
    worth = {known: expectation(contributions, x, known) for r in range(len(x) + 1) for known in itertools.combinations(everybody, r)}  # fmt: skip
    values = np.zeros(len(x))
    for order in itertools.permutations(everybody):
        for place, feature in enumerate(order):
            before, after = tuple(sorted(order[:place])), tuple(sorted(order[: place + 1]))
            values[feature] += worth[after] - worth[before]
    return values / math.factorial(len(x))


def expectation(contributions: Contributions, x: np.ndarray, known: tuple[int, ...]) -> float:
    """The mean of all trees where known features go their way and the others go both, by shares of the training rows."""
    nodes, total = contributions.nodes, 0.0
    starts = [*np.flatnonzero(nodes["parent"] < 0), len(nodes)]
    for first, last in itertools.pairwise(starts):
        reach = {0: 1.0}
        for place, node in enumerate(nodes[first + 1 : last], 1):
            value, enters = x[node["feature"]], int(node["enters"])
            way = bool(enters & 2) if math.isnan(value) else (value <= node["split"]) == bool(enters & 1)
            share = float(way) if node["feature"] in known else node["cover"] / nodes[first + node["above"]]["cover"]
            reach[place] = reach[int(node["parent"])] * share
            total += reach[place] * node["value"]
    return total


def exact(contributions: Contributions, x: np.ndarray) -> np.ndarray:
    """The integral of the module's description in fractions, leaf by leaf."""
    nodes, values = contributions.nodes, [Fraction(0)] * len(x)
    starts = [*np.flatnonzero(nodes["parent"] < 0), len(nodes)]
    for first, last in itertools.pairwise(starts):
        tree = nodes[first:last]
        for leaf in sorted(set(range(1, len(tree))) - set(tree["parent"].tolist())):
            path = path_of(tree, leaf, x)
            for feature, (cover, passed) in path.items():
                others = [part for other, part in path.items() if other != feature]
                values[feature] += Fraction(float(tree[leaf]["value"])) * (passed - cover) * integral(others)
    return np.array([float(value) for value in values])


def path_of(tree: np.ndarray, leaf: int, x: np.ndarray) -> dict[int, tuple[Fraction, int]]:
    """Feature -> (share of the training rows that its splits let through, whether x passes all of them)."""
    path: dict[int, tuple[Fraction, int]] = {}
    place = leaf
    while place > 0:
        node, feature = tree[place], int(tree[place]["feature"])
        cover, passed = path.get(feature, (Fraction(float(node["cover"])), 1))
        path[feature] = (cover, passed and int((x[feature] <= node["split"]) == bool(int(node["enters"]) & 1)))
        place = int(node["parent"])
    return path


def integral(parts: list[tuple[Fraction, int]]) -> Fraction:
    """Of the product of cover + (passed - cover) t over t in [0, 1]."""
    powers = [Fraction(1)]
    for cover, passed in parts:
        raised = [Fraction(0), *(power * (passed - cover) for power in powers)]
        powers = [a + power * cover for a, power in itertools.zip_longest(raised, powers, fillvalue=Fraction(0))]
    return sum((power / (n + 1) for n, power in enumerate(powers)), Fraction(0))


def off(booster: lgb.Booster, rows: np.ndarray) -> float:
    """The largest difference from LightGBM's contributions, as a share of the sum of a row's without their signs."""
    contributions, theirs = contributions_of(booster, IDENTITY), np.asarray(booster.predict(rows, pred_contrib=True))
    ours = np.column_stack([contributions.of_many(rows), np.full(len(rows), contributions.expected)])
    return float((np.abs(ours - theirs) / np.abs(theirs).sum(axis=1, keepdims=True)).max())


def test_contributions_are_lightgbms_on_random_on_threshold_and_not_finite_rows() -> None:
    booster, matrix = grown(trees=80)
    assert max(off(booster, rows) for _, rows in samples(booster, matrix, 200, np.random.default_rng(11))) < 1e-12
    found = count_differences(booster, contributions_of(booster, IDENTITY), matrix, 200, seed=11)
    assert found == {"contributions": 0, "contributions_rows": 600}


@given(
    seed=st.integers(0, 10_000), columns=st.integers(1, 6), leaves=st.integers(2, 60), trees=st.integers(1, 8),
    rate=st.sampled_from([0.05, 1.0]),
)  # fmt: skip
def test_contributions_are_lightgbms_for_models_of_every_shape(
    seed: int, columns: int, leaves: int, trees: int, rate: float
) -> None:
    """Few columns and many leaves: the same feature is asked several times on a path."""
    booster, matrix = grown(columns, 600, trees, seed, num_leaves=leaves, learning_rate=rate)
    assert max(off(booster, rows) for _, rows in samples(booster, matrix, 20, np.random.default_rng(seed))) < 1e-9


def test_contributions_are_shapley_values_by_definition() -> None:
    booster, matrix = grown(columns=5, rows=1_000, trees=3, num_leaves=12)
    contributions = contributions_of(booster, IDENTITY)
    for _, rows in samples(booster, matrix, 5, np.random.default_rng(3)):
        for row in rows:
            np.testing.assert_allclose(contributions.of(row), shapley(contributions, row), rtol=0, atol=1e-12)


@pytest.mark.parametrize("length", [15, 16, 17, 33])
def test_paths_of_any_length_are_exact(length: int) -> None:
    """Against fractions: LightGBM's own are off by 1e-6 with 40 different features on a path."""
    booster, matrix = chain(length)
    contributions = contributions_of(booster, IDENTITY)
    assert contributions.nodes["asked"].max() == length
    np.testing.assert_allclose(contributions.of(matrix[5]), exact(contributions, matrix[5]), rtol=0, atol=1e-11)


def test_contributions_and_the_expected_value_make_the_raw_score_that_is_served() -> None:
    booster, matrix = grown(trees=80)
    contributions = contributions_of(booster, IDENTITY)
    for _, rows in samples(booster, matrix, 200, np.random.default_rng(4)):
        raw = session(to_onnx(booster, IDENTITY)).run([RAW], {INPUT: rows})[0][:, 0]
        np.testing.assert_allclose(contributions.of_many(rows).sum(axis=1) + contributions.expected, raw, rtol=0, atol=1e-12)


def test_trees_of_one_leaf_add_to_nobody() -> None:
    contributions = contributions_of(stump(), IDENTITY)
    assert contributions.of(np.array([1.0])).tolist() == [0.0]
    assert contributions.expected == pytest.approx(stump().predict([[1.0]], raw_score=True)[0])


def test_only_the_trees_up_to_the_best_iteration_count() -> None:
    booster, matrix = grown(trees=30)
    booster.best_iteration = 7
    assert len(np.flatnonzero(contributions_of(booster, IDENTITY).nodes["parent"] < 0)) == 7
    count_differences(booster, contributions_of(booster, IDENTITY), matrix, 20, seed=1)


def test_the_same_vector_gets_the_same_bits_alone_among_many_and_after_a_file() -> None:
    booster, matrix = grown(trees=20)
    contributions = contributions_of(booster, Platt(0.7, -1.5))
    content = contributions.encode()
    read = Contributions.decode(content)
    assert content == contributions_of(booster, Platt(0.7, -1.5)).encode()
    assert (read.slope, read.intercept, read.expected) == (0.7, -1.5, contributions.expected)
    together = contributions.of_many(matrix[:50])
    assert all(read.of(row).tobytes() == added.tobytes() for row, added in zip(matrix[:50], together, strict=True))


def test_memory_of_the_compiled_step_is_its_own_until_the_end() -> None:
    """So much of it for a wide vector that it goes back to the system the moment it is freed: SIGSEGV where that is too early."""
    booster, matrix = grown(trees=5)
    contributions = contributions_of(booster, IDENTITY)
    wide = np.zeros((1, 20_000))
    wide[0, : matrix.shape[1]] = matrix[0]
    added = contributions.of(wide[0])
    np.testing.assert_array_equal(added[: matrix.shape[1]], contributions.of(matrix[0]))
    assert not added[matrix.shape[1] :].any()


def test_contributions_of_another_booster_are_found_out() -> None:
    (booster, matrix), (other, _) = grown(seed=5, trees=5), grown(seed=6, trees=5)
    with pytest.raises(BundleError, match=r"contributions of \d+ of 60 rows are not LightGBM's"):
        count_differences(booster, contributions_of(other, IDENTITY), matrix, 20, seed=1)


def test_a_leaf_that_no_training_row_reached_is_refused() -> None:
    booster, _ = grown(columns=1, trees=1, num_leaves=4)
    text = booster.model_to_string()
    counts = re.search(r"^leaf_count=(\d+)", text, re.MULTILINE)
    assert counts is not None
    edited = lgb.Booster(model_str=text.replace(counts[0], "leaf_count=0", 1))
    with pytest.raises(BundleError, match="no training row one way"):
        contributions_of(edited, IDENTITY)


def test_a_vector_without_a_column_that_the_trees_ask_is_refused() -> None:
    booster, matrix = grown(trees=20)
    contributions = contributions_of(booster, IDENTITY)
    with pytest.raises(ValueError, match=f"vectors of {contributions.columns - 1} features, the trees ask"):
        contributions.of_many(matrix[:2, : contributions.columns - 1])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parent", 9),
        ("above", 9),
        ("above", -1),
        ("feature", -1),
        ("asked", 0),
        ("feature", 77),
        ("split", 1e9),
        ("enters", 0),
        ("enters", 2),
    ],
    ids=str,
)
def test_nodes_that_the_compiled_step_could_not_follow_are_refused(field: str, value: int) -> None:
    booster, _ = grown(trees=2, num_leaves=4)
    contributions = contributions_of(booster, IDENTITY)
    contributions.nodes[field][2] = value
    with pytest.raises(BundleError, match="do not make trees"):
        Contributions.decode(contributions.encode())


@pytest.mark.parametrize("content", [b"", b"PK no zip", b"\x93NUMPY"], ids=["nothing", "no zip", "no header"])
def test_what_is_no_file_of_contributions_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="not the contributions of trees"):
        Contributions.decode(content)


def test_nodes_of_another_layout_are_refused() -> None:
    other = Contributions(np.zeros(3, np.dtype([("split", "<f8")])), 0.0, 1.0, 0.0)
    with pytest.raises(BundleError, match="do not make trees"):
        Contributions.decode(other.encode())
    assert Contributions.decode(Contributions(np.zeros(0, NODE), 0.5, 1.0, 0.0).encode()).expected == 0.5
