"""Figures against plain counting, against scikit-learn, and against rows written out as often as they weigh."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import figures
from training.figures import Caught, Labels
from training.intervals import interval, resampled
from training.rankings import CustomerDays, DailyBudget, Floats, Integers, Ranking

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(0, 4)), min_size=2, max_size=60)


def arrays(drawn: list[tuple[int, int, int]]) -> tuple[Labels, Floats, Floats]:
    labels, scores, weights = (np.array(column) for column in zip(*drawn, strict=True))
    return labels.astype(np.int8), scores / 12, weights.astype(np.float64)


def operations(n: int = 6_000, seed: int = 1) -> tuple[Labels, Floats, Integers, Integers]:
    """Labels, distinct scores that know something, customers, seven days."""
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.05).astype(np.int8)
    return labels, random.random(n) + labels * 0.4, random.integers(0, 900, n), random.integers(17_000, 17_007, n)


@given(rows)
def test_a_ranking_has_the_auc_and_ap_of_scikit_learn_with_ties_and_weights(drawn: list[tuple[int, int, int]]) -> None:
    labels, scores, weights = arrays(drawn)
    ranking = Ranking(labels, scores)
    for each in (None, weights):
        assert ranking.curve(each).auc() == pytest.approx(figures.auc(labels, scores, each), nan_ok=True)
        assert ranking.curve(each).ap() == pytest.approx(figures.ap(labels, scores, each), nan_ok=True)


@given(rows, st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
def test_a_weight_of_two_is_the_row_written_twice(drawn: list[tuple[int, int, int]], rate: float) -> None:
    labels, scores, weights = arrays(drawn)
    copies = np.repeat(np.arange(len(labels)), weights.astype(int))
    days, amounts = np.arange(len(labels)) % 3, np.arange(len(labels)) + 100
    once, twice = (labels, scores), (labels[copies], scores[copies])
    if len(copies):
        assert figures.recall_at_fpr(*once, rate, weights) == pytest.approx(figures.recall_at_fpr(*twice, rate), nan_ok=True)
        assert_same(figures.at_threshold(*once, amounts, 0.5, weights), figures.at_threshold(*twice, amounts[copies], 0.5))
        assert_same(
            figures.at_daily_alerts(*once, amounts, days, 4, weights),
            figures.at_daily_alerts(*twice, amounts[copies], days[copies], 4),
        )
        for figure in (figures.calibration_error, figures.brier, figures.scores_over_frauds):
            assert figure(*once, weights) == pytest.approx(figure(*twice), nan_ok=True)


def test_a_resample_that_draws_nobody_of_a_test_has_no_answer_to_any_figure() -> None:
    labels, scores, nobody = np.array([0, 1], np.int8), np.array([0.1, 0.9]), np.zeros(2)
    for figure in (figures.auc, figures.ap, figures.calibration_error, figures.brier, figures.scores_over_frauds):
        assert np.isnan(figure(labels, scores, nobody)), figure.__name__
        assert np.isnan(figure(labels[:0], scores[:0])), figure.__name__


def assert_same(one: Caught, other: Caught) -> None:
    for name in vars(one):
        assert getattr(one, name) == pytest.approx(getattr(other, name), nan_ok=True), name


def test_recall_at_a_false_positive_rate_is_strictly_above_the_genuine_score_of_that_rank() -> None:
    scores = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1, 0.0])
    labels = np.array([1, 0, 1, 0, 1, 0, 0, 0, 0, 0], np.int8)
    assert figures.recall_at_fpr(labels, scores, 1 / 7) == pytest.approx(1 / 3)  # above 8
    assert figures.recall_at_fpr(labels, scores, 2.5 / 7) == pytest.approx(2 / 3)  # above 6
    assert figures.recall_at_fpr(labels, scores, 0.1) == pytest.approx(1 / 3)  # less than one: above the highest


def test_a_fraud_that_ties_with_the_genuine_score_of_that_rank_is_not_caught() -> None:
    assert figures.recall_at_fpr(np.array([0, 1, 0, 1], np.int8), np.array([3, 3, 2, 4.0]), 0.5) == 0.5


def book_customer_precision(labels: Labels, scores: Floats, customers: Integers, days: Integers, k: int) -> float:
    """card_precision_top_k of the Handbook in plain loops."""
    detected: set[int] = set()
    precisions = []
    for day in sorted(set(days.tolist())):
        best: dict[int, tuple[float, int]] = {}
        for label, score, customer, on in zip(labels, scores, customers.tolist(), days, strict=True):
            if on == day and customer not in detected:
                known = best.get(customer, (-1.0, 0))
                best[customer] = (max(known[0], score), max(known[1], int(label)))
        top = sorted(best, key=lambda customer: -best[customer][0])[:k]
        found = [customer for customer in top if best[customer][1]]
        precisions.append(len(found) / k)
        detected.update(found)
    return float(np.mean(precisions))


@pytest.mark.parametrize("seed", range(5))
def test_customer_precision_is_that_of_the_book(seed: int) -> None:
    labels, scores, customers, days = operations(seed=seed)
    for k in (1, 20, 100, 5_000):
        expected = book_customer_precision(labels, scores, customers, days, k)
        assert figures.customer_precision(labels, scores, customers, days, k) == pytest.approx(expected)


def test_a_customer_found_once_counts_once_so_the_highest_customer_precision_is_known() -> None:
    labels = np.array([1, 1, 1, 0], np.int8)
    customers, days = np.array([7, 7, 8, 9]), np.array([1, 2, 2, 2])
    assert figures.highest_customer_precision(labels, customers, days, 2) == pytest.approx((0.5 + 0.5) / 2)
    assert figures.customer_precision(labels, np.array([0.9, 0.9, 0.1, 0.8]), customers, days, 1) == 0.5


def test_customer_precision_of_a_customer_drawn_twice_is_that_of_two_alike() -> None:
    labels, scores, customers, days = operations()
    drawn = np.random.default_rng(4).integers(0, 3, 900)
    copies = [np.flatnonzero(drawn[customers] > copy) for copy in range(2)]
    alike = np.concatenate([customers[rows] + 1_000 * copy for copy, rows in enumerate(copies)])
    rows = np.concatenate(copies)
    expected = figures.customer_precision(labels[rows], scores[rows], alike, days[rows], 100)
    weights = drawn[customers].astype(np.float64)
    assert CustomerDays(labels, scores, customers, days).precision(100, weights) == pytest.approx(expected)


def test_a_daily_budget_stops_the_highest_of_each_day_and_of_a_tie_the_earliest() -> None:
    scores, days = np.array([5, 5, 9, 1, 5, 2.0]), np.array([1, 1, 1, 2, 1, 2])
    assert DailyBudget(scores, days, 2).stopped().tolist() == [1, 0, 1, 1, 0, 1]


def test_what_is_caught_counts_operations_and_money() -> None:
    labels, scores = np.array([1, 1, 0, 0, 0], np.int8), np.array([0.9, 0.2, 0.9, 0.1, 0.1])
    found = figures.at_threshold(labels, scores, np.array([300, 100, 50, 50, 50]), 0.9)
    assert found == Caught(stopped=2, precision=0.5, recall=0.5, value_recall=0.75, false_positive_rate=pytest.approx(1 / 3))


def test_figures_without_an_answer_are_nan() -> None:
    genuine, scores = np.zeros(3, np.int8), np.array([0.1, 0.2, 0.3])
    for figure in (figures.auc, figures.ap, figures.scores_over_frauds):
        assert np.isnan(figure(genuine, scores))
    nothing = figures.at_threshold(genuine, scores, np.ones(3, np.int64), 0.9)
    assert np.isnan([nothing.precision, nothing.recall, nothing.value_recall]).all()
    assert nothing.false_positive_rate == 0


def test_calibration_of_scores_drawn_from_themselves_is_right_and_of_halved_ones_is_not() -> None:
    random = np.random.default_rng(2)
    scores = random.beta(0.05, 2, 400_000)
    labels = (random.random(len(scores)) < scores).astype(np.int8)
    assert figures.calibration_error(labels, scores) < 0.001
    assert figures.scores_over_frauds(labels, scores) == pytest.approx(1, abs=0.02)
    assert figures.scores_over_frauds(labels, scores / 2) == pytest.approx(0.5, abs=0.01)
    assert figures.calibration_error(labels, scores / 2) == pytest.approx(labels.mean() / 2, rel=0.1)


def test_every_operation_is_in_one_bin_of_reliability_also_at_the_ends() -> None:
    scores = np.array([0, 1e-6, 1e-5, 0.5, 1])
    bins = figures.reliability(np.array([0, 0, 0, 1, 1], np.int8), scores)
    assert [(part.low, part.operations) for part in bins] == [(0, 2), (pytest.approx(1e-5), 1), (pytest.approx(10**-0.5), 2)]
    assert bins[-1].mean_score == 0.75
    assert bins[-1].fraud_share == 1


def test_weeks_run_from_monday_to_sunday_and_those_without_an_answer_are_left_out() -> None:
    monday = 17_749  # 2018-08-06
    days = np.array([monday - 1, monday, monday + 6, monday + 7, monday + 14])
    values = np.array([1.0, 2.0, 4.0, 9.0, np.nan])
    spread = figures.weekly(days, lambda week: {"value": float(values[week].mean())})["value"]
    assert (spread.weeks, spread.mean, spread.lowest, spread.highest) == (3, pytest.approx(13 / 3), 1, 9)
    assert spread.sd == pytest.approx(np.std([1, 3, 9], ddof=1))


def interval_of_ap(n: int) -> float:
    """The width of the interval of AP, which covers it, with n / 10 customers."""
    labels, scores, _, _ = operations(n)
    ranking = Ranking(labels, scores)
    found = interval(resampled(lambda weights: {"ap": ranking.curve(weights).ap()}, np.arange(n) // 10, 200, seed=1)["ap"])
    assert found.low < ranking.curve().ap() < found.high
    return found.high - found.low


def test_an_interval_covers_the_figure_and_narrows_with_more_customers() -> None:
    assert interval_of_ap(32_000) == pytest.approx(interval_of_ap(2_000) / 4, rel=0.35)


def test_customers_are_drawn_whole() -> None:
    """Each customer is all fraud or none: ten alike operations hold no more than one."""
    customers = np.repeat(np.arange(200), 10)
    labels = (customers % 4 == 0).astype(np.int8)
    shares = resampled(lambda weights: {"share": weights @ labels / weights.sum()}, customers, 400, seed=1)["share"]
    assert shares.std() == pytest.approx(np.sqrt(0.25 * 0.75 / 200), rel=0.15)


def test_the_same_seed_and_population_draw_the_same_customers() -> None:
    span, other = np.array([0, 1, 2, 5]), np.array([5, 5, 0, 7])
    one = resampled(lambda weights: {"fifth": weights[-1]}, span, 20, seed=3, population=9)["fifth"].tolist()
    assert one == resampled(lambda weights: {"fifth": weights[0]}, other, 20, seed=3, population=9)["fifth"].tolist()
    assert len(set(one)) > 1
