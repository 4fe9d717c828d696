"""Levels, actions and thresholds (para. 10-12, R28-R34)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ThresholdError
from domain.levels import Action, RiskLevel, Thresholds

THRESHOLDS = Thresholds(medium=0.2, high=0.8)


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0.0, RiskLevel.LOW),
        (math.nextafter(0.2, 0), RiskLevel.LOW),
        (0.2, RiskLevel.MEDIUM),
        (math.nextafter(0.8, 0), RiskLevel.MEDIUM),
        (0.8, RiskLevel.HIGH),
        (1.0, RiskLevel.HIGH),
    ],
)
def test_a_score_on_a_threshold_takes_the_higher_level(score: float, level: RiskLevel) -> None:
    assert THRESHOLDS.level(score) is level


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, -0.1, math.nextafter(0, -1), math.nextafter(1, 2), 2])
def test_a_score_that_is_no_probability_is_refused_and_never_low(score: float) -> None:
    with pytest.raises(ThresholdError, match="is not a probability"):
        THRESHOLDS.level(score)


@pytest.mark.parametrize(
    ("medium", "high"),
    [
        (0.5, 0.5),
        (0.8, 0.2),
        (0.0, 0.5),
        (0.5, 1.0),
        (-0.1, 0.5),
        (0.5, 1.1),
        (math.nan, 0.5),
        (0.5, math.nan),
        (math.nan, math.nan),
    ],
)
def test_thresholds_out_of_order_are_refused(medium: float, high: float) -> None:
    with pytest.raises(ThresholdError, match="allowed 0 < medium < high < 1"):
        Thresholds(medium, high)


probabilities = st.floats(0, 1)


@given(
    scores=st.tuples(probabilities, probabilities).map(sorted),
    bounds=st.lists(probabilities, min_size=2, max_size=2, unique=True),
)
def test_a_higher_score_never_takes_a_lower_level(scores: list[float], bounds: list[float]) -> None:
    medium, high = sorted(bounds)
    if medium > 0 and high < 1:
        lower, higher = map(Thresholds(medium, high).level, scores)
        assert lower <= higher


def test_para_10_low_is_approved_medium_is_verified_high_is_rejected() -> None:
    assert [level.action for level in RiskLevel] == [Action.APPROVE, Action.VERIFY, Action.REJECT]
    assert [level.word for level in RiskLevel] == ["low", "medium", "high"]


def test_the_highest_level_wins() -> None:
    assert max(RiskLevel.MEDIUM, RiskLevel.LOW, RiskLevel.HIGH) is RiskLevel.HIGH
