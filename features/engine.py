"""The engine: one state of behaviour, read and applied one arrival at a time, or replayed over many."""

import contextlib
import json
import mmap
import os
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from domain.errors import StateError
from features import kernel
from features.kernel import BEYOND, META_WORDS, PAIR_WORDS, Buffer
from features.layout import LANES, MISSING, WORDS
from features.plan import FAMILY_WORDS, MAX_FAMILIES, SLOT_WORDS, SPACE_WORDS, Plan, Table

Vector = NDArray[np.float64]
Integers = NDArray[np.int64]
SNAPSHOT_FORMAT = 7
SAVED = (Buffer.META, Buffer.LOG, Buffer.POOL, Buffer.DIRECTORY, Buffer.PAIRS)
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
READ_BYTES = 1 << 20
FIRST_HOMES = 1 << 11
"""Of a hash table of a new state."""
MAP_NORESERVE = 0x4000 if sys.platform == "linux" else 0
"""Address space alone, not counted as memory until it is touched."""


class Engine:
    """Behaviour of every customer, recipient, device and so on, as of the last arrival applied.

    Not safe for several threads: one process applies arrivals in one order, which is the order of the ledger.
    """

    def __init__(
        self, plan: Plan, rows: int | None = None, applied: int = 0, clock: int = MISSING, is_for_one: bool = False
    ) -> None:
        """rows: of the log's ring; by default one more than the plan retains. Memory is taken as it is filled.

        applied, clock: how many arrivals came before, of which nothing is known but the latest time among them. is_for_one: of
        one entity at a time, as `by_entity` replays: without room for records of others.
        """
        if kernel.compiled_layout() != kernel.LAYOUT:
            raise StateError("the compiled kernel is older than features/layout.py or plan.py; remove features/__pycache__")
        self.plan = plan
        self._rows = plan.retained + 1 if rows is None else rows
        self._buffers: dict[Buffer, NDArray[Any]] = {
            Buffer.TABLES: plan.program.tables, Buffer.FLOATS: plan.program.floats,
            Buffer.SCRATCH: _zeros(kernel.X_COPIES + self._header(Table.RECORDS) + LANES),
            Buffer.VECTOR: np.empty(len(plan) + LANES, np.float64),
        }  # fmt: skip
        self._read: object = None
        self._row = self._buffers[Buffer.SCRATCH][kernel.X_ROW : kernel.X_ROW + WORDS]
        self._vector = self._buffers[Buffer.VECTOR][: len(plan)]
        self._addresses = np.zeros(len(Buffer), np.int64)
        self.handle = address_of(self._addresses)
        self._hold(_empty(plan.program.tables, self._rows, 1 if is_for_one else self._rows))
        self._meta[kernel.M_NUMBER], self._meta[kernel.M_CLOCK] = applied, clock

    def _header(self, name: Table) -> int:
        return int(self.plan.program.tables[name])

    def _hold(self, buffers: dict[Buffer, Integers]) -> None:
        """Take over buffers, and tell the kernel where they are and how long."""
        self._buffers.update(buffers)
        self._meta = meta = self._buffers[Buffer.META]
        meta[kernel.M_ROWS] = self._rows
        for name, buffer in self._buffers.items():
            self._addresses[name] = address_of(buffer)

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
        """Bytes in use by the state: of what has room at its end, without that room."""
        used = self._used()
        return sum(8 * used.get(name, len(self._buffers[name])) for name in SAVED)

    def _used(self) -> dict[Buffer, int]:
        """Words in use of the buffers that are longer than what is in them."""
        rows = min(self.applied, self._rows)
        return {
            Buffer.LOG: rows * self._header(Table.LOG_WORDS), Buffer.POOL: int(self._meta[kernel.M_POOL]),
            Buffer.DIRECTORY: _places(self._meta, kernel.M_DIRECTORY_SHIFT),
            Buffer.PAIRS: _places(self._meta, kernel.M_PAIRS_SHIFT) * PAIR_WORDS,
        }  # fmt: skip

    def read(self, row: Sequence[int] | Integers) -> Vector:
        """The vector (features,) float64 of an operation that has not arrived yet; changes nothing."""
        self._row[...] = row
        kernel.read(self.handle)
        self._read = row
        return self._vector.copy()

    def apply(self, row: Sequence[int] | Integers) -> None:
        """Let an arrival happen: once for each, in the ledger's order. A row object that was read last is not changed in between."""
        was_read, self._read = row is self._read, None  # nothing happened between: the kernel still has what it found
        if not was_read:
            self._row[...] = row
        while not kernel.apply(self.handle, was_read):
            self._grow()
            was_read = False

    def replay(
        self,
        rows: Integers,
        matrix: Vector,
        wanted: Integers,
    ) -> None:
        """Read and apply rows (n, WORDS) in order; row i's vector goes to matrix[wanted[i]], none where wanted[i] < 0.

        matrix: C-contiguous, at least as wide as the plan.
        """
        wanted = np.ascontiguousarray(wanted, np.int64)
        self._check(rows, matrix, wanted)
        done, self._read = 0, None
        while True:
            done = kernel.replay(
                self.handle, address_of(rows), WORDS, len(rows), address_of(wanted), address_of(matrix), matrix.shape[1], done,
            )  # fmt: skip
            if done == len(rows):
                return
            self._grow()

    def _check(self, rows: Integers, matrix: Vector, wanted: Integers) -> None:
        """ValueError for arrays that the kernel would read or write beside: it goes by addresses and trusts them."""
        fits = {
            f"rows {rows.dtype} {rows.shape}, allowed int64 (n, {WORDS})": rows.shape[1:] == (WORDS,) and _is_plain(rows, np.int64),
            f"matrix {matrix.dtype} {matrix.shape}, allowed float64 (m, {len(self.plan)} or more)":
                matrix.ndim == 2 and matrix.shape[1] >= len(self.plan) and _is_plain(matrix, np.float64),
            f"{len(wanted)} wanted places of {len(rows)} rows up to {wanted.max(initial=-1)}, allowed below {len(matrix)}":
                len(wanted) == len(rows) and wanted.max(initial=-1) < len(matrix),
            f"{len(rows)} rows more than a ring of {self._rows} holds":
                self._rows > self.plan.retained or self._meta[kernel.M_KEPT] + len(rows) <= self._rows,
        }  # fmt: skip
        for what, holds in fits.items():
            if not holds:
                raise ValueError(f"replay: {what}, C-contiguous")

    def _grow(self) -> None:
        """Hash tables twice as long where little room is left."""
        directory, pairs = self._buffers[Buffer.DIRECTORY], self._buffers[Buffer.PAIRS]
        if not kernel.make_room(self.handle, len(directory), len(pairs) // PAIR_WORDS):
            raise StateError(
                f"a hash table of {self.entities} entities or {int(self._meta[kernel.M_PAIRS])} pairs is full, though as long as"
                f" {self._rows} arrivals need it when hashes fall evenly; retain more arrivals"
            )

    def _check_lengths(self, saved: dict[Buffer, int]) -> None:
        """ValueError unless every saved buffer is as long as the state says: the kernel trusts it."""
        allowed = {**{name: len(self._buffers[name]) for name in SAVED}, **self._used()}
        for name in SAVED:
            if saved[name] != allowed[name]:
                raise ValueError(f"{name.name.lower()} has {saved[name]} words, allowed {allowed[name]}")

    def snapshot(self, path: Path, **notes: Any) -> None:
        """Write the state whole or not at all; notes (such as the ledger's sequence) come back from `restore`."""
        header = {"format": SNAPSHOT_FORMAT, "plan": self.plan.hash, "layout": _layout(self.plan), "notes": notes}
        used = self._used()
        arrays: dict[str, Any] = {
            "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
            **{name.name.lower(): self._buffers[name][: used.get(name)] for name in SAVED},
        }
        draft = path.with_name(path.name + ".draft")
        try:
            with draft.open("wb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)  # of a disk that is full, for one

    @staticmethod
    def notes(path: Path) -> dict[str, Any]:
        """The notes of a snapshot, without its state; StateError where it cannot be read."""
        try:
            with zipfile.ZipFile(path) as file:
                return dict(_header(file)["notes"])
        except UNREADABLE as error:
            raise StateError(f"{path} is not a readable snapshot ({error})") from error

    @classmethod
    def restore(cls, plan: Plan, path: Path) -> tuple["Engine", dict[str, Any]]:
        """The engine and the notes of a snapshot; StateError if another plan made it or it is damaged."""
        engine = cls(plan)
        try:
            with zipfile.ZipFile(path) as file:
                header = _header(file)
                if header["format"] != SNAPSHOT_FORMAT:
                    raise StateError(f"{path} is of format {header['format']}, allowed {SNAPSHOT_FORMAT}; remove it")
                if header["plan"] != plan.hash:
                    raise StateError(
                        f"{path} was made by features {header['plan'][:12]}, running are {plan.hash[:12]}; remove it"
                    )
                if header["layout"] != _layout(plan):
                    raise StateError(f"{path} was made by a release that lays records out in another way; remove it")
                lengths = {name: _fill(file, name, engine._buffers[name]) for name in SAVED}
                engine._hold({name: engine._buffers[name] for name in SAVED})
                engine._check_lengths(lengths)
        except UNREADABLE as error:
            raise StateError(
                f"{path} is not a readable snapshot ({error}); remove it, the state is rebuilt from the ledger"
            ) from error
        return engine, header["notes"]


def numbered(asked: NDArray[np.bool_], first: int = 0) -> Integers:
    """(n,) for each row that is asked for its place among those that are, from `first` on; -1 for the others."""
    return np.where(asked, first - 1 + np.cumsum(asked), -1)


def _layout(plan: Plan) -> int:
    """Stands for what each word of a state means: declarations may stay as they are while releases lay them out otherwise."""
    return zlib.crc32(plan.program.tables.tobytes(), kernel.LAYOUT)


def _is_plain(array: NDArray[Any], dtype: type[np.generic]) -> bool:
    return array.dtype == dtype and bool(array.flags.c_contiguous)


def address_of(array: NDArray[Any]) -> int:
    """Where an array's memory begins; the kernel goes by it."""
    return array.ctypes.data if array.size else 0


def _zeros(words: int) -> Integers:
    """Zeros that begin on a cache line: a record or a pair then touches no line too many."""
    whole = np.zeros(words + 8, np.int64)
    skip = -whole.ctypes.data % 64 // 8
    return whole[skip : skip + words]


def reserved(words: int) -> Integers:
    """Zeros of which memory is taken page by page when they are first touched: so nothing that grows in them ever moves.

    In pages of 2 MiB where the system has them: entities lie anywhere, and finding a page costs as much as reading a line of
    it (409 ns against 259 for a dependent read of one in a gigabyte). StateError where so much cannot be addressed.
    """
    try:
        memory = mmap.mmap(-1, max(words, 1) * 8, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    except OSError as error:
        raise StateError(
            f"{words * 8 >> 20} MiB of addresses cannot be reserved ({error}); raise the process's limit of virtual memory"
        ) from error
    with contextlib.suppress(OSError, AttributeError):  # systems without large pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.int64)


def _places(meta: Integers, shift: int) -> int:
    """Of a hash table, by the word of meta that says how long it is."""
    return (1 << 64 - int(meta[shift])) + BEYOND


def _most_places(entries: int) -> int:
    """Of a hash table in which so many entries have room."""
    return max(FIRST_HOMES, 1 << (5 * entries // 3).bit_length()) + BEYOND


def _followed(tables: Integers) -> int:
    """How many pairs one arrival can bring."""
    rows = range(tables[Table.SLOT], tables[Table.SLOT] + SLOT_WORDS * tables[Table.SLOTS], SLOT_WORDS)
    spaces = [tables[Table.SPACE] + SPACE_WORDS * tables[row] for row in rows]
    return sum(int(tables[space + 4] - tables[space + 3]) // FAMILY_WORDS for space in spaces)


def _empty(tables: Integers, rows: int, entities: int) -> dict[Buffer, Integers]:
    """The buffers of a state without history, for a log of so many rows, and so many entities of each slot."""
    meta = _zeros(META_WORDS)
    meta[kernel.M_CLOCK] = meta[kernel.M_EVICTED_TIME] = MISSING
    meta[kernel.M_FREE :] = -1
    meta[kernel.M_DIRECTORY_SHIFT] = meta[kernel.M_PAIRS_SHIFT] = 65 - FIRST_HOMES.bit_length()
    slots = int(tables[Table.SLOTS])
    return {
        Buffer.META: meta, Buffer.LOG: reserved(rows * int(tables[Table.LOG_WORDS])),
        Buffer.POOL: reserved(entities * int(tables[Table.RECORDS]) + LANES),
        Buffer.DIRECTORY: reserved(_most_places((entities + 1) * slots)),
        Buffer.PAIRS: reserved(_most_places(rows * _followed(tables) + slots * MAX_FAMILIES) * PAIR_WORDS),
    }  # fmt: skip


def _header(file: zipfile.ZipFile) -> dict[str, Any]:
    """What a snapshot says of itself."""
    with file.open("header.npy") as member:
        return dict(json.loads(npy.read_array(member).tobytes()))


def _fill(file: zipfile.ZipFile, name: Buffer, empty: Integers) -> int:
    """Read a saved buffer to where it will stand, some at a time; how many words it has. The room at its end is left as it is.

    An array of its own for each, copied then, took 1.2 GiB more and four times as long for 1.2 GiB: most of it was taking memory.
    """
    with file.open(f"{name.name.lower()}.npy") as member:
        npy.read_magic(member)
        shape, _, dtype = npy.read_array_header_1_0(member)
        if dtype != np.int64 or len(shape) != 1 or shape[0] > len(empty) or (name is Buffer.META and shape[0] != len(empty)):
            raise ValueError(f"{name.name.lower()} is {dtype} {shape}, allowed int64 up to {len(empty)}")
        bytes_ = empty[: shape[0]].view(np.uint8).data
        for place in range(0, len(bytes_), READ_BYTES):
            part = bytes_[place : place + READ_BYTES]
            part[:] = member.read(len(part))
    return int(shape[0])
