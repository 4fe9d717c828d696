"""The rows of a foreign file: read as they stand, looked at as texts, and rejected one by one with the reason."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from domain.errors import HistoryError, shortened
from training.mapping import FileForm, Mapping, listed

REJECTS = {"row": pl.Int64, "column": pl.String, "seen": pl.String, "allowed": pl.String}
"""row: 1-based data row of the foreign file; column: the foreign one, or the canonical one where several or none fill it."""


class Rows:
    """Foreign rows on their way into history, and which of them were rejected for what."""

    def __init__(self, frame: pl.DataFrame, form: FileForm) -> None:
        self.frame, self._form = frame, form
        self._passed = np.ones(frame.height, dtype=bool)
        self._told: list[pl.DataFrame] = []

    @property
    def count(self) -> int:
        """How many rows the foreign file has."""
        return self.frame.height

    @property
    def passed(self) -> pl.Series:
        """True for every row that nothing was said against so far."""
        return pl.Series(self._passed)

    def texts(self, column: str) -> pl.Series:
        """A foreign column as texts."""
        return texts(self.frame[column], self._form.missing)

    def reject(self, refused: pl.Series, column: str, seen: pl.Series, allowed: str) -> None:
        """Reject the rows where `refused` is true; `seen` by row."""
        self._tell(refused.fill_null(False).arg_true(), column, seen, pl.repeat(allowed, self.count, eager=True))

    def reject_values(self, values: pl.Series, refused: dict[str, str], column: str, seen: pl.Series) -> None:
        """Reject the rows whose value is among the refused; `refused` says for each what is allowed instead."""
        if refused:
            allowed = values.replace_strict(refused, default=None, return_dtype=pl.String)
            self._tell(allowed.is_not_null().arg_true(), column, seen, allowed)

    def rejects(self) -> pl.DataFrame:
        """Every refused value, by row, `seen` shortened."""
        told = pl.concat([pl.DataFrame(schema=REJECTS), *self._told]).sort("row", maintain_order=True)
        return told.with_columns(pl.Series("seen", [shortened(text) for text in told["seen"]], dtype=pl.String))

    def _tell(self, places: pl.Series, column: str, seen: pl.Series, allowed: pl.Series) -> None:
        if not len(places):
            return
        self._passed[places.to_numpy()] = False
        names = pl.repeat(column, len(places), eager=True)
        lines = {"row": places + 1, "column": names, "seen": seen.gather(places), "allowed": allowed.gather(places)}
        self._told.append(pl.DataFrame(lines, schema=REJECTS))


def texts(column: pl.Series, missing: Iterable[str] = ()) -> pl.Series:
    """Any foreign column as the texts a CSV would carry: whole floats as integers, no blanks around, null for no value.

    Floats are written with the fewest digits that give the same float back, so 57.16 is 57.16 and float32 28.39 is 28.39.
    """
    written = column.cast(pl.String)
    if column.dtype.is_float():
        integers = column.cast(pl.Int64, strict=False)
        whole = (column == column.floor()) & (column.abs() < 2**53)
        written = integers.cast(pl.String).zip_with(whole.fill_null(False), written)
    stripped = written.str.strip_chars()
    return stripped.set(stripped.is_in(["", *missing]), None).alias(column.name)


def read_foreign(path: Path, mapping: Mapping) -> pl.DataFrame:
    """The mapped columns of a Parquet or CSV file (told apart by content, not by name), in the order of the file.

    HistoryError for a file that cannot be read and for a mapped column that it does not have.
    """
    wanted = mapping.foreign_columns()
    try:
        is_parquet = _is_parquet(path)
        seen = list(pl.read_parquet_schema(path)) if is_parquet else _header(path, mapping.file)
        _need(wanted, seen, mapping.name, path.name)
        columns = list(dict.fromkeys(wanted.values()))
        if is_parquet:
            _need_values(wanted, pl.read_parquet_schema(path), mapping.name)
            # some writers leave texts as bare bytes
            return pl.read_parquet(path, columns=columns, glob=False).with_columns(cs.binary().cast(pl.String))
        return pl.read_csv(path, columns=columns, **_csv(mapping.file))
    except (OSError, UnicodeError, pl.exceptions.PolarsError) as error:
        raise HistoryError(f"{path}: not a Parquet or CSV file that can be read: {error}") from None


def _need(wanted: dict[str, str], seen: list[str], mapping: str, file: str) -> None:
    for place, column in wanted.items():
        if column not in seen:
            raise HistoryError(f"{mapping}: {place}: seen {shortened(column)}, allowed, in {file}: {listed(column, seen)}")
        if seen.count(column) > 1:
            raise HistoryError(
                f"{mapping}: {place}: seen {seen.count(column)} columns {shortened(column)} in {file}, allowed: one"
            )


def _need_values(wanted: dict[str, str], types: dict[str, pl.DataType], mapping: str) -> None:
    """A column of lists or records has no one text a row."""
    for place, column in wanted.items():
        if types[column].is_nested():
            raise HistoryError(
                f"{mapping}: {place}: seen {column} of {types[column]}, allowed: texts, numbers, truths or times"
            )


def _header(path: Path, form: FileForm) -> list[str]:
    """The names of a CSV file's columns as they stand there, twice where they do."""
    first = pl.read_csv(path, n_rows=1, has_header=False, **_csv(form))
    return [name or "" for name in first.row(0)]


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _csv(form: FileForm) -> dict[str, Any]:
    return {"infer_schema": False, "glob": False, "separator": form.separator, "encoding": form.encoding}
