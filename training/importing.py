"""Rows of a foreign file to canonical history: filled, checked, ordered.

Every value passes the rules of the endpoint. A row with a value that does not pass is rejected whole and told why; it is
for the caller to say how many rejects are bearable.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa
from msgspec import Struct

from domain.events import Event, Outcome, OutcomeSource, Verdict
from domain.operation import Operation
from features.history import COLUMNS, History, empty, schema
from training.filling import OUTCOME_ID, Filling, Stage, check_written, identifiers_for
from training.foreign_rows import Rows
from training.mapping import Mapping


class Figures(Struct, frozen=True):
    """What an import came to.

    fraud, legitimate, without_outcome: of the imported operations; not_yet_known: those of without_outcome whose delay
    is not over; fraud_share: fraud of fraud and legitimate, None without outcomes; amounts: minor units by currency.
    """

    rows: int
    imported: int
    rejected: int
    fraud: int
    legitimate: int
    without_outcome: int
    not_yet_known: int
    fraud_share: float | None
    first: datetime | None
    last: datetime | None
    amounts: dict[str, int]


@dataclass(frozen=True)
class Imported:
    """history: of the rows that passed; rejects: a frame of schema foreign_rows.REJECTS, a line for each refused value."""

    history: History
    rejects: pl.DataFrame
    figures: Figures


def import_rows(
    frame: pl.DataFrame, mapping: Mapping, card_key: bytes | None, latest: datetime, stage: Stage = lambda _: None
) -> Imported:
    """Foreign rows -> history, rejects and figures.

    card_key: needed only when card numbers come as numbers; latest: no operation and no outcome may lie after it.
    """
    rows = Rows(frame, mapping.file)
    identifiers = identifiers_for(rows, mapping, card_key)
    check_written(mapping, identifiers)
    filling = Filling(rows, mapping, identifiers, latest)
    operations = filling.operations(stage)
    outcomes = filling.outcomes(operations["occurred_at"], stage)
    stage("order")
    history = _ordered(operations, outcomes, rows.passed)
    pending = 0 if outcomes is None else int((outcomes["pending"] & rows.passed).sum())
    return Imported(history, rows.rejects(), _figures(frame.height, history, pending))


def stages(mapping: Mapping) -> int:
    """How many stages `import_rows` announces."""
    return len(mapping.operations) + (0 if mapping.outcomes is None else 1) + 1


def _ordered(operations: pl.DataFrame, outcomes: pl.DataFrame | None, passed: pl.Series) -> History:
    """The rows that passed, each file in its order, under one sequence of arrival.

    Ties: an outcome known at t goes before the operations of t, which know it; otherwise the foreign file's order stays.
    """
    kept = operations.filter(passed).sort("occurred_at", maintain_order=True)
    told = _told(operations, outcomes, passed)
    arrivals = np.concatenate([told["known_at"].to_numpy(), kept["occurred_at"].to_numpy()])
    sequence = np.empty(len(arrivals), dtype=np.int64)
    sequence[np.argsort(arrivals, kind="stable")] = np.arange(1, len(arrivals) + 1)
    return History(
        operations=_table(kept, Operation, sequence[told.height :]),
        events=empty(Event),
        outcomes=_table(told, Outcome, sequence[: told.height]),
    )


def _told(operations: pl.DataFrame, outcomes: pl.DataFrame | None, passed: pl.Series) -> pl.DataFrame:
    if outcomes is None:
        return pl.DataFrame(schema={"known_at": pl.Int64})
    told = pl.concat([operations.select("operation_id", "occurred_at"), outcomes], how="horizontal")
    told = told.filter(passed & pl.col("verdict").is_not_null())
    # outcomes of one instant keep the order of their operations
    return told.sort("known_at", "occurred_at", maintain_order=True).with_columns(
        outcome_id=OUTCOME_ID + pl.col("operation_id"), source=pl.lit(OutcomeSource.IMPORT.value)
    )


def _table(frame: pl.DataFrame, struct: type[Struct], sequence: np.ndarray) -> pa.Table:
    """A frame of canonical columns -> the table of its file; columns that it lacks are null, times are milliseconds."""
    blank: dict[pa.DataType, pa.Array] = {}
    arrays = [pa.array(sequence, pa.int64())]
    for column in COLUMNS[struct]:
        if column.name in frame.columns:
            arrays.append(frame[column.name].rechunk().to_arrow().cast(column.arrow))
        else:
            arrays.append(blank.setdefault(column.arrow, pa.nulls(frame.height, column.arrow)))
    return pa.Table.from_arrays(arrays, schema=schema(struct))


def _figures(rows: int, history: History, not_yet_known: int) -> Figures:
    operations, outcomes = pl.from_arrow(history.operations), pl.from_arrow(history.outcomes)
    assert isinstance(operations, pl.DataFrame) and isinstance(outcomes, pl.DataFrame)
    fraud = int((outcomes["verdict"] == Verdict.FRAUD.value).sum())
    amounts = operations.group_by("currency").agg(pl.col("amount_minor").cast(pl.Int128).sum()).sort("currency")
    return Figures(
        rows=rows,
        imported=operations.height,
        rejected=rows - operations.height,
        fraud=fraud,
        legitimate=outcomes.height - fraud,
        without_outcome=operations.height - outcomes.height,
        not_yet_known=not_yet_known,
        fraud_share=fraud / outcomes.height if outcomes.height else None,
        first=operations["occurred_at"][0] if operations.height else None,
        last=operations["occurred_at"][-1] if operations.height else None,
        amounts=dict(amounts.iter_rows()),
    )
