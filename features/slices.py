"""A canonical history in slices of the order of arrival: read and encoded slice by slice when it need not fit in memory.

An outcome's row is made of its operation's, which may lie in an earlier slice: encoded operations are kept, for a history on disk
in a temporary file, where they are found by 128 bits of BLAKE2b of their id (24 bytes of memory an operation).
"""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from domain import instants
from domain.errors import HistoryError
from features.arrivals import (
    check_places,
    in_order,
    places_of_operations,
    rows_of_events,
    rows_of_operations,
    rows_of_outcomes,
)
from features.history import ARRIVALS, History, cut, in_turn
from features.layout import WORDS, Fact, Word

Integers = NDArray[np.int64]
LAST = 2**62
"""Beyond every sequence number."""
DIGEST = 16
ID_BATCH = 1 << 16


@dataclass(frozen=True)
class Slice:
    """Arrivals in order: rows (n, WORDS) int64; operations: `sequence` and `operation_id` of those that are operations."""

    rows: Integers
    operations: pa.Table

    def asked(self, start: datetime | None) -> NDArray[np.bool_]:
        """(n,) which rows are operations at or after `start`: those that a matrix has."""
        asked = self.rows[:, Word.FACTS] & int(Fact.OPERATION) != 0
        return asked if start is None else asked & (self.rows[:, Word.TIME] >= instants.to_ms(start))

    def operations_of(self, asked: NDArray[np.bool_]) -> pa.Table:
        """The operations among some rows."""
        return self.operations.filter(pa.array(asked[self.rows[:, Word.FACTS] & int(Fact.OPERATION) != 0]))


def slices_of(folder: Path, size: int, end: datetime | None = None) -> Iterator[Slice]:
    """The slices of a history on disk, each of `size` to three times `size` arrivals, up to the first at or after `end`.

    HistoryError as from `history.read` and `rows_of_history`: for files that do not fit their schema, an order that does not
    rise, an id that stands twice, an outcome without an earlier operation. Progress is shown on long histories.
    """
    files = [_opened(folder, name) for name in ARRIVALS]
    History(*(file.schema_arrow.empty_table() for file in files))
    total = sum(file.metadata.num_rows for file in files)
    with (
        tempfile.TemporaryDirectory(prefix="burana-") as scratch,
        tqdm(total=total, desc="features", unit="arrival", unit_scale=True, delay=2, mininterval=1) as progress,
    ):
        encoder = _Encoder(_ids(folder), Path(scratch) / "operations")
        for history in _tables(folder, size):
            wanted = cut(history, None, end)
            yield encoder.encoded(wanted)
            progress.update(len(wanted))
            if len(wanted) < len(history):
                return


def slices_in_memory(history: History, size: int) -> Iterator[Slice]:
    """The slices of a history in memory, of `size` arrivals each: together the rows of `rows_of_history`, and its errors."""
    places, kept = places_of_operations(history), np.empty((history.operations.num_rows, WORDS), np.int64)
    counted = told = 0
    for piece in in_turn(history, size):
        operations = kept[counted : counted + piece.operations.num_rows]
        operations[:] = rows_of_operations(piece.operations)
        outcomes = rows_of_outcomes(piece.outcomes, kept[places[told : told + piece.outcomes.num_rows]])
        rows, _ = in_order(piece, operations, rows_of_events(piece.events), outcomes)
        yield Slice(rows, piece.operations.select(["sequence", "operation_id"]))
        counted, told = counted + len(operations), told + len(outcomes)


# ---- tables ----------------------------------------------------------------------------------------------------------


def _tables(folder: Path, size: int) -> Iterator[History]:
    """A history in slices, each checked as a whole one is; the slices' sequences rise."""
    files = [_Ahead(folder, name, size) for name in ARRIVALS]
    last = -LAST
    while True:
        until = min(file.known_until() for file in files)
        history = History(*(file.take(until) for file in files))
        firsts = [
            table["sequence"][0].as_py() for table in (history.operations, history.events, history.outcomes) if len(table)
        ]
        if not firsts and until == LAST:
            return
        if firsts and min(firsts) <= last:
            raise HistoryError(f"{folder}: sequence {min(firsts)} comes after {last}; it rises from row to row")
        yield history
        if until == LAST:
            return
        last = until


