"""Labelled operations for training: point-in-time vectors, and labels as they were known at a moment."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain import instants
from domain.errors import HistoryError
from domain.events import Verdict
from features.feature_set import FeatureSet
from features.history import History, between, cut
from training.vectors import vectors

UNKNOWN = -1


@dataclass(frozen=True)
class Dataset:
    """Operations with known labels, in order of arrival.

    matrix: (n, features) float64; labels: (n,) int8, 1 fraud; times: (n,) int64 ms; amounts: (n,) int64 minor units.
    """

    matrix: NDArray[np.float64]
    labels: NDArray[np.int8]
    times: NDArray[np.int64]
    amounts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def slice(self, start_ms: int, end_ms: int) -> "Dataset":
        """The operations with start <= time < end."""
        return self.where((self.times >= start_ms) & (self.times < end_ms))

    def where(self, mask: NDArray[np.bool_]) -> "Dataset":
        """The operations of a mask (n,)."""
        return Dataset(self.matrix[mask], self.labels[mask], self.times[mask], self.amounts[mask])


def labels_as_of(operations: pa.Table, outcomes: pa.Table, as_of: datetime, delay: timedelta) -> NDArray[np.int8]:
    """The label of each operation (n,) as known at a moment: 1 fraud, 0 legitimate, UNKNOWN.

    The last outcome known by `as_of` decides. An operation of which nothing is known counts as legitimate once it is older
    than the delay in which fraud is normally reported. A younger one is unknown even when its outcome is known: what is known
    early is mostly fraud, and training on it alone would teach that recent operations are (measured on a simulated history:
    17.6% fraud among the young with an outcome, 0.4% among the settled).
    """
    known = between(outcomes, "known_at", None, as_of)
    times = operations["occurred_at"].cast(pa.int64()).to_numpy()
    settled = times < instants.to_ms(as_of - delay)
    labels = np.zeros(len(times), np.int8)
    place = pa.compute.index_in(known["operation_id"], operations["operation_id"])
    found = place.is_valid().to_numpy()
    is_fraud = pa.compute.equal(known["verdict"], Verdict.FRAUD.value).to_numpy()
    labels[place.drop_null().to_numpy().astype(np.int64)] = is_fraud[found]  # arrival order: the last one stays
    labels[~settled] = UNKNOWN
    return labels


def labelled(
    history: History,
    features: FeatureSet,
    start: datetime | None,
    end: datetime | None,
    as_of: datetime | None,
    delay: timedelta,
) -> Dataset:
    """The dataset of the operations with start <= occurred_at < end.

    as_of: the moment of training, by default `end`: only outcomes known by then are labels. Features are made of what had
    arrived before each operation, as always: behaviour, then profiles, in the order of `features`. HistoryError when no operation has a known label, or none is fraud.
    """
    last = history.operations["occurred_at"].cast(pa.int64()).to_numpy().max(initial=0)
    end = end or instants.from_ms(int(last) + 1)
    past = cut(history, None, end)
    operations = between(past.operations, "occurred_at", start, None)
    labels = labels_as_of(operations, history.outcomes, as_of or end, delay)
    matrix = vectors(past, features, start)
    known = labels != UNKNOWN
    times = operations["occurred_at"].cast(pa.int64()).to_numpy()
    dataset = Dataset(matrix, labels, times, operations["amount_minor"].to_numpy())
    dataset = dataset if known.all() else dataset.where(known)
    if not 0 < dataset.labels.sum() < len(dataset):
        raise HistoryError(
            f"{len(dataset)} operations with a known label, {dataset.labels.sum()} of them fraud; training needs both kinds: "
            "widen --from and --to, or move --as-of later"
        )
    return dataset
