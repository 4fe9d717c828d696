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
from features.engine import Engine, Vector
from features.layout import MISSING
from features.partition_files import Arrivals, PartitionFiles, read_part, written_parts
from features.parts import Limit, Share, clock_of, give_marks, keys_of, marking, marks_of, own_of, shares_of, vectors
from features.plan import Plan
from features.runners import Runner
from features.slices import Slice, numbered

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
        found = marks_of(self.share, self.limits, part)
        some = np.flatnonzero(found)
        np.save(self.out, np.stack([part.stream[some, 0], found[some].astype(np.int64)], axis=1))


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
        if self.marks is not None:
            give_marks(part, np.load(self.marks, mmap_mode="r"))
        outs = {slot: _SlotFiles(self, slot, part.wanted[(part.stream[:, 2] >> slot) & 1 == 1]) for slot in self.slots}
        for index, values in vectors(self.share.plan, part):
            for slot, out in outs.items():
                out.append(values[(part.stream[index, 2] >> slot) & 1 == 1])
        for out in outs.values():
            out.close()

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


class _SlotFiles:
    """Values of one slot, appended as they are computed: no task holds the vectors of its part in memory."""

    def __init__(self, task: VectorTask, slot: int, wanted: Integers) -> None:
        rows_path, values_path = task.slot_files(slot)
        rows = wanted[wanted >= 0]
        np.save(rows_path, rows)
        self._columns = task.slots[slot]
        self._file = values_path.open("wb")
        header = {"descr": "<f8", "fortran_order": False, "shape": (len(rows), len(self._columns))}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, values: Vector) -> None:
        values[:, self._columns].tofile(self._file)

    def close(self) -> None:
        self._file.close()


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
    own, _ = own_of(plan)
    engine = Engine(own)
    number, wanted, clock = 0, 0, MISSING
    with _OwnFile(own_path, own) as operations:
        for piece in slices:
            if not len(piece.rows):
                continue
            asked = piece.asked(start)
            ran = clock_of(piece.rows, clock)
            numbers = np.arange(number, number + len(piece.rows))
            places = np.where(asked, wanted + numbered(asked), -1)
            files.write(Arrivals(piece.rows, numbers, ran, places))
            matrix = np.full((int(asked.sum()), len(own)), np.nan)
            nobody = np.stack([numbers, ran, np.zeros(len(ran), np.int64)], axis=1)
            engine.replay(piece.rows, matrix, numbered(asked), nobody)
            operations.write(piece.operations_of(asked), matrix)
            number, wanted, clock = number + len(ran), wanted + len(matrix), int(ran[-1])
    return number


class _OwnFile:
    """An Arrow stream: sequence, operation_id, own features, one row for each row of the matrix."""

    def __init__(self, path: Path, own: Plan) -> None:
        features = [pa.field(f"own {i}", pa.float64()) for i in range(len(own))]
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
