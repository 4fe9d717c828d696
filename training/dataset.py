"""Labelled operations for training: point-in-time vectors, and labels as they were known at a moment."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from domain import instants
from domain.errors import HistoryError
from domain.events import Verdict
from domain.levels import RiskLevel
from features.arrivals import amounts_tyiyn, customer_keys
from features.feature_set import FeatureSet
from features.history import History, between, cut
from features.labels import UNKNOWN, settled
from training.vectors import vectors

Texts = NDArray[np.object_]
QUIET = timedelta(days=1)
"""A history in which nothing happens for longer, up to a moment, is not taken to reach it."""


@dataclass(frozen=True)
class Dataset:
    """Operations and their labels, in order of arrival.

    matrix: (n, features) float64; labels: (n,) int8, 1 fraud; times: (n,) int64 ms; amounts: (n,) int64 tyiyn, whatever the currency;
    customers: (n,) int64, numbers from 0 on; kinds: (n,) str; schemes: (n,) str or None, that of the outcome that decides.
    """

    matrix: NDArray[np.float64]
    labels: NDArray[np.int8]
    times: NDArray[np.int64]
    amounts: NDArray[np.int64]
    customers: NDArray[np.int64]
    kinds: Texts
    schemes: Texts

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def days(self) -> NDArray[np.int64]:
        """Days since 1970-01-01 (UTC) of each operation (n,)."""
        return self.times // instants.DAY

    def slice(self, start_ms: int, end_ms: int) -> "Dataset":
        """The operations with start <= time < end."""
        return self.where((self.times >= start_ms) & (self.times < end_ms))

    def where(self, mask: NDArray[np.bool_]) -> "Dataset":
        """The operations of a mask (n,); nothing is copied when they follow each other, as those of a time mostly do."""
        chosen = _together(mask)
        return Dataset(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def _together(mask: NDArray[np.bool_]) -> NDArray[np.bool_] | slice:
    """A mask (n,), as a slice where it is one run of rows."""
    rows = np.flatnonzero(mask)
    if len(rows) == 0 or rows[-1] + 1 - rows[0] != len(rows):
        return mask
    return slice(int(rows[0]), int(rows[-1]) + 1)


class Outcomes:
    """The outcomes of some operations, found beside them once, so that labels as of many moments cost little.

    decisions: what was decided of operations, where that is known (`burana export`); end: the first moment at which everything
    is known that ever will be, to be given where the operations are not all of the history (`known_by`).
    """

    def __init__(
        self, operations: pa.Table, outcomes: pa.Table, decisions: pa.Table | None = None, end: datetime | None = None
    ) -> None:
        self._stopped = np.zeros(operations.num_rows, np.bool_) if decisions is None else stopped(operations, decisions)
        place = pc.index_in(outcomes["operation_id"], operations["operation_id"])
        found = place.is_valid().to_numpy()
        self._place = place.drop_null().to_numpy().astype(np.int64)
        self._known_at = outcomes["known_at"].cast(pa.int64()).to_numpy()[found]
        self._is_fraud = pc.equal(outcomes["verdict"], Verdict.FRAUD.value).to_numpy()[found]
        self._scheme = outcomes["scheme"].filter(pa.array(found))
        self._times = operations["occurred_at"].cast(pa.int64()).to_numpy()
        self.end = end or known_by(operations, outcomes)

    def labels(self, as_of: datetime, delay: timedelta) -> NDArray[np.int8]:
        """The label of each operation (n,) as known at a moment: 1 fraud, 0 legitimate, UNKNOWN; see `features.labels.settled`."""
        stated = (instants.to_ms(as_of), delay // timedelta(milliseconds=1))
        return settled(self.verdicts(as_of), self._times, self._stopped, *stated)

    def verdicts(self, as_of: datetime) -> NDArray[np.int8]:
        """What the last outcome known at a moment says of each operation (n,): 1 fraud, 0 legitimate, UNKNOWN without one."""
        verdicts = np.full(len(self._times), UNKNOWN, np.int8)
        known = self._known_at < instants.to_ms(as_of)
        verdicts[self._place[known]] = self._is_fraud[known]  # arrival order: the last one stays
        return verdicts

    def schemes(self, as_of: datetime) -> Texts:
        """The scheme (n,) that the last outcome known by `as_of` names, None where it names none."""
        schemes = np.full(len(self._times), None, np.object_)
        known = self._known_at < instants.to_ms(as_of)
        schemes[self._place[known]] = _texts(self._scheme)[known]
        return schemes


def known_by(operations: pa.Table, outcomes: pa.Table) -> datetime:
    """The first moment after the last operation and the last outcome of a history: all is known then that it ever tells."""
    times = (operations["occurred_at"], outcomes["known_at"])
    return instants.from_ms(max(int(column.cast(pa.int64()).to_numpy().max(initial=0)) for column in times) + 1)


def labels_as_of(
    operations: pa.Table, outcomes: pa.Table, as_of: datetime, delay: timedelta, decisions: pa.Table | None = None
) -> NDArray[np.int8]:
    """The labels of a table of operations, see `Outcomes.labels`."""
    return Outcomes(operations, outcomes, decisions).labels(as_of, delay)


def stopped(operations: pa.Table, decisions: pa.Table) -> NDArray[np.bool_]:
    """Which operations (n,) were verified or rejected, so that no victim has anything to report."""
    held = decisions.filter(pc.not_equal(decisions["level"], RiskLevel.LOW.word))
    return np.isin(operations["sequence"].to_numpy(), held["sequence"].to_numpy())


def labelled(
    history: History,
    features: FeatureSet,
    start: datetime | None,
    end: datetime | None,
    as_of: datetime | None,
    delay: timedelta,
) -> Dataset:
    """The dataset of the operations with start <= occurred_at < end and a known label.

    as_of: the moment of training, by default `end`, see `_as_of`: only outcomes known by then are labels. Features are made of
    what had arrived before each operation, as always: behaviour, then profiles, in the order of `features`. HistoryError when no
    operation has a known label, or none is fraud.
    """
    end = end or _after_last(history)
    as_of = as_of or _as_of(history, end)
    past, operations = span(history, start, end)
    outcomes = Outcomes(operations, history.outcomes, history.decisions)
    dataset = dataset_of(operations, vectors(past, features, start), outcomes, as_of, delay)
    known = dataset.labels != UNKNOWN
    dataset = dataset if known.all() else dataset.where(known)
    if not 0 < dataset.labels.sum() < len(dataset):
        raise HistoryError(
            f"{len(dataset)} operations with a known label, {dataset.labels.sum()} of them fraud; training needs both kinds: "
            "widen --from and --to, or move --as-of later"
        )
    return dataset


def _as_of(history: History, end: datetime) -> datetime:
    """The end of a span, or the history's own where that is more than QUIET earlier: what it is silent about was not asked yet."""
    told = known_by(history.operations, history.outcomes)
    return end if end - told <= QUIET else told


