"""How training values of a feature are cut into bins, and how many values, of training or live, fall into each."""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from msgspec import Struct
from numba import njit
from numpy.typing import NDArray

from domain.errors import BundleError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_BINS = 10
WIDTH = MOST_BINS + 2
"""Columns of an array of counts: the bins of values, another value than the listed, missing; zeros where there are fewer."""
SAMPLE = 100_000
"""Training vectors that edges are made of, evenly taken; counts are of all."""
THREADS = 2
LARGEST = float(np.finfo(np.float64).max)
SCORE = "score"
"""The column after the features: what the model answered."""


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

    @property
    def words(self) -> tuple[str, ...]:
        """What each bin holds, as people read it."""
        edges = [_figure(edge) for edge in self.edges]
        if self.listed:
            return (*edges, "another value", "missing")
        between = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
        return (f"to {edges[0]}", *between, f"above {edges[-1]}", "missing")


class Reference(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
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
        """Vectors (n, features) and their scores (n,), NaN for none, by column and bin: (columns, WIDTH).

        Infinities count as the largest finite values.
        """
        return self._cuts.count(np.column_stack([matrix, scores]))

    @cached_property
    def _cuts(self) -> "_Cuts":
        return _cuts(self.bins)

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


@dataclass(frozen=True)
class _Cuts:
    """The bins of all columns as arrays, for the compiled step, which lets other threads run.

    edges: (columns, WIDTH), infinite after the last; last: (columns,), the bin after those of the edges; listed: (columns,).
    """

    edges: Floats
    last: NDArray[np.int64]
    listed: NDArray[np.bool_]

    def count(self, values: Floats) -> Counts:
        """Values (n, columns) by column and bin: (columns, WIDTH)."""
        total = np.zeros(self.edges.shape, np.int64)
        _count(np.ascontiguousarray(values, np.float64), self.edges, self.last, self.listed, total)
        return total


@njit(cache=True, nogil=True)
def _count(values: Floats, edges: Floats, last: Counts, listed: NDArray[np.bool_], total: Counts) -> None:
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            value = min(max(values[row, column], -LARGEST), LARGEST)
            place = 0
            for edge in range(MOST_BINS):
                place += value > edges[column, edge]
            if np.isnan(values[row, column]):
                place = last[column] + 1
            elif listed[column] and edges[column, place] != value:
                place = last[column]
            total[column, place] += 1


def _cuts(bins: Sequence[Bins]) -> _Cuts:
    edges = np.full((len(bins), WIDTH), np.inf)
    for row, column in zip(edges, bins, strict=True):
        row[: len(column.edges)] = column.edges
    return _Cuts(edges, np.array([len(column.edges) for column in bins]), np.array([column.listed for column in bins]))


def reference(names: Sequence[str], matrix: Floats, scores: Floats) -> Reference:
    """The reference of a training matrix (n, features) and of scores (m,) of operations that the trees did not see."""
    with ThreadPoolExecutor(THREADS) as threads:  # sorting lets other threads run
        features = list(threads.map(_bins, names, _sample(matrix)))
    return Reference((*_filled(features, matrix), *_filled([_bins(SCORE, *_sample(scores[:, None]))], scores[:, None])))


def _sample(values: Floats) -> Floats:
    """Of values (n, columns) some rows, evenly taken; the values of a column lie together: (columns, m)."""
    return np.ascontiguousarray(values[:: max(1, len(values) // SAMPLE)].T)


def _bins(name: str, column: Floats) -> Bins:
    edges, listed = _cut(column)
    return Bins(name, tuple(edges), listed, (0,) * (len(edges) + 2))


def _filled(bins: list[Bins], values: Floats) -> list[Bins]:
    """The same bins with the counts of values (n, columns)."""
    cuts, parts = _cuts(bins), np.array_split(values, THREADS)
    with ThreadPoolExecutor(THREADS) as threads:
        counts = np.sum(list(threads.map(cuts.count, parts)), axis=0).tolist()
    return [
        msgspec.structs.replace(column, counts=tuple(row[: len(column.counts)]))
        for column, row in zip(bins, counts, strict=True)
    ]


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
