"""Amounts as people pay them: log-normal, and round where people round."""

import numpy as np

from domain.money import REFERENCE_RATES
from training.simulator.draft import CURRENCIES, KGS, Floats, Ints

SOM = 100
"""Tyiyn in a som."""

PRICES = ((1, 0.12), (50, 0.08), (100, 0.5), (1_000, 0.18), (5_000, 0.12))
"""Of a till: (step in minor units, share of amounts rounded to it)."""

TRANSFERS = ((100, 0.18), (5_000, 0.27), (10_000, 0.35), (50_000, 0.2))
"""Of what people send each other."""

CASH = ((10_000, 0.35), (50_000, 0.35), (100_000, 0.3))
"""Of what a machine or an agent pays out."""

Steps = tuple[tuple[int, float], ...]


def natural(rng: np.random.Generator, tyiyn: Floats, steps: Steps, currency: Ints | int = KGS) -> Ints:
    """(n,) amounts in tyiyn -> minor units of `currency`, rounded as people round; at least 100."""
    codes = np.broadcast_to(np.asarray(currency), tyiyn.shape)
    minor = tyiyn / _TYIYN_PER_MINOR[codes]
    sizes, shares = zip(*steps, strict=True)
    step = rng.choice(np.array(sizes), len(tyiyn), p=np.array(shares))
    # a small amount is rounded to a small step: nobody rounds 80 som to the next 500
    step = np.where(step * 2 > minor, np.where(minor > 200 * SOM, 5_000, np.where(minor > 20 * SOM, SOM, 1)), step)
    rounded: Floats = np.round(minor / step) * step
    return np.maximum(rounded, SOM).astype(np.int64)


def spread(rng: np.random.Generator, median: Floats | float, sigma: Floats | float, count: int) -> Floats:
    """Log-normal amounts around their medians."""
    return np.asarray(median * np.exp(sigma * rng.standard_normal(count)))


_TYIYN_PER_MINOR = np.array([REFERENCE_RATES[c][1] / REFERENCE_RATES[c][2] for c in CURRENCIES])


def worth(minor: Ints, currency: Ints) -> Floats:
    """Amounts in minor units of their currencies -> tyiyn."""
    return np.asarray(minor * _TYIYN_PER_MINOR[currency])
