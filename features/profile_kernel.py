"""Compiled: operations and profiles -> values, for one row and for many.

Everything is int64; the one floating-point operation is the division at the end. Positions in a row and the table of steps come
as data, and the steps are said here: the compiler's cache notices a change in this file only.
"""

from enum import IntEnum
from typing import Any

import numpy as np
from numba import carray, njit, types  # type: ignore[attr-defined]  # as its manual says
from numba.extending import intrinsic
from numpy.typing import NDArray

from domain import instants
from features.layout import MISSING

Integers = NDArray[np.int64]
Packed = tuple[Integers, Integers, Integers]
"""One array each for customers, recipients and devices."""


class Step(IntEnum):
    """How a value is made; each row of the table is (Whose, Step, operands)."""

    VALUE = 0
    """operand: word of the profile"""
    RATIO = 1
    """word above, word below"""
    SHARE = 2
    """first bin, bins, Bins, around, word of the total"""
    OVER = 3
    """word of the quantile, step from kind to kind (0: all kinds)"""
    USUAL = 4
    """first word of the field, values kept, word of the row"""


STEP_WORDS = 7
"""Words of a row of the table."""

jit = njit(cache=True, error_model="numpy")
_WHOSE, _STEP, _A, _B, _C, _D, _E = range(7)
_TIME, _OFFSET, _AMOUNT, _KIND = range(4)
_VALUE, _RATIO, _SHARE, _OVER = map(int, (Step.VALUE, Step.RATIO, Step.SHARE, Step.OVER))
_HOUR_MS, _DAY_MS = instants.HOUR, instants.DAY


@jit
def compare(  # noqa: PLR0912 one function, see below
    table: Integers, words: Integers, rows: Integers, index: Integers, packed: Packed, out: NDArray[np.float64]
) -> None:
    """Compare operations with profiles: out (n, features) float64 is written; every value is one integer over another.

    table: `profile_language.steps`; words: `profiles.ROW_WORDS`; rows (n, WORDS); index (n, 3): the profile of each row in each of `packed`, -1 for none.
    One function: calls that hand arrays on would count references, 46 ns a feature where the arithmetic takes a few.
    """
    for whose in range(3):
        profiles = packed[whose]
        for i in range(len(rows)):
            p, kind = index[i, whose], rows[i, words[_KIND]]
            local = rows[i, words[_TIME]] + rows[i, words[_OFFSET]]
            own_bin = (local // _HOUR_MS % 24, (local // _DAY_MS + 3) % 7, kind)  # in the order of Bins
            for f in range(len(table)):
                if table[f, _WHOSE] != whose:
                    continue
                step, a, b, c = table[f, _STEP], table[f, _A], table[f, _B], table[f, _C]
                above, below = 0, 1
                if p < 0:
                    below = 0
                elif step == _VALUE:
                    above = profiles[p, a]
                elif step == _RATIO:
                    above, below = profiles[p, a], profiles[p, b]
                elif step == _SHARE:
                    for near in range(own_bin[c] - table[f, _D], own_bin[c] + table[f, _D] + 1):
                        above += profiles[p, a + near % b]
                    below = profiles[p, table[f, _E]]
                elif step == _OVER:
                    above, below = rows[i, words[_AMOUNT]], profiles[p, a + b * kind]
                else:
                    own = rows[i, c]
                    below = 0 if own == MISSING else profiles[p, a]
                    for place in range(a + 2, a + 2 + b):
                        if profiles[p, place] == own:
                            above = profiles[p, place + b]
                out[i, f] = above / below if below > 0 else np.nan  # MISSING is below 0


@jit
def locate(words: Integers, lag: int, rows: Integers, keys: Packed, days: Packed, index: Integers) -> None:
    """Find the profile of each row's customer, recipient and device that is due at its time; index (n, 3) is written, -1 for none.

    keys, days: of the packed profiles, in ascending order of (key, day).
    """
    for i in range(len(rows)):
        due = (rows[i, words[_TIME]] + rows[i, words[_OFFSET]] - lag) // _DAY_MS - 1
        for whose in range(3):
            index[i, whose] = place_of(rows[i, words[4 + whose]], due, keys[whose], days[whose])


@jit
def place_of(key: int, day: int, keys: Integers, days: Integers) -> int:
    """The place of (key, day) in arrays that ascend by key, then day; -1 when it is not there. A key of MISSING is nobody."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key or (keys[middle] == key and days[middle] < day):
            low = middle + 1
        else:
            high = middle
    found = low < len(keys) and keys[low] == key and days[low] == day and key != MISSING
    return low if found else -1


@jit
def read(
    table: Integers,
    words: Integers,
    lag: int,
    rows: Integers,
    keys: Packed,
    days: Packed,
    packed: Packed,
    out: NDArray[np.float64],
) -> None:
    """`locate`, then `compare`, in one call: handing the arrays over costs more than the work on one row."""
    index = np.empty((len(rows), 3), np.int64)
    locate(words, lag, rows, keys, days, index)
    compare(table, words, rows, index, packed, out)


@jit
def places_of(asked_keys: Integers, asked_days: Integers, keys: Integers, days: Integers) -> Integers:
    """`place_of` for each of many."""
    places = np.empty(len(asked_keys), np.int64)
    for i in range(len(asked_keys)):
        places[i] = place_of(asked_keys[i], asked_days[i], keys, days)
    return places


# ---- one operation, by one handle ------------------------------------------------------------------------------------


class Held(IntEnum):
    """What the handle of `compare_one` holds, as int64: addresses of arrays and how long they are.

    From KEYS on five words each for customers, recipients and devices: keys, days, rows, how many, width.
    """

    TABLE = 0
    FEATURES = 1
    WORDS = 2
    ROW = 3
    ROW_WIDTH = 4
    INDEX = 5
    OUT = 6
    KEYS = 7


HELD_WORDS = Held.KEYS + 15
_TABLE, _FEATURES, _WORDS, _ROW, _ROW_WIDTH, _INDEX, _OUT, _KEYS = map(int, Held)


def _pointer_of(typing_context: Any, address: Any) -> Any:  # noqa: ARG001 as numba calls it
    """An address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001 likewise
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


_pointer: Any = intrinsic(_pointer_of)


@jit
def compare_one(handle: int, day: int) -> None:
    """`compare` one row with its profiles of a local day; handle: the address of the words of `Held`.

    Handing the arrays over one by one costs 3 us a call.
    """
    held = carray(_pointer(handle), (HELD_WORDS,), np.int64)
    words = carray(_pointer(held[_WORDS]), (7,), np.int64)
    row = carray(_pointer(held[_ROW]), (1, held[_ROW_WIDTH]), np.int64)
    index = carray(_pointer(held[_INDEX]), (1, 3), np.int64)
    for whose in range(3):
        at = _KEYS + 5 * whose
        keys = carray(_pointer(held[at]), (held[at + 3],), np.int64)
        days = carray(_pointer(held[at + 1]), (held[at + 3],), np.int64)
        index[0, whose] = place_of(row[0, words[4 + whose]], day, keys, days)
    table = carray(_pointer(held[_TABLE]), (held[_FEATURES], STEP_WORDS), np.int64)
    packed = (_packed(held, 0), _packed(held, 1), _packed(held, 2))
    compare(table, words, row, index, packed, carray(_pointer(held[_OUT]), (1, held[_FEATURES]), np.float64))


@jit
def _packed(held: Integers, whose: int) -> Integers:
    at = _KEYS + 5 * whose
    rows: Integers = carray(_pointer(held[at + 2]), (held[at + 3], held[at + 4]), np.int64)
    return rows
