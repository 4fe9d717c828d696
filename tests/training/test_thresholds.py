"""Where medium and high begin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ThresholdError
from training.thresholds import Capacity, choose


def world(n: int = 10_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.02).astype(np.int8)
    return np.clip(random.beta(1, 30, n) + labels * random.random(n), 1e-6, 1 - 1e-6), labels


def test_high_keeps_the_required_precision_and_medium_the_capacity() -> None:
    scores, labels = world()
    thresholds, argument = choose(scores, labels, Capacity(alerts_per_1000=5, high_precision=0.9))
    rejected = scores >= thresholds.high
    verified = (scores >= thresholds.medium) & ~rejected
    assert labels[rejected].mean() >= 0.9
    assert verified.sum() == 50
    assert f"{labels[rejected].sum()} of the {rejected.sum()} operations" in argument


def test_a_lower_required_precision_rejects_no_less() -> None:
    scores, labels = world()
    strict, _ = choose(scores, labels, Capacity(high_precision=0.95))
    loose, _ = choose(scores, labels, Capacity(high_precision=0.6))
    assert loose.high <= strict.high


def test_where_no_score_is_precise_the_model_alone_rejects_nothing() -> None:
    scores, labels = world()
    thresholds, argument = choose(scores, np.roll(labels, 1), Capacity())
    assert (scores >= thresholds.high).sum() == 0
    assert "rejects nothing" in argument


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.floats(0.1, 400))
def test_thresholds_are_always_in_order(rows: list[tuple[float, bool]], alerts: float) -> None:
    scores, labels = np.array([s for s, _ in rows]), np.array([y for _, y in rows], np.int8)
    thresholds, _ = choose(scores, labels, Capacity(alerts_per_1000=alerts, high_at_least=1))
    assert 0 < thresholds.medium < thresholds.high < 1


@pytest.mark.parametrize(
    "wrong", [{"alerts_per_1000": 0}, {"alerts_per_1000": 500}, {"high_precision": 0}, {"high_precision": 1.1}]
)
def test_impossible_demands_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ThresholdError, match="allowed"):
        Capacity(**wrong)
