"""Intervals of figures that are made of sums over operations, by bootstrap over customers: whole customers are drawn.

A customer's operations resemble each other, so the operations themselves may not be drawn. Because the figures are made of sums, a
resample is one row of weights, and all resamples of a rule are one product of matrices.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
SHARE = 0.95
BLOCK = 8_192
"""Customers whose weights are doubles at once: 500 resamples of them are 33 MB."""


class Resamples:
    """How often each customer is drawn in each resample.

    Customers of whom no figure knows anything need no weight of their own: how many draws fall on the others together is
    binomial, so resamples of a million customers cost what those with a hit or a fraud cost.
    """

    def __init__(self, involved: int, population: int, count: int, seed: int) -> None:
        """involved: customers numbered from 0 on that figures are made of; population: all from whom is drawn; count: resamples."""
        random = np.random.default_rng(seed)
        draws = random.binomial(population, involved / max(population, 1), count)
        drawn = [np.bincount(random.integers(0, involved, each), minlength=involved) for each in draws] if involved else []
        self._weights = np.minimum(np.array(drawn, np.int64).reshape(count, involved), 255).astype(np.uint8)

    def __len__(self) -> int:
        return len(self._weights)

    def sums(self, customers: Integers, values: Floats) -> Floats:
        """What each resample sums to (resamples, k): values (n, k) of customers (n,), each as often as he is drawn."""
        found, columns = np.unique(customers, return_inverse=True)
        by_customer = np.zeros((len(found), values.shape[1]))
        np.add.at(by_customer, columns, values)
        sums = np.zeros((len(self), values.shape[1]))
        for first in range(0, len(found), BLOCK):
            some = slice(first, first + BLOCK)
            sums += self._weights[:, found[some]].astype(np.float64) @ by_customer[some]
        return sums


def interval(values: Floats) -> tuple[float, float] | None:
    """Between which values the middle 95% of resampled figures (resamples,) lie; None where no resample has an answer."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)