class _Ahead:
    """One file of a history, read `size` rows ahead."""

    def __init__(self, folder: Path, name: str, size: int) -> None:
        file = _opened(folder, name)
        self._batches = file.iter_batches(size)
        self._size = size
        self._ahead = file.schema_arrow.empty_table()
        self._ended = False

    def known_until(self) -> int:
        """The sequence number up to which the rows are in memory: LAST when that is all of them."""
        while not self._ended and self._ahead.num_rows < self._size:
            batch = next(self._batches, None)
            self._ended = batch is None
            if batch is not None:
                self._ahead = pa.concat_tables([self._ahead, pa.Table.from_batches([batch])])
        return LAST if self._ended else int(self._ahead["sequence"][-1].as_py())

    def take(self, until: int) -> pa.Table:
        """The rows up to a sequence number; they are in memory no longer than the caller holds them."""
        count = int(np.searchsorted(self._ahead["sequence"].to_numpy(), until, side="right"))
        taken, self._ahead = self._ahead.slice(0, count), self._ahead.slice(count)
        return taken


def _opened(folder: Path, name: str) -> pq.ParquetFile:
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise HistoryError(f"{path} is missing; a history is a folder with operations, events and outcomes in Parquet")
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise HistoryError(f"{path} is not a readable Parquet file: {error}") from None


# ---- rows ------------------------------------------------------------------------------------------------------------


class _Encoder:
    """Encodes slices one after another; keeps the rows of operations in a file for the outcomes that follow."""

    def __init__(self, index: "_Index", path: Path) -> None:
        self._index, self._path, self._count = index, path, 0

    def encoded(self, history: History) -> Slice:
        """The next slice of a history."""
        operations, events = rows_of_operations(history.operations), rows_of_events(history.events)
        with self._path.open("ab") as file:
            operations.tofile(file)
        outcomes = self._outcomes(history)
        self._count += len(operations)
        rows, _ = in_order(history, operations, events, outcomes)
        return Slice(rows, history.operations.select(["sequence", "operation_id"]))

    def _outcomes(self, history: History) -> Integers:
        outcomes = history.outcomes
        place = self._index.places(outcomes["operation_id"])
        here = np.searchsorted(history.operations["sequence"].to_numpy(), outcomes["sequence"].to_numpy())
        check_places(outcomes, place, self._count + here)
        if not len(place):
            return np.empty((0, WORDS), np.int64)
        stored = np.memmap(self._path, np.int64, "r").reshape(-1, WORDS)  # mapped anew each time: pages do not pile up
        return rows_of_outcomes(outcomes, stored[place])


class _Index:
    """Where each operation stands among all, by a digest of its id."""

    def __init__(self, digests: NDArray[np.bytes_], folder: Path) -> None:
        self._order = np.argsort(digests)
        self._sorted = digests[self._order]
        if np.any(self._sorted[1:] == self._sorted[:-1]):
            raise HistoryError(
                f"{folder}: an operation_id stands in operations.parquet more than once; each names one operation"
            )

    def places(self, ids: pa.ChunkedArray) -> Integers:
        """The place of each operation, -1 where there is none."""
        digests = _digests(ids)
        if not len(self._sorted):
            return np.full(len(digests), -1)
        found = np.minimum(np.searchsorted(self._sorted, digests), len(self._sorted) - 1)
        return np.where(self._sorted[found] == digests, self._order[found], -1)


def _ids(folder: Path) -> _Index:
    batches = _opened(folder, "operations").iter_batches(ID_BATCH, columns=["operation_id"])
    digests = [_digests(batch["operation_id"]) for batch in batches]
    return _Index(np.concatenate([np.empty(0, f"S{DIGEST}"), *digests]), folder)


def _digests(ids: pa.ChunkedArray | pa.Array) -> NDArray[np.bytes_]:
    joined = b"".join(hashlib.blake2b((name or "").encode(), digest_size=DIGEST).digest() for name in ids.to_pylist())
    return np.frombuffer(joined, f"S{DIGEST}")
