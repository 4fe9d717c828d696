"""History -> matrix, by the step that runs online."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from domain import instants
from features.arrivals import rows_of_history
from features.engine import Engine, Vector
from features.history import History
from features.layout import Fact, Word
from features.plan import Plan

CHUNK = 1 << 17


def matrix_of(history: History, plan: Plan, engine: Engine | None = None, start: datetime | None = None) -> Vector:
    """The point-in-time matrix (operations, features) float64 of a history, rows in its order of operations.

    engine: goes on from its state, else from nothing; start: operations before it are applied but not read, their rows
    are left out. Progress is shown on long histories.
    """
    rows, _ = rows_of_history(history)
    engine = engine or Engine(plan)
    wanted, count = _wanted(rows, start)
    matrix = np.empty((count, len(plan)), np.float64)
    with tqdm(total=len(rows), desc="features", unit="arrival", unit_scale=True, delay=2, mininterval=1) as progress:
        for first in range(0, len(rows), CHUNK):
            part = slice(first, first + CHUNK)
            engine.replay(rows[part], matrix, wanted[part])
            progress.update(len(rows[part]))
    return matrix


def _wanted(rows: NDArray[np.int64], start: datetime | None) -> tuple[NDArray[np.int64], int]:
    asked = rows[:, Word.FACTS] & int(Fact.OPERATION) != 0
    if start is not None:
        asked &= rows[:, Word.TIME] >= instants.to_ms(start)
    return np.where(asked, np.cumsum(asked) - 1, -1), int(asked.sum())


def write_matrix(path: Path, history: History, matrix: Vector, plan: Plan) -> None:
    """A Parquet file: sequence, operation_id, then one float64 column a feature; the declarations' hash in its metadata."""
    columns: list[Any] = [history.operations["sequence"], history.operations["operation_id"]]
    columns += [pa.array(matrix[:, i]) for i in range(len(plan))]
    names = ["sequence", "operation_id", *plan.names]
    table = pa.table(columns, names=names).replace_schema_metadata({"declarations": plan.hash})
    pq.write_table(table, path, compression="zstd", compression_level=1)
