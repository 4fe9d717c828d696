"""Ten million entries in memory: arrays in the order of a hash, found by its first bits and a short bisection.

38 bytes an entry and at most 16 MiB for the first bits.
"""

from bisect import bisect_left
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from casework.registry_keys import STORED, Key

RECORD = np.dtype([*STORED.descr, ("entry", "<i8")])
"""What is stored, and the entry's id."""
_KEPT = ["entry", "own", "begins", "ends", "kind", "list"]
_MOST_BITS = 22


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
        self._rest = np.ascontiguousarray(records[_KEPT][order].astype([(name, RECORD[name]) for name in _KEPT]))

    def __len__(self) -> int:
        return len(self._high)

    @property
    def nbytes(self) -> int:
        """Memory taken, in bytes."""
        return self._high.nbytes + self._low.nbytes + self._rest.nbytes + self._starts.nbytes

    @property
    def records(self) -> NDArray[Any]:
        """(n,) RECORD, copied, in the order of their keys; those of one key in the order in which they are found."""
        made = np.empty(len(self), RECORD)
        made["high"], made["low"] = self._high, self._low
        for name in _KEPT:
            made[name] = self._rest[name]
        return made

    def has(self, key: Key) -> bool:
        """Whether there may be a record of a key: by the first half of it. Most are told so."""
        high = key[0]
        bucket = high >> self._shift
        starts, highs = self._starts, self._high
        end = starts[bucket + 1]
        place = bisect_left(highs, high, starts[bucket], end)
        return place < end and highs[place] == high

    def find(self, key: Key) -> list[Found]:
        """The records of a key, in their order."""
        high, low = key
        bucket = high >> self._shift
        end = self._starts[bucket + 1]
        place = bisect_left(self._high, high, self._starts[bucket], end)
        found = []
        while place < end and self._high[place] == high:
            if self._low[place] == low:
                found.append(Found._make(self._rest[place].item()))
            place += 1
        return found
