"""The generated arrivals as a table with words for columns: what the peers are given, derived columns included.

Making it is not counted as work of a peer.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.feature_engine.generated import is_operation, mixed, slices
from domain.instants import DAY, HOUR
from features.language import Group, entity_name
from features.layout import MISSING, NIGHT_ENDS, Column, Fact, Word

Integers = NDArray[np.int64]


def arrivals_table(operations: int, groups: Iterable[Group]) -> pa.Table:
    """One row an arrival, in order of `time` (ms), all int64.

    number: the place among the operations, -1 for events and outcomes; amount, square of it, facts; then every column and the
    key of every group by its name, null where not given.
    """
    rows = np.concatenate(list(slices(operations)))
    asked = is_operation(rows)
    amount = rows[:, Word.AMOUNT]
    night = _values(rows, Column.HOUR) < NIGHT_ENDS
    columns = {
        "number": np.where(asked, np.cumsum(asked) - 1, -1), "time": rows[:, Word.TIME], "amount": amount,
        "square": amount * amount, "facts": rows[:, Word.FACTS] | night * int(Fact.NIGHT),
    }  # fmt: skip
    columns |= {column.name.lower(): _values(rows, column) for column in Column}
    columns |= {entity_name(group): _group(rows, group) for group in groups}
    return pa.table({name: pa.array(values, mask=values == MISSING) for name, values in columns.items()})


def _values(rows: Integers, column: Column) -> Integers:
    local = rows[:, Word.TIME] + rows[:, Word.ZONE_OFFSET]
    match column:
        case Column.HOUR:
            return local // HOUR % 24
        case Column.WEEKDAY:
            return (local // DAY + 3) % 7
        case Column.BAND:
            return _bits(rows[:, Word.AMOUNT])
        case Column.SHIFTED_BAND:
            return _bits(rows[:, Word.AMOUNT] * 181 // 128)
    return rows[:, Word[column.name]]


def _bits(amount: Integers) -> Integers:
    """The length in bits; exact, as amounts are far below 2^53."""
    return np.frexp(amount.astype(np.float64))[1].astype(np.int64)


def _group(rows: Integers, group: Group) -> Integers:
    """One key of 64 bits for the values of the group's columns."""
    values = [_values(rows, column) for column in group.columns]
    key = np.zeros(len(rows), np.int64)
    for each in values:
        key = mixed(key ^ each, signed=True)
    return np.where(np.any([each == MISSING for each in values], axis=0), MISSING, key)
