"""What became of operations is counted once, each in its place, and nothing about a customer is told in clear."""

import numpy as np
import pytest

from domain.criteria import FraudCriterion
from domain.levels import Thresholds
from features import bins
from training import error_plots
from training.error_plots import by_amount, by_word, fates

LEVELS = np.array([0, 1, 2, 0, 1, 0], np.int64)
IS_FRAUD = np.array([True, True, True, False, False, False])
AMOUNTS = np.array([50_000, 100_000, 900_000, 100_001, 30_000_000, 500_000], np.int64)
FATES = fates(LEVELS, IS_FRAUD)


def texts(figure, panel: int = 0) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts]


def test_every_operation_has_one_fate():
    each = np.array([FATES.caught, FATES.missed, FATES.alarms, FATES.passed])
    assert each.sum(axis=0).tolist() == [1] * len(LEVELS)
    assert FATES.missed.tolist() == [True, False, False, False, False, False]
    assert FATES.alarms.tolist() == [False, False, False, False, True, False]


def test_an_amount_at_the_edge_of_a_band_belongs_to_it_and_every_amount_has_one_band():
    bands = by_amount(AMOUNTS)
    assert [name for name, mask in bands.items() for _ in range(int(mask.sum()))] == [
        "up to 1,000 som", "up to 1,000 som", "1,000 to 5,000 som", "1,000 to 5,000 som", "5,000 to 20,000 som", "above 100,000 som",
    ]  # fmt: skip
    assert sum(mask.sum() for mask in bands.values()) == len(AMOUNTS)


def test_a_scheme_that_nobody_named_has_a_name():
    assert list(by_word(np.array(["", "mule_chain", ""]))) == ["not named", "mule_chain"]


def test_missed_frauds_are_told_in_number_and_money_and_what_has_no_fraud_is_left_out():
    masks = {"small": AMOUNTS < 200_000, "large": AMOUNTS >= 200_000, "genuine": ~IS_FRAUD}
    figure = error_plots.missed_by(masks, AMOUNTS, FATES, "Frauds")
    assert texts(figure, 0) == ["1 of 2 missed", "0 of 1 missed"]
    assert texts(figure, 1) == ["500 of 1,500 missed", "0 of 9,000 missed"]


def test_no_bin_of_scores_lies_across_medium_and_an_operation_without_a_score_is_not_drawn():
    scores, thresholds = np.array([0.0499, 0.05, 0.9, 0.001, 0.05, np.nan]), Thresholds(0.05, 0.8)
    panels = error_plots.near_the_threshold(scores, FATES, thresholds).axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["missed frauds: 1", "stopped frauds: 2", "genuine, stopped: 1", "genuine, passed: 1"]
    below = [bar for bar in panels[0].patches if bar.get_height()]
    assert all(bar.get_x() + bar.get_width() <= 0.05 + 1e-9 for bar in below)
    assert all(bar.get_x() >= 0.05 - 1e-9 for bar in panels[1].patches if bar.get_height())


def test_the_price_of_lowering_counts_whom_it_would_stop_in_addition():
    scores = np.array([0.2, 0.9, 0.9, 0.3, 0.8, 0.1])
    line = error_plots.price_of_lowering(scores, FATES).axes[0].lines[0]
    assert line.get_ydata().tolist() == [0, 0, 1, 1]
    assert line.get_xdata().tolist() == [0.5, 1, 1, 2]


def test_the_share_without_history_is_of_each_fate():
    unknown = {"the device": np.array([True, False, True, True, False, False])}
    drawn = [
        line.get_xdata()[0] for line in error_plots.without_history(unknown, FATES).axes[0].lines if line.get_marker() == "o"
    ]
    assert drawn == [1, 0.5, pytest.approx(1 / 3)]


def test_what_a_criterion_says_is_the_sum_of_its_features_and_the_widest_gap_stands_on_top():
    serves = [FraudCriterion.AMOUNT, FraudCriterion.TIME, FraudCriterion.AMOUNT]
    added = {
        "missed": np.array([[0.1, -0.5, 0.1]]),
        "caught": np.array([[1, -0.4, 1], [3, -0.4, 1.0]]),
        "genuine": np.zeros((4, 3)),
    }
    (axes,) = error_plots.evidence(added, serves).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["R61 amount", "R63 time"]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([0.2, -0.5, 3, -0.4, 0, 0])


def test_of_each_criterion_the_feature_that_differs_most_is_named():
    random = np.random.default_rng(3)
    matrix = random.normal(size=(2_000, 4))
    reference = bins.reference(("alike", "apart", "far", "unread"), matrix, random.random(2_000))
    moved = matrix + np.array([0, 1, 3, 9])
    first, second = (reference.count(values, np.full(len(values), 0.5)) for values in (matrix, moved))
    among = {"alike": FraudCriterion.AMOUNT, "apart": FraudCriterion.AMOUNT, "far": FraudCriterion.TIME}
    columns = error_plots.most_different(reference, first, second, among)
    assert [reference.names[column] for column in columns] == ["far", "apart"]
    figure = error_plots.spread([reference.bins[1]], [{"missed": first[1], "caught": second[1], "genuine": first[1]}])
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert sum(heights) == pytest.approx(3)


def test_money_is_held_by_false_alarms_alone_and_the_most_stands_first():
    masks = {
        "small": np.array([False, True, False, True, False, False]),
        "large": np.array([True, True, True, False, True, False]),
    }
    lines = [line.split() for line in error_plots.money_held(masks, AMOUNTS, FATES.alarms, 10)]
    assert lines == [["large", "1", "alarms", "300,000", "som", "held"], ["small", "0", "alarms", "0", "som", "held"]]


def test_customers_are_counted_by_how_often_they_were_stopped_for_nothing():
    customers, alarms = np.array([0, 0, 0, 1, 2, 2]), np.array([True, True, False, True, False, False])
    figure = error_plots.alarms_by_customer(customers, alarms)
    assert texts(figure) == ["1", "1", "0", "0", "0"]
    lines = list(error_plots.most_stopped(customers, ("a", "b", "c"), AMOUNTS, alarms, 10))
    assert [line.split() for line in lines[1:]] == [["a", "2", "3", "1,500"], ["b", "1", "1", "1,000"]]
