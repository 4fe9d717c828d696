"""The Parquet files that Feast's offline store reads: profiles, one file per kind of entity and day, and operations in one file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
from features.profile_kernel import Integers
from features.profile_language import Whose
from features.profiles import LAYOUTS, date_of, day_of, known_from

_INSTANT = pa.timestamp("ms", tz="UTC")
_COMPRESSION = {"compression": "zstd", "compression_level": 1}


def write_profiles(folder: Path, profiles: PackedProfiles, days: list[int]) -> None:
    """Write the files of the given local days from profiles that hold them all; each appears whole or not at all."""
    for day in days:
        mine = profiles.days == day
        table = _profiles_table(profiles.whose, profiles.keys[mine], day, profiles.rows[mine])
        with _whole_file(profiles_file(folder, profiles.whose, day)) as draft:
            pq.write_table(table, draft, **_COMPRESSION)


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


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A draft that becomes `path` in one rename when the block ends well; hidden, so that no reader of the folder takes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    yield draft
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)
