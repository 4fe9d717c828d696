"""The plots of thresholds draw what was counted."""

import numpy as np
import pytest

from training import threshold_plots
from training.ranked import Ranked
from training.thresholds import Capacity, Costs, choose, measure

DAYS, OPERATIONS = 10, 5_000


def ranked(seed: int) -> Ranked:
    random = np.random.default_rng(seed)
    labels = (random.random(OPERATIONS) < 0.02).astype(np.int8)
    scores = np.clip(random.beta(1, 30, OPERATIONS) + labels * random.random(OPERATIONS), 1e-6, 1 - 1e-6)
    return Ranked(scores, labels, random.integers(10_000, 5_000_000, OPERATIONS), np.arange(OPERATIONS) % DAYS)


def test_thresholds_lie_on_the_curves_that_they_cut():
    thresholds, promised = choose(ranked(1), Capacity())
    later = choose(ranked(2), Capacity())[1]
    kept = measure(ranked(2), Capacity(), thresholds)
    (axes,) = threshold_plots.promised_and_kept(promised, later, kept).axes
    lines = [line for line in axes.lines if len(line.get_xdata()) > 1]
    points = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert len(lines) == 2
    assert len(points) == 4
    for curve, of_curve in zip(lines, (points[:2], points[2:]), strict=True):
        for point in of_curve:
            (at,), (recall,) = point.get_data()
            assert np.interp(at, *curve.get_data()) == pytest.approx(recall, abs=0.05)


def test_a_day_costs_what_the_policy_counts_and_the_least_is_the_least():
    later, costs = ranked(2), Costs()
    thresholds, _ = choose(ranked(1), Capacity())
    high = later.cut(thresholds.high)
    (axes,) = threshold_plots.costs_of_medium(later, costs, thresholds).axes
    chosen, least = (line.get_xdata()[0] for line in axes.lines)
    assert chosen == later.stopped[later.cut(thresholds.medium)] / OPERATIONS * 1000
    totals = [costs.total(later, medium, high) for medium in range(high, len(later.stopped))]
    drawn = costs.total(later, int(np.searchsorted(later.stopped, least * OPERATIONS / 1000)), high)
    assert drawn <= min(totals) * 1.02, "the curve has some two hundred points"
    top = max(path.vertices[:, 1].max() for stack in axes.collections for path in stack.get_paths())
    assert top <= max(totals) / DAYS / threshold_plots.SOM * (1 + 1e-9)
