"""How far live vectors moved from those that a model was trained on: the population stability index (PSI) of each feature.

With t and l the shares of a bin in training and live, PSI is the sum over the bins of (l - t) * ln(l / t): 0 for equal
shares, never negative.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from features.bins import Counts, Floats, Reference

FLOOR = 1e-4
"""The least share of a bin: an empty one would make the logarithm infinite. 0.0001 is what Evidently puts in place of zero."""
MOVING, CHANGED = 0.1, 0.25
"""The field's usual reading: below 0.1 stable, up to 0.25 moving, above changed (Siddiqi, Credit Risk Scorecards, 2006)."""
MOST_SPREAD = 1 / 500
"""A PSI is read from 500 live vectors on, from more where training is small: see `spread` and `noise`. Drawn by chance from the
training shares of 112 columns, one PSI of 12,000 then reaches MOVING; with 400 vectors one of 1,000, with 100 four of ten."""
LEAST_HOURS = {"operation_hour": 23, "operation_weekday": 7 * 24 - 1}
"""Features of the calendar, and how many hours live vectors must span for their shares to say anything."""


class Level(StrEnum):
    """What a PSI means. Only MOVING and CHANGED are about the feature; the last two say that nothing can be read yet."""

    STABLE = "stable"
    MOVING = "moving"
    CHANGED = "changed"
    TOO_FEW = "too few vectors"
    TOO_SHORT = "too short a time"


UNREAD = (Level.TOO_FEW, Level.TOO_SHORT)
"""Levels of a PSI that says nothing yet."""


def psi(reference: Reference, matrix: Floats, scores: Floats) -> Floats:
    """PSI of each column (columns,) for live vectors (n, features) and their scores (n,)."""
    return psi_of_counts(reference.counts, reference.count(matrix, scores))


def psi_of_counts(training: Counts, live: Counts) -> Floats:
    """PSI of each column from counts (columns, WIDTH) of both; NaN where one has none."""
    return _contributions(training, live).sum(axis=-1)


def spread(training: Counts, live: Counts) -> Floats:
    """1/m + 1/n for m vectors in training and n live ones (columns,): the unit of what chance alone does to a PSI."""
    with np.errstate(divide="ignore"):
        return 1 / training.sum(axis=-1) + 1 / live.sum(axis=-1)


def noise(training: Counts, live: Counts) -> Floats:
    """The PSI (columns,) that chance alone is expected to give; infinite or NaN where there is nothing to compare.

    Without any drift PSI is about `spread` times a chi-square with a degree of freedom for each bin in use but one, which
    is also its mean (Yurdakul and Naranjo, Journal of Risk Model Validation 14, 2020). That is for independent vectors;
    those of one customer resemble each other, so the true noise is larger.
    """
    used = np.count_nonzero(training + live, axis=-1)
    with np.errstate(invalid="ignore"):
        return (used - 1) * spread(training, live)


@dataclass(frozen=True)
class Finding:
    """One column compared. share_training and share_live are of `moved`, the bin that contributes most to the PSI."""

    name: str
    psi: float
    noise: float
    level: Level
    moved: str
    share_training: float
    share_live: float


def findings(reference: Reference, live: Counts, hours: int) -> list[Finding]:
    """A finding for each column, in the reference's order. live: (columns, WIDTH); hours: the time that they span."""
    training = reference.counts
    before, now = _shares(training, least=0), _shares(live, least=0)
    moved = np.argmax(_contributions(training, live), axis=-1)
    indices, spreads, by_chance = (of(training, live).tolist() for of in (psi_of_counts, spread, noise))
    return [
        Finding(column.name, indices[i], by_chance[i], level(column.name, indices[i], spreads[i], hours),
                column.words[moved[i]], float(before[i, moved[i]]), float(now[i, moved[i]]))
        for i, column in enumerate(reference.bins)
    ]  # fmt: skip


def level(name: str, index: float, spread: float, hours: int) -> Level:
    """The usual reading of a PSI, where there are vectors and time enough for one."""
    if not spread <= MOST_SPREAD:
        return Level.TOO_FEW
    if hours < LEAST_HOURS.get(name, 0):
        return Level.TOO_SHORT
    return Level.STABLE if index < MOVING else Level.MOVING if index <= CHANGED else Level.CHANGED


def _shares(counts: Counts, least: float = FLOOR) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.maximum(counts / counts.sum(axis=-1, keepdims=True), least)


def _contributions(training: Counts, live: Counts) -> Floats:
    before, now = _shares(training), _shares(live)
    return (now - before) * np.log(now / before)
