"""The generated arrivals as a table with words for columns: what the peers are given, derived columns included.

Making it is not counted as work of a peer.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.feature_engine.generated import is_operation, slices
from domain.instants import DAY, HOUR
from features.layout import MISSING, Column, Word

Integers = NDArray[np.int64]


def arrivals_table(operations: int) -> pa.Table:
    """One row an arrival, in order of `time` (ms), all int64.

    number: the place among the operations, -1 for events and outcomes; amount, square of it, facts; then every slot and
    every column by its name, null where not given.
    """
    rows = np.concatenate(list(slices(operations)))
    asked = is_operation(rows)
    amount = rows[:, Word.AMOUNT]
    columns = {
        "number": pa.array(np.where(asked, np.cumsum(asked) - 1, -1)),
        "time": pa.array(rows[:, Word.TIME]),
        "amount": pa.array(amount),
        "square": pa.array(amount * amount),
        "facts": pa.array(rows[:, Word.FACTS]),
    }
    for column in Column:
        values = _values(rows, column)
        columns[column.name.lower()] = pa.array(values, mask=values == MISSING)
    return pa.table(columns)


def _values(rows: Integers, column: Column) -> Integers:
    local = rows[:, Word.TIME] + rows[:, Word.ZONE_OFFSET]
    if column is Column.HOUR:
        return local // HOUR % 24
    if column is Column.WEEKDAY:
        return (local // DAY + 3) % 7
    if column is Column.LIKENESS:
        return _likeness(rows)
    return rows[:, Word[column.name]]


def _likeness(rows: Integers) -> Integers:
    """Recipient, kind and the amount's length in bits as one key of 64 bits."""
    recipient, kind, amount = (rows[:, word] for word in (Word.RECIPIENT, Word.KIND, Word.AMOUNT))
    bits = np.frexp(amount.astype(np.float64))[1]  # exact: amounts are far below 2^53
    return np.where(recipient == MISSING, MISSING, recipient ^ (kind << 8 | bits) * 0x9E3779B97F4A7C1)
