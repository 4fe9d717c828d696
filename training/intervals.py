"""Intervals by bootstrap over customers: whole customers are drawn, since a customer's operations resemble each other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from training.rankings import Floats, Integers

Figures = Callable[[Floats], Mapping[str, float]]
"""Figures by name, of weights (n,): how often each operation is there."""
SHARE = 0.95


@dataclass(frozen=True)
class Interval:
    """Between which values the middle 95% of the resampled figures lie."""

    low: float
    high: float


def resampled(
    figures: Figures, customers: Integers, resamples: int, seed: int, population: int | None = None
) -> dict[str, Floats]:
    """Each figure of each resample (resamples,); NaN where it has no answer.

    customers: (n,) 0 .. population - 1; population: customers that are drawn from, by default those there are. The same seed and
    population draw the same customers, so the figures of several spans of one history can be averaged resample by resample.
    """
    random = np.random.default_rng(seed)
    population = int(customers.max(initial=-1)) + 1 if population is None else population
    found = []
    for _ in tqdm(range(resamples), desc="bootstrap", delay=2, mininterval=1, leave=False):
        drawn = np.bincount(random.integers(0, population, population), minlength=population)
        found.append(figures(drawn[customers].astype(np.float64)))
    return {name: np.array([each[name] for each in found]) for name in (found[0] if found else ())}


def interval(values: Floats) -> Interval:
    """The percentile interval of resampled figures (resamples,); those without an answer are left out."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Interval(float(low), float(high))
