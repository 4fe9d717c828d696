"""A matrix by tasks, one a partition file: in this process, in several, or on the machines of a Ray cluster; the same bytes.

slices -> partition files -> marks of the operations -> vectors of each part -> one Parquet matrix. A task reads a file and
writes a file; in a cluster the working folder is one that every machine sees.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from features.batch import ROW_GROUP, MatrixFile
from features.by_entity import Evicted, Gathering, blocks_of, marks_of, of_every_operation, own_vectors
from features.engine import Vector, numbered
from features.kernel import A_FACTS, A_TIME
from features.layout import FIRST_MARK, MISSING
from features.partition_files import PartitionFiles, Rows, read_part, written_parts
from features.plan import Plan
from features.runners import Runner
from features.shares import Limit, Share, keys_of, marking, own_of, shares_of
from features.slices import Slice

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class MarkTask:
    """Finds the marks that one part's entities give: (n, 2) int64 in `out`, an arrival's number and a bit a mark."""

    share: Share
    limits: tuple[Limit, ...]
    part: Path
    out: Path

    def run(self) -> None:
        """Replay the part with the features of marks alone."""
        part = read_part(self.part)
        operations, asked = of_every_operation(part.arrivals)
        found = np.zeros(asked.asked, np.int64)
        for block in blocks_of(self.share, asked, part.numbers, part.active):
            found |= marks_of(self.limits, block)
        some = np.flatnonzero(found)
        np.save(self.out, np.stack([part.numbers[operations][some], found[some]], axis=1))


@dataclass(frozen=True)
class VectorTask:
    """Computes the features of one part's entities, for each slot in which they stand (see `slot_files`)."""

    share: Share
    part: Path
    marks: Path | None
    out: Path

    def run(self) -> None:
        """Replay the part with the marks that were found before."""
        part = read_part(self.part)
        arrivals = part.arrivals
        if self.marks is not None:
            marks = np.load(self.marks, mmap_mode="r")
            arrivals.made[:, A_FACTS] |= marks[part.numbers].astype(np.int64) << FIRST_MARK
        asked = np.flatnonzero(arrivals.wanted >= 0)
        for slot, block in zip(self.slots, blocks_of(self.share, arrivals, part.numbers, part.active), strict=True):
            rows, values = self.slot_files(slot)
            mine = (part.active[asked] >> slot) & 1 == 1
            np.save(rows, part.wanted[asked[mine]])
            np.save(values, block.values[mine])

    @property
    def slots(self) -> dict[int, list[int]]:
        """For each slot that has features, their columns in the share's own plan."""
        columns = {
            slot: [c for c, s in enumerate(self.share.plan.slots) if s == slot] for slot in keys_of(self.share.entity)
        }
        return {slot: found for slot, found in columns.items() if found}

    def slot_files(self, slot: int) -> tuple[Path, Path]:
        """Two .npy files: rows of the matrix (n,) int64, rising, and their values (n, features of the slot) float64."""
        return self.out.with_suffix(f".{slot}.rows.npy"), self.out.with_suffix(f".{slot}.values.npy")


def compute(
    slices: Iterable[Slice],
    plan: Plan,
    file: MatrixFile,
    work: Path,
    parts: int,
    runner: Runner,
    start: datetime | None = None,
) -> int:
    """Write the matrix of a history by its parts: the very bytes that `batch.write_in_slices` writes; how many arrivals.

    work: an empty folder for what passes between tasks: each arrival once or twice for each kind of entity, and the vectors as
    float64, so a little more than the matrix in memory would be.
    """
    marks = marking(plan)
    shares, marking_shares = shares_of(plan), shares_of(marks[0]) if marks else []
    entities = {share.name: share.entity for share in [*shares, *marking_shares]}
    with PartitionFiles(work, entities, parts) as files:
        arrivals = _spread(slices, plan, files, work / "own.arrow", start)
    found = None
    if marks:
        tasks = [
            MarkTask(share, marks[1], path, path.with_suffix(".marks.npy"))
            for share in marking_shares
            for _, path in written_parts(work, share.name, parts)
        ]
        runner(tasks, "marks")
        found = _gathered(tasks, arrivals, work / "marks.npy")
    vector_tasks = [
        VectorTask(share, path, found, path) for share in shares for _, path in written_parts(work, share.name, parts)
    ]
    runner(vector_tasks, "parts")
    _join(vector_tasks, plan, work / "own.arrow", file)
    return arrivals


