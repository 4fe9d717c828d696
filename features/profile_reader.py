"""The profiles of one local day, compared with one operation at a time: what the endpoint does for each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features import profile_kernel as kernel
from features.layout import WORDS
from features.packed_profiles import Profiles
from features.profile_kernel import HELD_WORDS, Held, Integers
from features.profile_language import Whose
from features.profiles import PROFILE_NAMES, ROW_WORDS, STEPS, end_of


class DayReader:
    """Reads the profiles of a day; not safe for several threads."""

    def __init__(self, profiles: Profiles, day: int) -> None:
        """day: a local day, as a number since 1970-01-01; where there are no profiles of it, every value is missing.

        `ended_at`: the instant in ms at which it ended.
        """
        self.profiles, self.day, self.ended_at = profiles, day, end_of(day)
        self._row = np.zeros(WORDS, np.int64)
        self._values = np.empty(len(PROFILE_NAMES), np.float64)
        self._held = np.zeros(HELD_WORDS, np.int64)
        self._index = np.empty(len(Whose), np.int64)
        arrays = {
            Held.TABLE: STEPS,
            Held.WORDS: ROW_WORDS,
            Held.ROW: self._row,
            Held.INDEX: self._index,
            Held.OUT: self._values,
        }
        for held, array in arrays.items():
            self._held[held] = array.ctypes.data
        self._held[Held.FEATURES], self._held[Held.ROW_WIDTH] = len(STEPS), WORDS
        for whose, part in zip(Whose, profiles.each, strict=True):
            first = Held.KEYS + 5 * whose
            addresses = [array.ctypes.data for array in (part.keys, part.days, part.rows)]
            self._held[first : first + 5] = [*addresses, *part.rows.shape]
        self._handle = self._held.ctypes.data

    def read(self, row: Sequence[int] | Integers) -> NDArray[np.float64]:
        """The values (len(PROFILE_NAMES),) float64 of an operation; the next call writes over them."""
        self._row[:] = row
        kernel.compare_one(self._handle, self.day)
        return self._values
