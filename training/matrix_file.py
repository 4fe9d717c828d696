"""Reading a matrix that `burana features --out` wrote, for the operations asked, piece by piece."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from domain.errors import HistoryError
from features.plan import Plan


def read_matrix(path: Path, operations: pa.Table, plan: Plan) -> NDArray[np.float64]:
    """The vectors (n, features) of a table of operations, in its order.

    HistoryError for a file that other declarations made, that lacks one of the operations, or that is of another history.
    """
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise HistoryError(f"{path} is not a readable matrix: {error}; `burana features --out` writes one") from None
    with file:
        made_by = (file.schema_arrow.metadata or {}).get(b"declarations", b"").decode()
        if made_by != plan.hash:
            raise HistoryError(
                f"{path} was made by features {made_by[:12] or 'unknown'}, running are {plan.hash[:12]}; make it again"
            )
        return _filled(path, file, operations, plan)


def _filled(path: Path, file: pq.ParquetFile, operations: pa.Table, plan: Plan) -> NDArray[np.float64]:
    asked, ids = operations["sequence"].to_numpy(), operations["operation_id"].combine_chunks()
    matrix, filled = np.empty((len(asked), len(plan)), np.float64), 0
    for batch in file.iter_batches():
        sequence = batch["sequence"].to_numpy()
        place = np.minimum(np.searchsorted(asked, sequence), len(asked) - 1)
        here = np.flatnonzero(asked[place] == sequence)
        if not batch["operation_id"].take(pa.array(here)).equals(ids.take(pa.array(place[here]))):
            raise HistoryError(f"{path} is of another history; name the one that this history gave, or leave it out")
        for column, name in enumerate(plan.names):
            matrix[place[here], column] = batch[name].to_numpy()[here]
        filled += len(here)
    if filled != len(asked):
        raise HistoryError(f"{path} has {filled} of the {len(asked)} operations asked; make it of the whole history")
    return matrix
