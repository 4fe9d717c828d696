"""Canonical history: a folder with operations.parquet, events.parquet and outcomes.parquet, in arrival order.

The columns are the fields of the domain's structs, flattened (`sender.customer_id` -> `sender_customer_id`), and `sequence`:
the place in the one order of arrival that all three files share. Identifiers are in normal form, time is UTC milliseconds.
A history that comes from a ledger also has decisions.parquet: what was decided of the operations (`features/decisions.py`).
"""

import hashlib
import itertools
import os
import shutil
import tempfile
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from domain import instants
from domain.errors import HistoryError
from domain.events import Event, Outcome
from domain.money import Money
from domain.operation import Access, Device, Funding, Operation, Party
from features.decisions import DECISIONS
from features.decisions import FILE as DECISIONS_FILE

_PARTS = (Party, Device, Access, Funding, Money)
_TIME = pa.timestamp("ms", tz="UTC")


def _leaf(annotation: Any) -> tuple[pa.DataType, bool]:
    """The Arrow type of a field and whether it may be null."""
    options = [a for a in typing.get_args(annotation) if a is not type(None)] if _is_optional(annotation) else [annotation]
    bare = options[0]
    while hasattr(bare, "__metadata__"):
        bare = bare.__origin__
    arrow = {datetime: _TIME, int: pa.int64(), float: pa.float64(), bool: pa.bool_()}.get(bare, pa.string())
    return arrow, _is_optional(annotation)


def _is_optional(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation)


def _part_of(annotation: Any) -> type[Struct] | None:
    options = (*typing.get_args(annotation), annotation)
    return next((part for part in _PARTS if part in options), None)


@dataclass(frozen=True)
class Column:
    """A column of a history file and the way to its value in the struct: (`sender`, `phone`) or (`kind`,)."""

    path: tuple[str, ...]
    arrow: pa.DataType
    nullable: bool

    @property
    def name(self) -> str:
        """`sender_phone`; the two parts of money are `amount_minor` and `currency`."""
        return "currency" if self.path == ("amount", "currency") else "_".join(self.path)


def _columns(struct: type[Struct]) -> tuple[Column, ...]:
    columns: list[Column] = []
    for name, annotation in typing.get_type_hints(struct, include_extras=True).items():
        part = _part_of(annotation)
        if part is None:
            columns.append(Column((name,), *_leaf(annotation)))
            continue
        for inner, inner_annotation in typing.get_type_hints(part, include_extras=True).items():
            arrow, nullable = _leaf(inner_annotation)
            columns.append(Column((name, inner), arrow, nullable or part is not Money))
    return tuple(columns)


COLUMNS: dict[type[Struct], tuple[Column, ...]] = {struct: _columns(struct) for struct in (Operation, Event, Outcome)}
"""The columns of each file, from the domain's structs."""


def schema(struct: type[Struct]) -> pa.Schema:
    """The named schema of the file of `struct`: `sequence`, then its columns."""
    columns = [pa.field(c.name, c.arrow, nullable=c.nullable) for c in COLUMNS[struct]]
    return pa.schema([pa.field("sequence", pa.int64(), nullable=False), *columns])


OPERATIONS, EVENTS, OUTCOMES = schema(Operation), schema(Event), schema(Outcome)
_STRUCTS: dict[str, type[Struct]] = {"operations": Operation, "events": Event, "outcomes": Outcome}
ARRIVALS = tuple(_STRUCTS)
"""The files of what arrives, which every history has."""
_SCHEMAS = {**{name: schema(struct) for name, struct in _STRUCTS.items()}, DECISIONS_FILE: DECISIONS}


@dataclass(frozen=True)
class History:
    """Three tables with the schemas OPERATIONS, EVENTS, OUTCOMES; `sequence` rises in each and is shared by none.

    decisions: with the schema DECISIONS, `sequence` being that of the operation; None where nothing is known of decisions.
    """

    operations: pa.Table
    events: pa.Table
    outcomes: pa.Table
    decisions: pa.Table | None = None

    def __post_init__(self) -> None:
        for name, table in self.tables.items():
            _check(name, table, _SCHEMAS[name])
        order = np.concatenate([table["sequence"].to_numpy() for table in self.arrivals.values()])
        if np.any(np.diff(np.sort(order, kind="stable")) == 0):  # sorted runs: a stable sort merges them
            raise HistoryError("a sequence number stands in two of operations, events, outcomes; each arrival has its own")
        if self.decisions is not None:
            strange = ~np.isin(self.decisions["sequence"].to_numpy(), self.operations["sequence"].to_numpy())
            if strange.any():
                raise HistoryError(f"decisions: {strange.sum()} of operations that are not in the history")

    def __len__(self) -> int:
        return sum(table.num_rows for table in self.arrivals.values())

    @property
    def arrivals(self) -> dict[str, pa.Table]:
        """What arrived, by the name of its file."""
        return {name: getattr(self, name) for name in ARRIVALS}

    @property
    def tables(self) -> dict[str, pa.Table]:
        """Every table that there is, by the name of its file."""
        return self.arrivals | ({} if self.decisions is None else {DECISIONS_FILE: self.decisions})


