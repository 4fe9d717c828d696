"""Which part of a history an entity belongs to: all its arrivals are in one, so each part can be replayed alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.instants import DAY, HOUR
from features.layout import MISSING, SMALL_COLUMNS, Column, Word
from features.shares import Entity, keys_of

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Rows by part: part p has rows `index[bounds[p]:bounds[p + 1]]`, in order, and of each the bits of its slots in `active`."""

    index: Integers
    active: Integers
    bounds: Integers


def split(rows: Integers, entity: Entity, parts: int) -> Split:
    """The rows (n, WORDS) that each of `parts` parts, below 2^16, takes of one kind of entity: an entity's are all in one part."""
    slots = keys_of(entity)
    part = np.full((len(rows), len(slots)), parts, np.uint16)  # of each slot; `parts` stands for none
    active = np.tile(np.array([1 << slot for slot in slots], np.int64), (len(rows), 1))
    for place, columns in enumerate(slots.values()):
        hashed, given = _hashed([values_of(rows, column) for column in columns])
        part[given, place] = hashed[given] % np.uint64(parts)
        for earlier in range(place):  # a row that stands twice in a part goes there once
            twice = given & (part[:, place] == part[:, earlier])
            active[twice, earlier] |= 1 << list(slots)[place]
            part[twice, place] = parts
    order = np.argsort(part.ravel(), kind="stable")  # by counting: the numbers have 16 bits
    bounds = np.concatenate([[0], np.cumsum(np.bincount(part.ravel(), minlength=parts + 1)[:parts])])
    kept = order[: bounds[-1]]
    return Split(kept // len(slots), active.ravel()[kept], bounds)


def values_of(rows: Integers, column: Column) -> Integers:
    """(n,) the values of a column, made as the kernel makes them."""
    local, amount = rows[:, Word.TIME] + rows[:, Word.ZONE_OFFSET], rows[:, Word.AMOUNT]
    match column:
        case Column.HOUR:
            return local // HOUR % 24
        case Column.WEEKDAY:
            return (local // DAY + 3) % 7
        case Column.BAND:
            return _bit_length(amount)
        case Column.SHIFTED_BAND:
            return _bit_length((amount * 181) >> 7)
    assert column is Column.KIND or column not in SMALL_COLUMNS, f"{column.name} is a small column that is not made here"
    return rows[:, Word[column.name]]


def _bit_length(values: Integers) -> Integers:
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)  # exact: amounts are far below 2^53


def _hashed(columns: list[Integers]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """(n,) a hash of the columns together, and whether each of them is given. Which hash is nobody's business but the split's."""
    hashed, given = np.zeros(len(columns[0]), np.uint64), np.ones(len(columns[0]), np.bool_)
    for values in columns:
        given &= values != MISSING
        hashed = (hashed ^ values.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(32)
    return hashed, given
