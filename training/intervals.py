"""Intervals by bootstrap over customers: whole customers are drawn, since a customer's operations resemble each other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from training.rankings import Floats, Integers

Figure = Callable[[Floats], float]
"""A figure of weights (n,): how often each operation is there."""
SHARE = 0.95


@dataclass(frozen=True)
class Interval:
    """Between which values the middle 95% of the resampled figures lie."""

    low: float
    high: float


def resampled(
    figures: Mapping[str, Figure], customers: Integers, resamples: int, seed: int, population: int | None = None
) -> dict[str, Floats]:
    """Each figure of each resample (resamples,); NaN where it has no answer.

    customers: (n,) 0 .. population - 1; population: customers that are drawn from, by default those there are. The same seed and
    population draw the same customers, so the figures of several spans of one history can be averaged resample by resample.
    """
    random = np.random.default_rng(seed)
    population = int(customers.max(initial=-1)) + 1 if population is None else population
    values = {name: np.empty(resamples) for name in figures}
    for at in tqdm(range(resamples), desc="bootstrap", delay=2, leave=False):
        drawn = np.bincount(random.integers(0, population, population), minlength=population)
        weights = drawn[customers].astype(np.float64)
        for name, figure in figures.items():
            values[name][at] = figure(weights)
    return values


def interval(values: Floats) -> Interval:
    """The percentile interval of resampled figures (resamples,); those without an answer are left out."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Interval(float(low), float(high))