# ---- before the tasks ------------------------------------------------------------------------------------------------


def _spread(slices: Iterable[Slice], plan: Plan, files: PartitionFiles, own_path: Path, start: datetime | None) -> int:
    """Partition files, and beside them the operations with their own features, in the order of arrival."""
    own, places = own_of(plan)
    evicted, clock = Evicted(plan.retained), MISSING
    number = wanted = 0
    with _OwnFile(own_path, len(places)) as operations:
        for piece in slices:
            if not len(piece.rows):
                continue
            asked = piece.asked(start)
            gathering = Gathering(len(piece.rows), clock)
            gathering.append(piece.rows, asked)
            arrivals = gathering.arrivals()
            numbers = np.arange(number, number + len(piece.rows))
            files.write(Rows(piece.rows, numbers, arrivals.made[:, A_TIME], numbered(asked, wanted)))
            operations.write(piece.operations_of(asked), own_vectors(own, arrivals, evicted))
            number, wanted, clock = number + len(arrivals), wanted + arrivals.asked, int(arrivals.made[-1, A_TIME])
    return number


class _OwnFile:
    """An Arrow stream: sequence, operation_id, own features, one row for each row of the matrix."""

    def __init__(self, path: Path, own: int) -> None:
        """own: how many features there are."""
        features = [pa.field(f"own {i}", pa.float64()) for i in range(own)]
        self._schema = pa.schema([pa.field("sequence", pa.int64()), pa.field("operation_id", pa.string()), *features])
        self._path = path

    def __enter__(self) -> "_OwnFile":
        self._writer = pa.ipc.new_stream(self._path, self._schema)
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, operations: pa.Table, matrix: Vector) -> None:
        columns = [*operations.columns, *map(pa.array, np.ascontiguousarray(matrix.T))]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema), max_chunksize=ROW_GROUP)


def _gathered(tasks: list[MarkTask], arrivals: int, path: Path) -> Path:
    """One file of the marks of every arrival, (arrivals,) uint16."""
    marks = np.lib.format.open_memmap(path, "w+", np.uint16, (arrivals,))
    for task in tasks:
        number, bits = np.load(task.out).T
        marks[number] |= bits.astype(np.uint16)
    marks.flush()
    return path


# ---- after the tasks -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """What one task found for one slot: files of rows (n,) of the matrix and values (n, k); their places (k,) in a vector."""

    rows: Path
    values: Path
    places: Integers

    def lay(self, matrix: Vector, first: int) -> None:
        """Put the values into rows of the matrix from `first` on; files are mapped anew each time, so pages do not pile up."""
        rows, values = (np.load(path, mmap_mode="r") for path in (self.rows, self.values))
        begin, end = np.searchsorted(rows, (first, first + len(matrix)))
        matrix[np.ix_(rows[begin:end] - first, self.places)] = values[begin:end]


def _join(tasks: list[VectorTask], plan: Plan, own_path: Path, file: MatrixFile) -> None:
    pieces = [
        _Piece(*task.slot_files(slot), np.array(task.share.places)[columns])
        for task in tasks
        for slot, columns in task.slots.items()
    ]
    missing = plan.program.floats[: len(plan)]
    own_places = own_of(plan)[1]
    first = 0
    with tqdm(desc="matrix", unit="operation", unit_scale=True, delay=2, mininterval=1) as progress:
        for operations, own in _own_features(own_path, len(own_places)):
            matrix = np.repeat(missing[np.newaxis], len(operations), axis=0)
            matrix[:, own_places] = own
            for piece in pieces:
                piece.lay(matrix, first)
            file.write(operations, matrix)
            first += len(matrix)
            progress.update(len(matrix))


def _own_features(path: Path, count: int) -> Iterator[tuple[pa.Table, Vector]]:
    """The operations in pieces, with the `count` features (n, count) that are theirs alone."""
    with pa.memory_map(str(path)) as source:
        for batch in pa.ipc.open_stream(source):
            own = np.empty((len(batch), count))
            for place in range(count):
                own[:, place] = batch.column(2 + place)
            yield pa.Table.from_batches([batch]).select(["sequence", "operation_id"]), own
