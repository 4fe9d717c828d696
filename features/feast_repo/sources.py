"""The Parquet files that Feast's offline store reads: profiles, one file per kind of entity and day, and operations in one file."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from domain.errors import HistoryError
from features.feast_repo.views import (
    OPERATION,
    OPERATION_ROW,
    TIME,
    day_name,
    operations_file,
    packed_name,
    profiles_folder,
    whose_name,
)
from features.layout import WORDS, Word
from features.packed_profiles import PackedProfiles
from features.profile_days import Block
from features.profile_kernel import Integers
from features.profile_language import Whose
from features.profiles import LAYOUTS, date_of, day_of, known_from

_INSTANT = pa.timestamp("ms", tz="UTC")
_COMPRESSION = {"compression": "zstd", "compression_level": 1}


def write_profiles(folder: Path, whose: Whose, days: list[int], blocks: Iterable[Block]) -> int:
    """Write the files of the given local days from blocks of their profiles, block by block; how many profiles were written.

    The files appear at the end, each whole, or not at all.
    """
    written = 0
    with contextlib.ExitStack() as stack:
        writers = {day: stack.enter_context(_day_writer(profiles_file(folder, whose, day), whose)) for day in days}
        for block in blocks:
            for day, writer in writers.items():
                mine = (block.days == day) & ~block.is_empty
                if mine.any():
                    writer.write_table(_profiles_table(whose, block.keys[mine], day, block.rows[mine]))
                    written += int(mine.sum())
    return written


def read_profiles(folder: Path, whose: Whose, day: int) -> PackedProfiles:
    """The profiles of one local day; HistoryError when its file is damaged."""
    path = profiles_file(folder, whose, day)
    try:
        table = pq.read_table(path, partitioning=None)
    except pa.ArrowInvalid as error:
        raise HistoryError(f"{path} is not a readable Parquet file: {error}; remove it and materialise again") from None
    keys = table[whose_name(whose)].to_numpy()
    return PackedProfiles.of(whose, keys, np.full(len(keys), day), unpacked(table[packed_name(whose)].to_pylist(), whose))


def days_done(folder: Path, whose: Whose) -> set[int]:
    """The local days whose profiles are in the offline store."""
    return {day_of(date.fromisoformat(path.stem)) for path in profiles_folder(folder, whose).glob("[!.]*.parquet")}


def profiles_file(folder: Path, whose: Whose, day: int) -> Path:
    """The file of a day."""
    return profiles_folder(folder, whose) / f"{date_of(day).isoformat()}.parquet"


def unpacked(values: list[bytes], whose: Whose) -> Integers:
    """Packed rows as bytes -> (m, width) int64."""
    return np.frombuffer(b"".join(values), "<i8").astype(np.int64).reshape(-1, LAYOUTS[whose].width)


def write_operations(folder: Path, vectors: pa.Table, rows: Integers, names: tuple[str, ...]) -> None:
    """Write the file of operations: `vectors` has operation_id and a column of each name, rows (n, WORDS) are theirs."""
    columns = {
        OPERATION: vectors[OPERATION], TIME: pa.array(rows[:, Word.TIME]).cast(_INSTANT),
        **{whose_name(whose): pa.array(rows[:, whose.word]) for whose in Whose},
        OPERATION_ROW: _binary(rows, WORDS), **{name: vectors[name] for name in names},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with _whole_file(operations_file(folder)) as draft:
        pq.write_table(pa.table(columns), draft, **_COMPRESSION)


def entity_frame(folder: Path) -> pa.Table:
    """What `get_historical_features` is asked with: operation_id, event_timestamp and the three keys of each operation."""
    path = operations_file(folder)
    if not path.is_file():
        raise HistoryError(f"{path} is missing; run `burana features materialise --matrix`")
    return pq.read_table(path, columns=[OPERATION, TIME, *map(whose_name, Whose)])


def _profiles_table(whose: Whose, keys: Integers, day: int, rows: Integers) -> pa.Table:
    return pa.table({
        whose_name(whose): keys,
        TIME: pa.array(np.full(len(keys), known_from(day))).cast(_INSTANT),
        day_name(whose): np.full(len(keys), day),
        packed_name(whose): _binary(rows, LAYOUTS[whose].width),
    })  # fmt: skip


def _binary(rows: Integers, words: int) -> pa.Array:
    """(n, words) -> n values of 8 * words bytes, little-endian."""
    data = pa.py_buffer(np.ascontiguousarray(rows, "<i8").tobytes())
    return pa.Array.from_buffers(pa.binary(8 * words), len(rows), [None, data]).cast(pa.large_binary())


@contextlib.contextmanager
def _day_writer(path: Path, whose: Whose) -> Iterator[pq.ParquetWriter]:
    schema = _profiles_table(whose, np.zeros(0, np.int64), 0, np.zeros((0, LAYOUTS[whose].width), np.int64)).schema
    with _whole_file(path) as draft, pq.ParquetWriter(draft, schema, **_COMPRESSION) as writer:
        yield writer


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A draft that becomes `path` in one rename when the block ends well; hidden, so that no reader of the folder takes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    yield draft
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)