def _check(name: str, table: pa.Table, wanted: pa.Schema) -> None:
    """HistoryError unless a table has its schema, a value wherever one must be, and a sequence that rises."""
    if not table.schema.equals(wanted):
        raise HistoryError(_difference(name, table.schema, wanted))
    nulls = [f.name for f in wanted if not f.nullable and table[f.name].null_count]
    if nulls:
        raise HistoryError(f"{name}: no value in {', '.join(nulls)}, which every row must have")
    if np.any(np.diff(table["sequence"].to_numpy()) <= 0):
        raise HistoryError(f"{name}: sequence does not rise from row to row")


def _difference(name: str, seen: pa.Schema, wanted: pa.Schema) -> str:
    missing = [f"{f.name} ({f.type})" for f in wanted if f.name not in seen.names]
    unknown = [n for n in seen.names if n not in wanted.names]
    typed = [
        f"{f.name}: {seen.field(f.name).type}, allowed {f.type}"
        for f in wanted
        if f.name in seen.names and not seen.field(f.name).equals(f)
    ]
    return f"{name} does not have its schema: missing {missing}, unknown {unknown}, otherwise typed {typed}, or in another order"


def table_of(records: list[Any], struct: type[Struct], sequence: np.ndarray | list[int]) -> pa.Table:
    """Canonical records and their places in the order -> the table of their file."""
    arrays = [pa.array(sequence, pa.int64())]
    for column in COLUMNS[struct]:
        arrays.append(pa.array([_value(record, column.path) for record in records], column.arrow))
    return pa.Table.from_arrays(arrays, schema=schema(struct))


