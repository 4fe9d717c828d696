"""How far live vectors moved from those that a model was trained on: the population stability index (PSI) of each feature.

A reference keeps where the training values of a feature are cut into bins, and how many fell into each. With t and l the
shares of a bin in training and live, PSI is the sum over the bins of (l - t) * ln(l / t): 0 for equal shares, never negative.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from domain.errors import BundleError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_BINS = 10
WIDTH = MOST_BINS + 2
"""Columns of an array of counts: the bins of values, another value than the listed, missing; zeros where there are fewer."""
FLOOR = 1e-4
"""The least share of a bin: an empty one would make the logarithm infinite. 0.0001 is what Evidently puts in place of zero."""
SAMPLE = 100_000
"""Training vectors that edges are made of, evenly taken; counts are of all."""
LARGEST = float(np.finfo(np.float64).max)
SCORE = "score"
"""The column after the features: what the model answered."""

MOVING, CHANGED = 0.1, 0.25
"""The field's usual reading: below 0.1 stable, up to 0.25 moving, above changed (Siddiqi, Credit Risk Scorecards, 2006)."""
MOST_SPREAD = 1 / 400
"""A PSI is read from 400 live vectors on (more where training is small): see `spread` and `noise`. By chance alone one
column of 28,000 in twelve bins then reaches MOVING: a chi-square of 11 degrees of freedom above 40."""
LEAST_HOURS = {"operation_hour": 23, "operation_weekday": 7 * 24 - 1}
"""Features of the calendar, and how many hours live vectors must span for their shares to say anything."""


class Level(StrEnum):
    """What a PSI means. Only MOVING and CHANGED are about the feature; the last two say that nothing can be read yet."""

    STABLE = "stable"
    MOVING = "moving"
    CHANGED = "changed"
    TOO_FEW = "too few vectors"
    TOO_SHORT = "too short a time"


class Bins(Struct, frozen=True, forbid_unknown_fields=True):
    """How the values of one column are cut, and how many training vectors fell into each bin.

    edges: ascending and finite. listed: each edge is a value with a bin of its own, then comes any other value; else a bin
    ends with each edge, which belongs to it, and one follows the last. The last bin is missing (NaN), so that there are
    always two bins more than edges. counts: of training, one a bin.
    """

    name: str
    edges: tuple[float, ...]
    listed: bool
    counts: tuple[int, ...]

    def count(self, column: Floats) -> Counts:
        """How many values (n,) fall into each bin: (WIDTH,). Infinities count as the largest finite values."""
        edges, column = np.array(self.edges), np.clip(column, -LARGEST, LARGEST)
        place = np.searchsorted(edges, column)
        if self.listed:
            place[np.append(edges, np.nan)[place] != column] = len(edges)
        place[np.isnan(column)] = len(edges) + 1
        return np.bincount(place, minlength=WIDTH)

    @property
    def words(self) -> tuple[str, ...]:
        """What each bin holds, as people read it."""
        edges = [_figure(edge) for edge in self.edges]
        if self.listed:
            return (*edges, "another value", "missing")
        between = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
        return (f"to {edges[0]}", *between, f"above {edges[-1]}", "missing")


class Reference(Struct, frozen=True, forbid_unknown_fields=True):
    """What live vectors are compared with: a column for each feature in the model's order, then the score."""

    bins: tuple[Bins, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.bins)

    @property
    def counts(self) -> Counts:
        """Training vectors by column and bin, (columns, WIDTH)."""
        return np.array([column.counts + (0,) * (WIDTH - len(column.counts)) for column in self.bins], np.int64)

    def count(self, matrix: Floats, scores: Floats) -> Counts:
        """Vectors (n, features) and their scores (n,), NaN for none, by column and bin: (columns, WIDTH)."""
        *features, score = self.bins
        return np.array([*(bins.count(matrix[:, i]) for i, bins in enumerate(features)), score.count(scores)], np.int64)

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, content: bytes) -> "Reference":
        """From JSON; BundleError for anything else."""
        try:
            return msgspec.json.decode(content, type=cls)
        except msgspec.DecodeError as error:
            raise BundleError(f"this is not a reference for drift: {error}") from error


def reference(names: Sequence[str], matrix: Floats, scores: Floats) -> Reference:
    """The reference of a training matrix (n, features) and of scores (m,) of operations that the trees did not see."""
    columns = zip((*names, SCORE), (*(matrix[:, i] for i in range(len(names))), scores), strict=True)
    return Reference(tuple(_bins(name, column) for name, column in columns))


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


def _bins(name: str, column: Floats) -> Bins:
    edges, listed = _cut(column[:: max(1, len(column) // SAMPLE)])
    bins = Bins(name, tuple(edges), listed, ())
    return msgspec.structs.replace(bins, counts=tuple(bins.count(column)[: len(edges) + 2].tolist()))


def _cut(column: Floats) -> tuple[list[float], bool]:
    """Edges of bins, and whether each is a value with a bin of its own: so for at most MOST_BINS distinct values.

    Else each bin takes its equal part of what the bins before it left; without ties these are the deciles. A value that
    fills a bin alone (mostly zero or one) gets one, and the others go to the rest, where deciles would hide the rest in it.
    """
    values, counts = np.unique(np.clip(column[~np.isnan(column)], -LARGEST, LARGEST), return_counts=True)
    if len(values) <= MOST_BINS:
        return values.tolist(), True
    up_to, edges, first, taken = np.cumsum(counts), [], 0, 0
    for left in range(MOST_BINS, 1, -1):
        part = (up_to[-1] - taken) / left
        last = int(np.searchsorted(up_to, taken + part))
        if last > first and counts[last] > part:
            last -= 1
        if last == len(values) - 1:
            break
        edges.append(float(values[last]))
        first, taken = last + 1, int(up_to[last])
    return edges, False


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
