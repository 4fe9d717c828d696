"""From labelled operations to trees, calibration and thresholds."""

from dataclasses import replace

import numpy as np
import pytest

from domain.errors import HistoryError, SettingsError
from training.boosting import Boosting, grow
from training.dataset import Dataset
from training.figures import calibration_error, scores_over_frauds
from training.pipeline import FitSettings, cut, fit
from training.thresholds import Capacity

NAMES = ("signal", "noise")
SETTINGS = FitSettings(boosting=Boosting(trees=60), policy=Capacity(high_at_least=5))


def world(n: int, seed: int = 1, fraud: float = 0.05) -> Dataset:
    """Frauds lie higher in the first column; nothing changes with time."""
    random = np.random.default_rng(seed)
    labels = (random.random(n) < fraud).astype(np.int8)
    matrix = np.column_stack([2 * labels + random.normal(0, 1, n), random.normal(0, 1, n)])
    texts, numbers = np.full(n, "own_account", np.object_), np.arange(n)
    return Dataset(matrix, labels, numbers * 60_000, np.full(n, 100_000), numbers, texts, texts)


def test_probabilities_hold_on_operations_that_the_model_never_saw() -> None:
    fitted, unseen = fit(world(20_000), NAMES, SETTINGS), world(20_000, seed=2)
    scores = fitted.score(unseen.matrix)
    assert scores_over_frauds(unseen.labels, scores) == pytest.approx(1, abs=0.1)
    assert calibration_error(unseen.labels, scores) < 0.015


def test_a_weight_on_frauds_is_taken_back_by_calibration() -> None:
    settings = FitSettings(boosting=Boosting(trees=60, fraud_weight=10))
    unseen = world(20_000, seed=2)
    scores = fit(world(20_000), NAMES, settings).score(unseen.matrix)
    assert scores_over_frauds(unseen.labels, scores) == pytest.approx(1, abs=0.1)


def test_thresholds_are_chosen_on_operations_that_the_probe_had_not_seen() -> None:
    dataset = world(5_000)
    fitted = fit(dataset, NAMES, SETTINGS)
    earlier, later = cut(dataset, SETTINGS.later)
    assert len(earlier) == 4_000
    assert np.array_equal(fitted.later.times, later.times)
    assert earlier.times.max() < later.times.min()
    assert fitted.argument.operations == len(fitted.later_scores) == len(later)


def test_the_model_itself_is_grown_on_all_operations() -> None:
    """A pattern that the last part alone has is known to the model, and was not to the probe."""
    dataset = world(5_000, fraud=0.03)
    late = dataset.times >= np.quantile(dataset.times, 0.85)
    dataset.matrix[late & (dataset.labels == 1), 1] = 30
    fitted = fit(dataset, NAMES, SETTINGS)
    pattern, plain = fitted.score(np.array([[0.0, 30.0], [0.0, 0.0]]))
    assert pattern > 5 * plain


def test_the_same_input_gives_the_same_trees() -> None:
    models = [fit(world(3_000), NAMES, SETTINGS).booster.model_to_string() for _ in range(2)]
    assert models[0] == models[1]


def test_trees_tell_the_highest_thousandth_of_a_feature_from_the_next() -> None:
    """As 255 bins do not, and it is there that a few operations of a thousand are stopped."""
    ranks = np.random.default_rng(3).permutation(100_000)
    dataset = replace(world(100_000), matrix=ranks[:, None].astype(np.float64), labels=(ranks >= 99_900).astype(np.int8))
    boosting = Boosting(trees=5, feature_share=1)
    lowest_fraud, highest_genuine = (np.array([[rank]]) for rank in (99_910.0, 99_790.0))
    for bins, told in ((boosting.bins, True), (255, False)):
        booster = grow(dataset, ("rank",), replace(boosting, bins=bins), seed=1)
        assert bool(booster.predict(lowest_fraud)[0] > 2 * booster.predict(highest_genuine)[0]) is told


def test_a_part_without_fraud_is_refused() -> None:
    dataset = world(2_000)
    dataset.labels[-500:] = 0
    with pytest.raises(HistoryError, match="the later part has 400 operations and 0 frauds"):
        fit(dataset, NAMES, SETTINGS)


@pytest.mark.parametrize("wrong", [{"leaves": 1}, {"feature_share": 0}, {"learning_rate": 2}, {"trees": 0}, {"bins": 1}])
def test_impossible_growing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="allowed"):
        Boosting(**wrong)


def test_a_share_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="allowed a share"):
        FitSettings(later=0.9)
