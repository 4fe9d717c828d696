"""Partition files: one Arrow stream for each part of each kind of entity, written slice by slice, read whole by its task."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.errors import SettingsError
from features.by_entity import Arrivals, Gathering
from features.layout import WORDS, Word
from features.parts import split
from features.shares import Entity

Integers = NDArray[np.int64]
MOST_PARTS = 64
"""Of one kind of entity: a file is open for each part while they are written."""
STREAM = ("number", "clock", "active", "wanted")
SCHEMA = pa.schema([pa.field(name, pa.int64()) for name in (*STREAM, *(word.name.lower() for word in Word))])
"""A row of a part: its place in the stream (number, clock, slots whose entity is of the part, row of the matrix), then the words of the arrival."""


@dataclass(frozen=True)
class Rows:
    """Some arrivals of a history in order: rows (n, WORDS), and number, clock and wanted row of the matrix (n,) of each."""

    rows: Integers
    number: Integers
    clock: Integers
    wanted: Integers


class PartitionFiles:
    """Files `NAME-PART.arrow` in a folder; a part without rows has none."""

    def __init__(self, folder: Path, entities: dict[str, Entity], parts: int) -> None:
        """entities: by the name that their files get. SettingsError for a number of parts that is not allowed."""
        if not 1 <= parts <= MOST_PARTS:
            raise SettingsError(f"parts: seen {parts}, allowed 1 to {MOST_PARTS}")
        self._folder, self._entities, self._parts = folder, entities, parts
        self._open: dict[Path, pa.ipc.RecordBatchStreamWriter] = {}

    def __enter__(self) -> "PartitionFiles":
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._open.values():
            writer.close()

    def write(self, arrivals: Rows) -> None:
        """Append arrivals to every part that they belong to."""
        for name, entity in self._entities.items():
            found = split(arrivals.rows, entity, self._parts)
            for part, (first, last) in enumerate(zip(found.bounds[:-1], found.bounds[1:], strict=True)):
                if last > first:
                    index, active = found.index[first:last], found.active[first:last]
                    self._append(part_path(self._folder, name, part), arrivals, index, active)

    def _append(self, path: Path, arrivals: Rows, index: Integers, active: Integers) -> None:
        if path not in self._open:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._open[path] = pa.ipc.new_stream(path, SCHEMA, options=options)
        words = np.ascontiguousarray(np.take(arrivals.rows, index, axis=0).T)
        columns = (arrivals.number[index], arrivals.clock[index], active, arrivals.wanted[index], *words)
        self._open[path].write_batch(pa.record_batch([pa.array(column) for column in columns], schema=SCHEMA))


def part_path(folder: Path, name: str, part: int) -> Path:
    """`account-007.arrow`."""
    return folder / f"{name}-{part:03}.arrow"


def written_parts(folder: Path, name: str, parts: int) -> Iterator[tuple[int, Path]]:
    """The parts of one kind of entity that have rows."""
    for part in range(parts):
        path = part_path(folder, name, part)
        if path.is_file():
            yield part, path


@dataclass(frozen=True)
class Part:
    """Arrivals of one part in their order, of each (n,) int64 its number in the whole history, bits of the slots whose entity is
    of this part, and the row of the whole matrix that takes its vector, or -1.
    """

    arrivals: Arrivals
    numbers: Integers
    active: Integers
    wanted: Integers


def read_part(path: Path) -> Part:
    """A part, whole in memory: 420 bytes a row."""
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_stream(source).read_all()
        rows = np.empty((len(table), WORDS), np.int64)
        for word in Word:
            rows[:, word] = table.column(len(STREAM) + word)
        numbers, clocks, active, wanted = (np.array(table.column(name), np.int64) for name in STREAM)
    gathering = Gathering(len(rows))
    gathering.append(rows, wanted >= 0, clocks)
    return Part(gathering.arrivals(), numbers, active, wanted)