def check_told(history: History, as_of: datetime | None) -> None:
    """HistoryError for a moment, where one is named, of which the history can tell nothing any more: silence would pass for genuine."""
    told = known_by(history.operations, history.outcomes)
    if as_of is not None and as_of - told > QUIET:
        raise HistoryError(
            f"--as-of: seen {as_of:%Y-%m-%d %H:%M}, allowed up to {told + QUIET:%Y-%m-%d %H:%M}: the history ends on {told:%Y-%m-%d %H:%M}, and what "
            "became known later is not in it"
        )


def span(history: History, start: datetime | None, end: datetime | None) -> tuple[History, pa.Table]:
    """What had arrived before `end`, and of it the operations with start <= occurred_at."""
    past = cut(history, None, end)
    return past, between(past.operations, "occurred_at", start, None)


def dataset_of(
    operations: pa.Table, matrix: NDArray[np.float64], outcomes: Outcomes, as_of: datetime, delay: timedelta
) -> Dataset:
    """A table of operations with their vectors (n, features) and what was known of them at a moment, UNKNOWN included."""
    return Dataset(
        matrix=matrix, labels=outcomes.labels(as_of, delay), times=operations["occurred_at"].cast(pa.int64()).to_numpy(),
        amounts=amounts_tyiyn(operations), customers=customer_numbers(operations),
        kinds=_texts(operations["kind"]), schemes=outcomes.schemes(as_of),
    )  # fmt: skip


def customer_numbers(operations: pa.Table) -> NDArray[np.int64]:
    """A number (n,) for the customer of each operation, from 0 on in order of first appearance."""
    encoded = pc.dictionary_encode(customer_keys(operations, "sender").combine_chunks())
    return encoded.indices.to_numpy().astype(np.int64)


def _after_last(history: History) -> datetime:
    last = history.operations["occurred_at"].cast(pa.int64()).to_numpy().max(initial=0)
    return instants.from_ms(int(last) + 1)


def _texts(column: pa.ChunkedArray) -> Texts:
    """Each different text is one object, however often it stands there."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    known = np.array([*encoded.dictionary.to_pylist(), None], np.object_)
    return known[pc.fill_null(encoded.indices, len(known) - 1).to_numpy().astype(np.int64)]
