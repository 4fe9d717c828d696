"""History -> matrix, by the steps that run online: in memory entity by entity, or slice by slice into a file."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from features import by_entity
from features.ahead import ahead
from features.by_entity import Arrivals, Blocks, Gathering
from features.engine import Engine, Vector, numbered
from features.history import History
from features.plan import Plan
from features.slices import Slice, slices_in_memory

CHUNK = 1 << 16
ROW_GROUP = 1 << 15
"""Rows of a matrix that are written together."""


def matrix_of(history: History, plan: Plan, start: datetime | None = None, size: int = CHUNK) -> Vector:
    """The point-in-time matrix (operations, features) float64 of a history, rows in its order of operations.

    start: operations before it are applied but not read, their rows are left out; size: of the slices in which rows are encoded.
    Progress is shown on long histories.
    """
    return by_entity.matrix_of(plan, arrivals_of(history, start, size))


def blocks_of(history: History, plan: Plan, start: datetime | None = None, size: int = CHUNK) -> Blocks:
    """As `matrix_of`, for those who read some rows at a time."""
    return by_entity.computed(plan, arrivals_of(history, start, size))


def arrivals_of(history: History, start: datetime | None = None, size: int = CHUNK) -> Arrivals:
    """A history's arrivals; operations at or after `start` are asked for."""
    gathering = Gathering(len(history))
    with tqdm(total=len(history), desc="history", unit="arrival", unit_scale=True, delay=2, mininterval=1) as progress:
        for piece in ahead(slices_in_memory(history, size)):
            gathering.append(piece.rows, piece.asked(start))
            progress.update(len(piece.rows))
    return gathering.arrivals()


def write_in_slices(slices: Iterable[Slice], file: "MatrixFile", plan: Plan, start: datetime | None = None) -> int:
    """The matrix of a history that need not fit in memory: the same bits as `matrix_of`; how many arrivals there were.

    Memory is bounded by the engine's state, two slices and the vectors of one.
    """
    engine = Engine(plan)
    for piece in ahead(iter(slices)):
        asked = piece.asked(start)
        matrix = np.empty((int(asked.sum()), len(plan)), np.float64)
        engine.replay(piece.rows, matrix, numbered(asked))
        file.write(piece.operations_of(asked), matrix)
    return engine.applied


def write_blocks(blocks: Blocks, operations: pa.Table, file: "MatrixFile") -> None:
    """A matrix that is in memory, with `sequence` and `operation_id` of its operations, into a file."""
    for first in range(0, len(blocks), ROW_GROUP):
        matrix = blocks.rows(first, first + ROW_GROUP)
        file.write(operations.slice(first, len(matrix)), matrix)


class MatrixFile:
    """A Parquet file: sequence, operation_id, then one float64 column a feature; the declarations' hash in its metadata.

    Written piece by piece; the same rows give the same bytes, however they were cut in pieces. It has its name when it is whole.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        self._path, self._draft = path, path.with_name(path.name + ".draft")
        features = [pa.field(name, pa.float64()) for name in plan.names]
        self._schema = pa.schema(
            [pa.field("sequence", pa.int64()), pa.field("operation_id", pa.string()), *features],
            metadata={"declarations": plan.hash},
        )
        self._operations: list[pa.Table] = []
        self._group = np.empty((ROW_GROUP, len(plan)), np.float64)
        self._filled = 0
        self.rows = self.missing = 0
        """Rows, and values that are NaN, so far."""

    def __enter__(self) -> "MatrixFile":
        self._writer = pq.ParquetWriter(self._draft, self._schema, compression="zstd", compression_level=1)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        if kind is None:
            self._draft.replace(self._path)
        else:
            self._draft.unlink()

    def write(self, operations: pa.Table, matrix: Vector) -> None:
        """Append vectors (n, features), with `sequence` and `operation_id` of their operations."""
        self.rows += len(matrix)
        self.missing += int(np.isnan(matrix).sum())
        done = 0
        while done < len(matrix):
            count = min(len(matrix) - done, ROW_GROUP - self._filled)
            self._operations.append(operations.select(["sequence", "operation_id"]).slice(done, count))
            self._group[self._filled : self._filled + count] = matrix[done : done + count]
            self._filled, done = self._filled + count, done + count
            if self._filled == ROW_GROUP:
                self._flush()

    def _flush(self) -> None:
        if not self._filled:
            return
        operations = pa.concat_tables(self._operations).combine_chunks()
        columns: NDArray[np.float64] = np.ascontiguousarray(self._group[: self._filled].T)
        arrays = [*operations.columns, *map(pa.array, columns)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._operations, self._filled = [], 0
