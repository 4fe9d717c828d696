"""Ten million entries in memory: arrays in the order of a hash, found by its first bits and a short bisection.

38 bytes an entry, at most 16 MiB for the first bits, and 2 to 4 bytes an entry for a table of single bits that is asked first: it says of
fifteen absent keys in sixteen, at one wait for memory, that they are absent. What is listed has set its bit, so a bit that is not set is proof.
Keys are cryptographic hashes: who seeks values whose bits happen to be set only has them looked up in the arrays.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from casework.registry_keys import STORED, Key

RECORD = np.dtype([*STORED.descr, ("entry", "<i8")])
"""What is stored, and the entry's id."""
_KEPT = ["entry", "own", "begins", "ends", "kind", "list"]
_MOST_BITS = 22
_SPARSE = 4
"""Powers of two by which there are more single bits than entries."""


class Found(NamedTuple):
    """An entry: its id, 32 bits of kind and value, [begins, ends) in seconds since 1970, numbers of kind and list."""

    entry: int
    own: int
    begins: int
    ends: int
    kind: int
    list: int


class Index:
    """Records that do not change; found by their key."""

    def __init__(self, records: NDArray[Any]) -> None:
        """records: (n,) RECORD, in the order in which those of one key shall be found."""
        order = np.argsort(records["high"], kind="stable")
        high = records["high"][order]
        bits = min(_MOST_BITS, max(1, len(records).bit_length() - 1))
        self._shift = 64 - bits
        firsts = np.arange(2**bits + 1, dtype=np.uint64)
        starts = np.searchsorted(high, firsts[:-1] << np.uint64(self._shift))
        self._starts = np.append(starts, len(high)).astype(np.uint32).data
        self._high, self._low = high.data, records["low"][order].data
        self._mark_shift = 64 - len(records).bit_length() - _SPARSE
        self._marks = _marks(high >> np.uint64(self._mark_shift), 1 << (64 - self._mark_shift)).data
        self.kinds = frozenset(np.flatnonzero(np.bincount(records["kind"])).tolist())
        """The numbers of the kinds that are listed."""
        self._rest = np.ascontiguousarray(records[_KEPT][order].astype([(name, RECORD[name]) for name in _KEPT]))

    def __len__(self) -> int:
        return len(self._high)

    @property
    def nbytes(self) -> int:
        """Memory taken, in bytes."""
        return self._high.nbytes + self._low.nbytes + self._rest.nbytes + self._starts.nbytes + self._marks.nbytes

    @property
    def records(self) -> NDArray[Any]:
        """(n,) RECORD, copied, in the order of their keys; those of one key in the order in which they are found."""
        made = np.empty(len(self), RECORD)
        made["high"], made["low"] = self._high, self._low
        for name in _KEPT:
            made[name] = self._rest[name]
        return made

    def has_any(self, asked: Iterable[tuple[Key, int]]) -> bool:
        """Whether there may be a record of one of the keys: by the first half of it. Never False where there is one."""
        marks, shift = self._marks, self._mark_shift
        for (high, _), _ in asked:
            mark = high >> shift
            if marks[mark >> 3] >> (mark & 7) & 1 and self._has(high):
                return True
        return False

    def _has(self, high: int) -> bool:
        place, end = self._place(high)
        return place < end and self._high[place] == high

    def find(self, key: Key) -> list[Found]:
        """The records of a key, in their order."""
        high, low = key
        place, end = self._place(high)
        found = []
        while place < end and self._high[place] == high:
            if self._low[place] == low:
                found.append(Found._make(self._rest[place].item()))
            place += 1
        return found

    def _place(self, high: int) -> tuple[int, int]:
        """Where the records of a first half begin, and where those with the same first bits end."""
        bucket = high >> self._shift
        end = self._starts[bucket + 1]
        return bisect_left(self._high, high, self._starts[bucket], end), end


def _marks(places: NDArray[np.uint64], bits: int) -> NDArray[np.uint8]:
    """(bits / 8,) with the bits at rising places set, the lowest of a byte first."""
    marks = np.zeros(bits >> 3, np.uint8)
    np.bitwise_or.at(marks, places >> np.uint64(3), np.uint8(1) << (places & np.uint64(7)).astype(np.uint8))
    return marks
