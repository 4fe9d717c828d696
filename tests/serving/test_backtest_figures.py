"""The figures of a backtest are what plain loops count, and their intervals what drawing customers one by one gives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import instants
from domain.criteria import FraudCriterion
from serving.backtest.figures import Costs, Figures, Measure
from serving.backtest.heard import Heard
from serving.backtest.report import RuleFigures
from serving.backtest.resampling import Resamples, interval
from serving.backtest.table import rule_lines
from training.intervals import resampled

NONE = np.empty(0, np.int64)
COSTS = Costs(analyst=700, friction=300)
DAYS = 4


def operations(size: int) -> st.SearchStrategy[list[tuple[int, int, int, int]]]:
    """(customer, amount, label, kind) of each; few customers, so that each has several."""
    one = st.tuples(st.integers(-3, 3), st.integers(0, 10_000), st.sampled_from((-1, 0, 0, 1)), st.integers(0, 1))
    return st.lists(one, min_size=1, max_size=size)


def heard(rows: list[tuple[int, int, int, int]]) -> Heard:
    customers, amounts, labels, kinds = map(np.array, zip(*rows, strict=True))
    levels = np.zeros(len(rows), np.int8)
    return Heard(
        times=np.arange(len(rows)), amounts=amounts, customers=customers, kinds=kinds.astype(np.int8), labels=labels.astype(np.int8),
        recorded=levels, without_rules=levels, start=0, end=DAYS * instants.DAY, rules=(), hits=(), spoke={}, policies=levels, policy_names=(),
        failed=(), listed=NONE,
    )  # fmt: skip


def by_loops(rows: list[tuple[int, int, int, int]], stopped: list[int], kind: int | None) -> dict[str, Any]:
    """Every figure, counted one by one."""
    counted = [row for row in rows if kind is None or row[3] == kind]
    mine = [rows[place] for place in stopped if kind is None or rows[place][3] == kind]
    fraud, genuine = [row for row in mine if row[2] == 1], [row for row in mine if row[2] == 0]
    frauds = [row for row in counted if row[2] == 1]
    money, customers = sum(row[1] for row in fraud), {row[0] for row in genuine}
    defrauded, spent = {row[0] for row in fraud}, COSTS.analyst * len(mine) + COSTS.friction * len(genuine)
    return {
        "stopped": len(mine), "a_day": len(mine) / DAYS, "fraud": len(fraud), "genuine": len(genuine),
        "unknown": len(mine) - len(fraud) - len(genuine), "fraud_tyiyn": money, "genuine_customers": len(customers),
        "defrauded_customers": len(defrauded), "precision": share(len(fraud), len(fraud) + len(genuine)),
        "recall": share(len(fraud), len(frauds)), "money_recall": share(money, sum(row[1] for row in frauds)),
        "fraud_tyiyn_per_genuine_customer": share(money, len(customers)),
        "cost_tyiyn_per_defrauded_customer": share(spent, len(defrauded)),
    }  # fmt: skip


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


@given(rows=operations(30), data=st.data())
def test_figures_are_what_loops_count(rows: list[tuple[int, int, int, int]], data: st.DataObject) -> None:
    stopped = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1))))
    kind = data.draw(st.sampled_from((None, 0, 1)))
    trial = heard(rows)
    measure = Measure(trial, COSTS, np.isin(np.arange(len(rows)), stopped), 3, 1)
    within = None if kind is None else trial.kinds == kind
    figures = measure.of(np.array(stopped, np.int64), within)
    wanted = by_loops(rows, stopped, kind)
    assert {name: getattr(figures, name) for name in wanted} == pytest.approx(wanted)


@settings(max_examples=5)
@given(seed=st.integers(0, 1_000))
def test_intervals_are_those_of_customers_drawn_one_by_one(seed: int) -> None:
    """Beside the bootstrap of training, which weighs every customer and knows nothing of sums."""
    random = np.random.default_rng(seed)
    customers = np.sort(random.integers(0, 300, 3_000))
    labels = np.where(random.random(3_000) < 0.1, 1, 0)
    fires = (random.random(3_000) < 0.2 + 0.3 * labels) & (customers % 3 != 0)
    rows = list(zip(customers.tolist(), [100] * 3_000, labels.tolist(), [0] * 3_000, strict=True))
    figures = figures_of(rows, np.flatnonzero(fires), resamples=2_000)

    def drawn(weights: np.ndarray) -> dict[str, float]:
        caught = (weights * fires * labels).sum()
        return {"recall": caught / (weights * labels).sum(), "precision": caught / (weights * fires).sum()}

    slow = resampled(drawn, customers, 2_000, seed + 1, population=300)
    for name, values in slow.items():
        assert figures.intervals[name] == pytest.approx(interval(values), abs=0.012)


def figures_of(rows: list[tuple[int, int, int, int]], stopped: np.ndarray, resamples: int) -> Figures:
    trial = heard(rows)
    return Measure(trial, COSTS, np.isin(np.arange(len(rows)), stopped), resamples, 1).of(stopped)


def test_the_same_seed_draws_the_same_and_customers_of_no_figure_change_nothing_but_chance() -> None:
    one, again = (Resamples(20, 1_000, 50, 3) for _ in range(2))
    values = np.ones((20, 1))
    np.testing.assert_array_equal(one.sums(np.arange(20), values), again.sums(np.arange(20), values))
    assert one.sums(np.arange(20), values).mean() == pytest.approx(20, rel=0.1)


def test_blocks_of_customers_add_up() -> None:
    many = Resamples(20_000, 20_000, 4, 1)
    np.testing.assert_allclose(many.sums(np.arange(20_000), np.ones((20_000, 2))), 20_000)


def test_nothing_stopped_has_no_precision_and_no_interval() -> None:
    figures = figures_of([(1, 100, 1, 0), (2, 100, 0, 0)], NONE, 10)
    assert (figures.stopped, figures.recall) == (0, 0)
    assert figures.precision is None
    assert "precision" not in figures.intervals


def test_every_figure_of_a_line_stands_apart_from_the_next() -> None:
    rows = [(customer, 1_000, label, 0) for customer, label in ((1, 1), (2, 1), (3, -1))]
    measure = Measure(heard(rows), COSTS, np.ones(3, np.bool_), 20, seed=1)
    rule = RuleFigures(
        "all", FraudCriterion.AMOUNT, "medium", "draft", *[measure.of(np.arange(3))] * 3, beside={}, by_kind={}, failed=0
    )
    cells = next(rule_lines(rule, was_decided=True)).split()
    assert cells[2:] == ["3", "0.8", "2", "0", "1", *["100.0%", "(100.0-100.0)"] * 2, "100.0%", "0", "-", "10"]
