"""The engine: one state of behaviour, read and applied one arrival at a time, or replayed over many."""

import contextlib
import json
import mmap
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import StateError
from features import kernel
from features.kernel import META_WORDS, PAIR_WORDS, Buffer
from features.layout import MISSING, WORDS
from features.plan import MAX_FAMILIES, MAX_SLOTS, Plan, Table

Vector = NDArray[np.float64]
Integers = NDArray[np.int64]
SNAPSHOT_FORMAT = 2
SAVED = (Buffer.META, Buffer.LOG, Buffer.POOL, Buffer.DIRECTORY, Buffer.PAIRS)
FIRST_ENTITIES = 1 << 10
IN_LARGE_PAGES = 1 << 20
"""Words from which a buffer is worth pages of 2 MiB."""
WHOLE = 0
"""Address of no stream: the rows are the whole of what arrives."""


class Engine:
    """Behaviour of every customer, recipient, device and so on, as of the last arrival applied.

    Not safe for several threads: one process applies arrivals in one order, which is the order of the ledger.
    """

    def __init__(self, plan: Plan, rows: int | None = None) -> None:
        """rows: of the log's ring; by default one more than the plan retains. Memory is taken as it is filled."""
        if kernel.compiled_layout() != kernel.LAYOUT:
            raise StateError("the compiled kernel is older than features/layout.py or plan.py; remove features/__pycache__")
        self.plan = plan
        self._rows = plan.retained + 1 if rows is None else rows
        self._buffers: dict[Buffer, NDArray[Any]] = {
            Buffer.TABLES: plan.program.tables, Buffer.FLOATS: plan.program.floats,
            Buffer.SCRATCH: _zeros(kernel.X_COPIES + MAX_SLOTS * self._header(Table.WIDEST)),
            Buffer.VECTOR: np.empty(len(plan), np.float64),
        }  # fmt: skip
        self._read: object = None
        self._row = self._buffers[Buffer.SCRATCH][kernel.X_ROW : kernel.X_ROW + WORDS]
        self._vector = self._buffers[Buffer.VECTOR]
        self._addresses = np.zeros(len(Buffer), np.int64)
        self._handle = _address(self._addresses)
        self._hold(_empty(self._rows, self._header(Table.LOG_WORDS), self._header(Table.WIDEST)))

    def _header(self, name: Table) -> int:
        return int(self.plan.program.tables[name])

    def _hold(self, buffers: dict[Buffer, Integers]) -> None:
        """Take over buffers, and tell the kernel where they are and how long."""
        self._buffers.update(buffers)
        self._meta = meta = self._buffers[Buffer.META]
        meta[kernel.M_ROWS] = self._rows
        meta[kernel.M_POOL_SIZE] = len(self._buffers[Buffer.POOL])
        meta[kernel.M_DIRECTORY_SIZE] = len(self._buffers[Buffer.DIRECTORY])
        meta[kernel.M_PAIRS_SIZE] = len(self._buffers[Buffer.PAIRS]) // PAIR_WORDS
        for name, buffer in self._buffers.items():
            self._addresses[name] = _address(buffer)

    @property
    def applied(self) -> int:
        """How many arrivals were applied since the beginning."""
        return int(self._meta[kernel.M_NUMBER])

    @property
    def entities(self) -> int:
        """How many accounts, customers, devices and so on have history."""
        return int(self._meta[kernel.M_LIVE])

    @property
    def nbytes(self) -> int:
        """Bytes in use by the state: of the log, the rows that were ever written."""
        written = min(self.applied, self._rows) * self._header(Table.LOG_WORDS) * 8
        return written + sum(self._buffers[name].nbytes for name in SAVED if name is not Buffer.LOG)

    def read(self, row: Sequence[int] | Integers) -> Vector:
        """The vector (features,) float64 of an operation that has not arrived yet; changes nothing."""
        self._row[:] = row
        kernel.read(self._handle)
        self._read = row
        return self._vector.copy()

    def apply(self, row: Sequence[int] | Integers) -> None:
        """Let an arrival happen: once for each, in the ledger's order."""
        was_read, self._read = row is self._read, None  # nothing happened between: the kernel still has what it found
        if not was_read:
            self._row[:] = row
        while not kernel.apply(self._handle, was_read):
            self._grow()
            was_read = False

    def replay(self, rows: Integers, matrix: Vector, wanted: Integers, stream: Integers | None = None) -> None:
        """Read and apply rows (n, WORDS) in order; row i's vector goes to matrix[wanted[i]], none where wanted[i] < 0.

        matrix: C-contiguous, at least as wide as the plan. stream (n, 3): number, clock and active slots of each row, when
        the rows are a part of a longer history (see `features.parts`).
        """
        assert rows.flags.c_contiguous and rows.shape[1] == WORDS and rows.dtype == np.int64, "rows are as encoded"
        assert matrix.flags.c_contiguous and matrix.shape[1] >= len(self.plan), "a vector fits in a row of the matrix"
        wanted = np.ascontiguousarray(wanted, np.int64)
        assert len(wanted) == len(rows) and wanted.max(initial=-1) < len(matrix), "every vector has a place"
        done, self._read = 0, None
        while True:
            done = kernel.replay(
                self._handle, _address(rows), WORDS, len(rows), _address(wanted), _address(matrix), matrix.shape[1], done,
                WHOLE if stream is None else _address(stream),
            )  # fmt: skip
            if done == len(rows):
                return
            self._grow()

    def _grow(self) -> None:
        """More room wherever little is left; a hash table that grew is filled anew."""
        meta, slots = self._meta, self._header(Table.SLOTS)
        pool, directory, pairs = (self._buffers[name] for name in (Buffer.POOL, Buffer.DIRECTORY, Buffer.PAIRS))
        room = slots * self._header(Table.WIDEST)
        if meta[kernel.M_POOL] + room > len(pool):
            longer = _zeros(2 * len(pool) + room)
            longer[: len(pool)] = pool
            self._hold({Buffer.POOL: longer})
        if 5 * (meta[kernel.M_PAIRS] + slots * MAX_FAMILIES) > 3 * meta[kernel.M_PAIRS_SIZE]:
            self._hold({Buffer.PAIRS: _no_pairs(2 * len(pairs) // PAIR_WORDS)})
            kernel.reindex_pairs(self._handle, _address(pairs), len(pairs) // PAIR_WORDS)
        if 2 * (meta[kernel.M_LIVE] + slots) > len(directory):
            self._hold({Buffer.DIRECTORY: _zeros(2 * len(directory))})
            kernel.reindex_entities(self._handle)

    def snapshot(self, path: Path, **notes: Any) -> None:
        """Write the state whole or not at all; notes (such as the ledger's sequence) come back from `restore`."""
        header = {"format": SNAPSHOT_FORMAT, "plan": self.plan.hash, "notes": notes}
        used = {
            Buffer.LOG: min(self.applied, self._rows) * self._header(Table.LOG_WORDS),
            Buffer.POOL: int(self._meta[kernel.M_POOL]),
        }
        draft = path.with_name(path.name + ".draft")
        with draft.open("wb") as file:
            arrays: dict[str, Any] = {
                "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
                **{name.name.lower(): self._buffers[name][: used.get(name)] for name in SAVED},
            }
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    @classmethod
    def restore(cls, plan: Plan, path: Path) -> tuple["Engine", dict[str, Any]]:
        """The engine and the notes of a snapshot; StateError if another plan made it or it is damaged."""
        engine = cls(plan)
        try:
            with path.open("rb") as opened, np.load(opened) as file:
                header = json.loads(file["header"].tobytes())
                if header["format"] != SNAPSHOT_FORMAT or header["plan"] != plan.hash:
                    raise StateError(
                        f"{path} was made by features {header['plan'][:12]}, running are {plan.hash[:12]}; remove it"
                    )
                engine._hold({name: _filled(name, file[name.name.lower()], engine._buffers[name]) for name in SAVED})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StateError(
                f"{path} is not a readable snapshot ({error}); remove it, the state is rebuilt from the ledger"
            ) from error
        return engine, header["notes"]


def _address(array: NDArray[Any]) -> int:
    return array.ctypes.data if array.size else 0


def _zeros(words: int) -> Integers:
    """Zeros that begin on a cache line: a record or a pair then touches no line too many.

    Long ones come in pages of 2 MiB where the system has them: entities lie anywhere, and finding a page costs as much as
    reading a line of it (409 ns against 259 for a dependent read of one in a gigabyte). A page is taken when it is touched.
    """
    if words < IN_LARGE_PAGES:
        whole = np.zeros(words + 8, np.int64)
        skip = -whole.ctypes.data % 64 // 8
        return whole[skip : skip + words]
    memory = mmap.mmap(-1, words * 8, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.int64)


def _no_pairs(slots: int) -> Integers:
    pairs = _zeros(slots * PAIR_WORDS)
    pairs[::PAIR_WORDS] = -1
    return pairs


def _empty(rows: int, log_words: int, widest: int) -> dict[Buffer, Integers]:
    meta = _zeros(META_WORDS)
    meta[kernel.M_CLOCK] = meta[kernel.M_EVICTED_TIME] = MISSING
    meta[kernel.M_FREE :] = -1
    return {
        Buffer.META: meta, Buffer.LOG: _zeros(rows * log_words), Buffer.POOL: _zeros(FIRST_ENTITIES * widest),
        Buffer.DIRECTORY: _zeros(4 * FIRST_ENTITIES), Buffer.PAIRS: _no_pairs(2 * FIRST_ENTITIES),
    }  # fmt: skip


def _filled(name: Buffer, saved: Integers, empty: Integers) -> Integers:
    """A saved buffer with the room at its end that was not saved."""
    filled = empty if name in {Buffer.LOG, Buffer.POOL} and len(empty) >= len(saved) else _zeros(len(saved))
    filled[: len(saved)] = saved
    return filled
