"""What moves a model's scores is told by feature and by criterion."""

from pathlib import Path

import numpy as np

from domain.criteria import FraudCriterion
from features.catalogue import Entry
from tests.training.test_export import grown
from training.contribution_summary import SAMPLE, SHOWN, Summary, plot, section, summary_of
from training.contributions import contributions_of
from training.export import Platt


def entry(name: str, criterion: FraudCriterion) -> Entry:
    return Entry(name, f"what {name} means", "ratio", "none", "never", "all", criterion)


AGAINST = [entry("up", FraudCriterion.AMOUNT), entry("down", FraudCriterion.AMOUNT), entry("late", FraudCriterion.TIME)]
ADDED = np.array([[2.0, -2.0, 0.5], [-1.0, 1.0, -1.5]])
SUMMARY = Summary(np.array([[1.0, 2.0, np.nan], [3.0, 2.0, 4.0]]), ADDED, AGAINST)


def test_a_feature_counts_by_the_mean_size_of_what_it_adds_whichever_way() -> None:
    assert [(entry.name, mean, column) for entry, mean, column in SUMMARY.features()] == [
        ("up", 1.5, 0), ("down", 1.5, 1), ("late", 1.0, 2),
    ]  # fmt: skip


def test_features_of_a_criterion_that_cancel_each_other_leave_it_without_weight() -> None:
    words = [f"{criterion} {criterion.words}" for criterion in (FraudCriterion.TIME, FraudCriterion.AMOUNT)]
    assert SUMMARY.criteria() == [(words[0], 1.0), (words[1], 0.0)]


def test_the_section_of_a_card_has_both_tables_and_the_plot() -> None:
    text = section(SUMMARY, "contributions.png")
    assert "Exact TreeSHAP of 2 later operations" in text
    assert f"| R63 {FraudCriterion.TIME.words} | 1.0000 |" in text
    assert "| what late means (`late`) | R63 | 1.0000 |" in text
    assert "(contributions.png)" in text


def test_a_summary_takes_a_sample_and_counts_in_log_odds_of_the_calibrated_score() -> None:
    booster, matrix = grown(columns=3, rows=SAMPLE * 2 + 1, trees=5)
    contributions = contributions_of(booster, Platt(0.5, -1.0))
    summary = summary_of(contributions, matrix, AGAINST)
    np.testing.assert_array_equal(summary.matrix, matrix[::3])
    np.testing.assert_array_equal(summary.added, 0.5 * contributions.of_many(matrix[::3]))


def test_the_plot_is_drawn_for_missing_constant_and_many_features(tmp_path: Path) -> None:
    random, many = np.random.default_rng(1), SHOWN + 5
    matrix, added = random.normal(size=(300, many)), random.normal(size=(300, many))
    matrix[:, 0], matrix[:, 1], added[:, 2] = np.nan, 7.0, 3.0
    figure = plot(Summary(matrix, added, [entry(f"feature_{i}", FraudCriterion.AMOUNT) for i in range(many)]))
    figure.savefig(tmp_path / "plot.png")
    assert len(figure.axes[0].get_yticklabels()) == SHOWN
    assert (tmp_path / "plot.png").stat().st_size > 20_000