def _value(record: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if record is None:
            return None
        record = getattr(record, name)
    return str(record) if isinstance(record, str) else record


def records_of(table: pa.Table, struct: type[Struct], batch: int = 4096) -> Iterator[tuple[int, Any]]:
    """(sequence, record) of each row, as the domain's structs; the inverse of `table_of`."""
    columns = COLUMNS[struct]
    for chunk in table.to_batches(max_chunksize=batch):
        given = [(column.path, values) for column in columns if (values := _given(chunk, column.name)) is not None]
        for row, sequence in enumerate(chunk.column("sequence").to_pylist()):
            nested: dict[str, Any] = {}
            for path, values in given:
                if (value := values[row]) is None:
                    continue
                if len(path) == 1:
                    nested[path[0]] = value
                else:
                    nested.setdefault(path[0], {})[path[1]] = value
            yield sequence, msgspec.convert(nested, struct)


def _given(chunk: pa.RecordBatch, name: str) -> list[Any] | None:
    """The values of a column, None where it has none: most columns of most histories, and each costs a look at every row."""
    column = chunk.column(name)
    return None if column.null_count == len(column) else column.to_pylist()


def empty(struct: type[Struct]) -> pa.Table:
    """A table of no rows with the schema of `struct`."""
    return schema(struct).empty_table()


def read(folder: Path) -> History:
    """The history of a folder, with its decisions where it has them; HistoryError says which file is missing, damaged or differs."""
    tables = {}
    for name in _SCHEMAS:
        path = folder / f"{name}.parquet"
        if not path.is_file() and name == DECISIONS_FILE:
            continue
        if not path.is_file():
            raise HistoryError(
                f"{path} is missing; a history is a folder with {', '.join(f'{n}.parquet' for n in _STRUCTS)}"
            )
        try:
            with pq.ParquetFile(path) as file:  # `read_table` takes twice as long, and a second to import datasets
                tables[name] = _table(file)
        except pa.ArrowInvalid as error:
            raise HistoryError(f"{path} is not a readable Parquet file: {error}") from None
    history = History(**tables)
    ids = history.operations["operation_id"]
    if len(ids.unique()) != len(ids):  # `count_distinct` takes twice to three times as long
        raise HistoryError(
            f"{folder}: an operation_id stands in operations.parquet more than once; each names one operation"
        )
    return history


def _table(file: pq.ParquetFile) -> pa.Table:
    """The table of a file. Columns that have no value by the file's own count are not read, and those of a type share their nulls:
    most columns of most histories, 1.5 million operations and outcomes take 224 MiB in place of 414."""
    fields, rows = file.schema_arrow, file.metadata.num_rows
    without = _without_values(file.metadata)
    nulls = {field.type: pa.nulls(rows, field.type) for field in fields if field.name in without}
    given = file.read([field.name for field in fields if field.name not in without])
    columns = [nulls[field.type] if field.name in without else given[field.name] for field in fields]
    return pa.Table.from_arrays(columns, schema=fields)


def _without_values(metadata: pq.FileMetaData) -> set[str]:
    """The columns of which a file says that every value is null."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return {
        metadata.schema.column(place).path
        for place in range(metadata.num_columns)
        if groups and all(_is_null(group.column(place)) for group in groups)
    }


def _is_null(column: pq.ColumnChunkMetaData) -> bool:
    """Whether a part of a column is counted, and has nulls alone."""
    counted = column.statistics is not None and column.statistics.has_null_count
    return bool(counted and column.statistics.null_count == column.num_values)


def write(history: History, folder: Path) -> None:
    """Write the folder whole or not at all; HistoryError if it already exists."""
    with whole_folder(folder) as draft:
        write_tables(history, draft)


def write_tables(history: History, folder: Path) -> None:
    """The files of a history into a folder that is there."""
    for name, table in history.tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A draft folder that becomes `folder` in one rename when the block ends well, and vanishes when it does not.

    What it holds is on the disk before it has its name, and the name when this returns.
    """
    if folder.exists():
        raise HistoryError(f"{folder} exists; name a new folder or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield draft
        _sync(*draft.iterdir(), draft)
        draft.rename(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sync(*paths: Path) -> None:
    """Wait until files, or the names in a folder, are on the disk."""
    for path in paths:
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def sha256(folder: Path) -> str:
    """Hash of the three files, and of the decisions where they are: which data a model was trained on."""
    digest = hashlib.sha256()
    for path in (folder / f"{name}.parquet" for name in _SCHEMAS):
        if path.stem == DECISIONS_FILE and not path.exists():
            continue
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def between(table: pa.Table, column: str, start: datetime | None, end: datetime | None) -> pa.Table:
    """The rows with start <= `column` < end; None leaves that side open."""
    mask = None
    for bound, compare in ((start, pc.greater_equal), (end, pc.less)):
        if bound is not None:
            part = compare(table[column], pa.scalar(instants.to_ms(bound), pa.int64()).cast(_TIME))
            mask = part if mask is None else pc.and_(mask, part)
    return table if mask is None else table.filter(mask)


def cut(history: History, start: datetime | None, end: datetime | None) -> History:
    """What arrived from the first arrival at or after `start` up to, not including, the first at or after `end`.

    The order of arrival is cut, not time: a late operation stays where it arrived, so nothing is seen before it came.
    """
    first, last = _first_from(history, start), _first_from(history, end)
    return History(**{name: _of_order(table, first, last) for name, table in history.tables.items()})


def in_turn(history: History, size: int) -> Iterator[History]:
    """What arrived, `size` arrivals at a time in their order, without the decisions."""
    order = np.sort(np.concatenate([table["sequence"].to_numpy() for table in history.arrivals.values()]), kind="stable")
    for first, after in itertools.pairwise([*order[::size].tolist(), None]):
        yield History(**{name: _of_order(table, first, after) for name, table in history.arrivals.items()})


def _first_from(history: History, instant: datetime | None) -> int | None:
    """The sequence number of the first arrival at or after an instant; None when the instant is open."""
    if instant is None:
        return None
    times = ((history.operations, "occurred_at"), (history.events, "occurred_at"), (history.outcomes, "known_at"))
    found = [
        pc.min(between(table.select([time, "sequence"]), time, instant, None)["sequence"]).as_py() for table, time in times
    ]
    return min((sequence for sequence in found if sequence is not None), default=2**62)


def _of_order(table: pa.Table, first: int | None, last: int | None) -> pa.Table:
    sequence = table["sequence"].to_numpy()
    start = 0 if first is None else int(np.searchsorted(sequence, first))
    end = len(sequence) if last is None else int(np.searchsorted(sequence, last))
    return table.slice(start, max(0, end - start))
