"""Permutation finds what a model lives on, and only that."""

import numpy as np
import pytest

from training import feature_value
from training.feature_value import MOST_GENUINE, sample, strongest, worth

NAMES = ("decides", "helps", "noise", "unread")


def score(matrix: np.ndarray) -> np.ndarray:
    """A model that reads the first two columns: what the first does not decide, the second does a little."""
    return 1 / (1 + np.exp(-(3 * matrix[:, 0] + matrix[:, 1] - 5)))


@pytest.fixture(scope="module")
def rows() -> feature_value.Rows:
    random = np.random.default_rng(4)
    matrix = random.normal(size=(6_000, len(NAMES)))
    labels = (random.random(len(matrix)) < score(matrix)).astype(np.int8)
    return sample(matrix, labels, seed=1)


def test_what_decides_is_worth_more_than_what_helps_and_what_is_not_read_is_worth_nothing(rows):
    found = worth(score, rows, {name: [column] for column, name in enumerate(NAMES)}, seed=1)
    assert [one.name for one in found[:2]] == ["decides", "helps"]
    assert found[0].lost.min() > found[1].lost.max() > 0
    assert {one.name: one.lost.tolist() for one in found[2:]} == dict.fromkeys(
        ("noise", "unread"), [0.0] * feature_value.REPEATS
    )


def test_features_that_stand_in_for_each_other_are_worth_much_together_and_little_alone(rows):
    twins = np.column_stack([rows.matrix[:, 0], rows.matrix[:, 0]])
    groups = {"first": [0], "second": [1], "both": [0, 1]}
    found = {
        one.name: one
        for one in worth(
            lambda matrix: np.max(matrix, axis=1), feature_value.Rows(twins, rows.labels, rows.weights), groups, seed=1
        )
    }
    assert found["both"].mean > 2 * max(found["first"].mean, found["second"].mean)
    assert found["both"].features == 2


def test_values_of_a_group_stay_together(rows):
    difference = np.column_stack([rows.matrix[:, 0], rows.matrix[:, 0]])
    (found,) = worth(
        lambda matrix: matrix[:, 0] - matrix[:, 1],
        feature_value.Rows(difference, rows.labels, rows.weights),
        {"both": [0, 1]},
        1,
    )
    assert not found.lost.any()


def test_the_same_seed_finds_the_same(rows):
    first, second = (worth(score, rows, {"decides": [0]}, seed=9)[0].lost for _ in range(2))
    assert first.tolist() == second.tolist()


def test_the_strongest_are_found_among_those_that_are_read(rows):
    assert [one.name for one in strongest(score, rows, NAMES, [0, 1, 2], 2, seed=1)] == ["decides", "helps"]
    assert "decides" not in {one.name for one in strongest(score, rows, NAMES, [1, 2], 2, seed=1)}


def test_all_frauds_are_kept_and_the_genuine_drawn_stand_for_all():
    labels = np.zeros(3 * MOST_GENUINE, np.int8)
    labels[::1000] = 1
    rows = sample(np.arange(len(labels), dtype=np.float64)[:, None], labels, seed=1)
    assert rows.labels.sum() == labels.sum() == rows.weights[rows.labels == 1].sum()
    assert np.count_nonzero(rows.labels == 0) == MOST_GENUINE
    assert rows.weights.sum() == pytest.approx(len(labels))
    assert np.array_equal(rows.labels, labels[rows.matrix[:, 0].astype(int)])


def test_a_sample_says_what_all_operations_say():
    random = np.random.default_rng(2)
    labels = (np.arange(20 * MOST_GENUINE) % 100 == 0).astype(np.int8)
    matrix = random.normal(size=(len(labels), 2)) + 3 * labels[:, None]
    everybody = feature_value.Rows(matrix, labels, np.ones(len(labels)))
    of_all, of_sample = (
        worth(lambda some: some.sum(axis=1), rows, {"first": [0]}, seed=1)[0].mean
        for rows in (everybody, sample(matrix, labels, seed=1))
    )
    assert of_sample == pytest.approx(of_all, abs=0.05)


def test_the_plot_has_a_bar_for_each_and_the_strongest_on_top(rows):
    found = worth(score, rows, {name: [column] for column, name in enumerate(NAMES)}, seed=1)
    (axes,) = feature_value.plot(found, "Worth").axes
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["decides", "helps"]
    assert [bar.get_width() for bar in axes.patches] == [one.mean for one in found]
    assert axes.yaxis_inverted()
