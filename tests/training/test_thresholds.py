"""Where medium and high begin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BundleError, ThresholdError
from training.ranked import Ranked
from training.thresholds import Argument, Capacity, Costs, Point, Policy, choose, measure, table

DAYS = 10


def ranked(scores: np.ndarray, labels: np.ndarray, amounts: np.ndarray | None = None) -> Ranked:
    amounts = np.full(len(scores), 100_000) if amounts is None else amounts
    return Ranked(scores, labels, amounts, np.arange(len(scores)) % DAYS)


def world(n: int = 10_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.02).astype(np.int8)
    return np.clip(random.beta(1, 30, n) + labels * random.random(n), 1e-6, 1 - 1e-6), labels


def test_high_keeps_the_required_precision_and_medium_the_capacity() -> None:
    scores, labels = world()
    thresholds, argument = choose(ranked(scores, labels), Capacity(alerts_per_1000=5, high_precision=0.9))
    rejected = scores >= thresholds.high
    verified = (scores >= thresholds.medium) & ~rejected
    assert labels[rejected].mean() >= 0.9
    assert verified.sum() == 50
    assert f"{labels[rejected].sum()} of the {rejected.sum()} operations" in argument.text


def test_alerts_a_day_are_a_capacity_too() -> None:
    scores, labels = world()
    thresholds, argument = choose(ranked(scores, labels), Capacity(alerts_per_day=7))
    assert ((scores >= thresholds.medium) & (scores < thresholds.high)).sum() == 7 * DAYS
    assert argument.chosen.verified_per_day == 7


def test_no_more_genuine_operations_are_rejected_than_the_cap_allows() -> None:
    scores, labels = world()
    demands = {"high_precision": 0.5, "wrongly_rejected_per_1000": 0.3}
    thresholds, _ = choose(ranked(scores, labels), Capacity(**demands))
    assert (labels[scores >= thresholds.high] == 0).sum() <= 0.3 / 1000 * (labels == 0).sum()
    looser, _ = choose(ranked(scores, labels), Capacity(**{**demands, "wrongly_rejected_per_1000": 1000}))
    assert looser.high < thresholds.high


def test_a_lower_required_precision_rejects_no_less() -> None:
    scores, labels = world()
    strict, _ = choose(ranked(scores, labels), Capacity(high_precision=0.95))
    loose, _ = choose(ranked(scores, labels), Capacity(high_precision=0.6))
    assert loose.high <= strict.high


def test_where_no_score_is_precise_the_model_alone_rejects_nothing() -> None:
    scores, labels = world()
    thresholds, argument = choose(ranked(scores, np.roll(labels, 1)), Capacity())
    assert (scores >= thresholds.high).sum() == 0
    assert "rejects nothing" in argument.text


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.floats(0.1, 400), st.booleans())
def test_thresholds_are_always_in_order(rows: list[tuple[float, bool]], alerts: float, costs: bool) -> None:
    scores, labels = np.array([s for s, _ in rows]), np.array([y for _, y in rows], np.int8)
    policy = Costs() if costs else Capacity(alerts_per_1000=alerts, high_at_least=1)
    thresholds, _ = choose(ranked(scores, labels), policy)
    assert 0 < thresholds.medium < thresholds.high < 1


def cost(costs: Costs, scores: np.ndarray, labels: np.ndarray, amounts: np.ndarray, medium: float, high: float) -> float:
    """Operation by operation, as the words say it."""
    total = 0.0
    for score, fraud, amount in zip(scores, labels, amounts, strict=True):
        if score >= high:
            total += 0 if fraud else costs.rejection
        elif score >= medium:
            total += costs.analyst + (costs.verified_lost * amount if fraud else costs.friction)
        else:
            total += costs.lost * amount if fraud else 0
    return total


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), st.booleans(), st.integers(0, 300_000)), min_size=1, max_size=25),
    st.builds(Costs, analyst=st.sampled_from([0, 5_000, 40_000]), rejection=st.sampled_from([0, 10_000, 90_000])),
)  # fmt: skip
def test_no_other_thresholds_cost_less_than_those_chosen_from_costs(rows, costs: Costs) -> None:
    scores, labels, amounts = (np.array(column) for column in zip(*rows, strict=True))
    found = ranked(scores, labels.astype(np.int8), amounts)
    thresholds, _ = choose(found, costs)
    every = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65]
    least = min(cost(costs, scores, labels, amounts, medium, high) for high in every for medium in every if medium <= high)
    assert cost(costs, scores, labels, amounts, thresholds.medium, thresholds.high) == pytest.approx(least)
    assert costs.total(found, *costs.cuts(found)) == pytest.approx(least)


def test_the_argument_has_the_curve_and_the_alternatives_that_were_not_chosen() -> None:
    scores, labels = world()
    _, argument = choose(ranked(scores, labels), Capacity())
    assert [point.stopped_per_day for point in argument.curve] == sorted(point.stopped_per_day for point in argument.curve)
    assert argument.curve[-1].recall == 1
    half, double, *_, costs = argument.alternatives
    assert half.verified_per_day == argument.chosen.verified_per_day / 2 == double.verified_per_day / 4
    assert half.recall <= argument.chosen.recall <= double.recall
    assert "least cost" in costs.policy
    assert all(isinstance(point, Point) for point in argument.alternatives)


def test_a_point_counts_what_its_thresholds_do() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])
    labels = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 1], np.int8)
    amounts = np.array([10, 20, 5, 30, 5, 5, 5, 5, 5, 40])
    policy = Capacity(alerts_per_1000=200, high_precision=1, high_at_least=1)
    thresholds, argument = choose(ranked(scores, labels, amounts), policy)
    assert (thresholds.medium, thresholds.high) == (0.6, 0.8)
    chosen = argument.chosen
    assert (chosen.recall, chosen.value_recall, chosen.high_recall) == (0.75, 0.6, 0.5)
    assert (chosen.verified_precision, chosen.high_precision) == (0.5, 1)
    assert chosen.genuine_verified_per_1000 == pytest.approx(1000 / 6)
    assert (chosen.verified_per_day, chosen.rejected_per_day) == (0.2, 0.2)


@pytest.mark.parametrize(
    "wrong",
    [{"alerts_per_1000": 0}, {"alerts_per_1000": 500}, {"alerts_per_day": 0}, {"high_precision": 0}, {"high_precision": 1.1},
     {"wrongly_rejected_per_1000": -1}, {"alerts_per_day": float("nan")}, {"alerts_per_day": float("inf")}],
)  # fmt: skip
def test_impossible_demands_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ThresholdError, match="allowed"):
        Capacity(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"lost": 1.1}, {"verified_lost": 1.0, "lost": 0.5}, {"analyst": -1}]
    + [{name: value} for name in ("analyst", "friction", "rejection") for value in (float("nan"), float("inf"))],
)
def test_impossible_costs_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ThresholdError, match="allowed"):
        Costs(**wrong)


@pytest.mark.parametrize(
    "policy", [Capacity(), Capacity(alerts_per_day=7), Costs(), Capacity(high_at_least=9_000)], ids=repr
)
def test_an_argument_that_was_written_down_is_read_again(policy: Policy) -> None:
    _, argument = choose(ranked(*world()), policy)
    read = Argument.decode(argument.encode())
    assert read.policy == policy
    for name in ("text", "operations", "frauds", "days", "chosen", "alternatives", "curve"):
        assert repr(getattr(read, name)) == repr(getattr(argument, name)), "NaN included"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"text": "why", "chosen": null, "curve": 3}'], ids=repr)
def test_what_is_no_argument_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="not an argument for thresholds"):
        Argument.decode(content)


def test_thresholds_are_measured_on_other_operations_as_counting_would() -> None:
    thresholds, argument = choose(ranked(*world()), Capacity())
    scores, labels = world(seed=4)
    kept = measure(ranked(scores, labels), argument.policy, thresholds)
    rejected, stopped = scores >= thresholds.high, scores >= thresholds.medium
    assert (kept.medium, kept.high) == (thresholds.medium, thresholds.high)
    assert kept.recall == labels[stopped].sum() / labels.sum()
    assert kept.high_precision == labels[rejected].mean()
    assert kept.verified_per_day == (stopped & ~rejected).sum() / DAYS
    assert kept.genuine_rejected_per_1000 == 1000 * (labels[rejected] == 0).sum() / (labels == 0).sum()


def test_where_nothing_is_rejected_the_table_says_so() -> None:
    scores, labels = world()
    _, argument = choose(ranked(scores, np.roll(labels, 1)), Capacity())
    said = "\n".join(table([argument.chosen]))
    assert "fraud among the rejected nothing to count" in said
    assert argument.chosen.policy in said
