"""The declared features by DuckDB: one query a space of entities, a RANGE frame a window, each accumulation once.

Its sums of integers are exact (128 bits), so means, deviations and z-scores are made of the same integers as the kernel's.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.feature_engine import asked
from benchmarks.feature_engine.asked import Cell, Kind
from features import language as say
from features.language import Declaration, Feature, Ratio
from features.layout import Fact, Slot


class DuckDB:
    """A database in memory with table `arrivals`; what does not fit into memory goes to `folder`."""

    def __init__(self, arrivals: pa.Table, folder: Path) -> None:
        self._database = duckdb.connect(config={"temp_directory": str(folder)})
        self._database.register("given", arrivals)
        self._database.execute("CREATE TABLE arrivals AS SELECT * FROM given")
        self._database.unregister("given")

    @staticmethod
    def is_asked(declaration: Declaration) -> bool:
        """DuckDB is asked for everything that `asked` knows."""
        return asked.is_known(declaration)

    def accumulate(self, declarations: Sequence[Declaration]) -> None:
        """Make table `framed`: every cell of the declarations of one space, for operations only."""
        cells = asked.all_cells(declarations)
        columns = sorted({cell.column.name.lower() for cell in cells if cell.column is not None})
        self._database.execute(f"""
            CREATE OR REPLACE TEMP TABLE framed AS
            WITH roles AS ({" UNION ALL ".join(_role(slot, columns) for slot in asked.slots_of(declarations))})
            SELECT * FROM (
                SELECT number, slot, time, amount, {"".join(f"{column}, " for column in columns)}
                    {"".join(f"{_accumulated(cell)} AS {cell.name}, " for cell in cells)}
                    min(time) OVER (PARTITION BY entity) AS first
                FROM roles)
            WHERE number >= 0""")

    def values(self, declarations: Sequence[Declaration]) -> pa.Table:
        """Column `number` and one a declaration of one slot, in the order of operations; null for missing."""
        columns = [
            f"CASE WHEN first < time THEN {_value(declaration)} END AS {declaration.name}" for declaration in declarations
        ]
        slot = int(asked.slot_of(declarations[0]))
        return self._database.sql(
            f"SELECT number, {', '.join(columns)} FROM framed WHERE slot = {slot} ORDER BY number"
        ).to_arrow_table()


def _role(slot: Slot, columns: list[str]) -> str:
    """The arrivals of one slot, with the role that the slot plays in them."""
    role = Fact.RECEIVING if slot is Slot.RECIPIENT else Fact.SENDING
    return f"""SELECT number, time, amount, square, facts | {int(role)} AS facts, {int(slot)} AS slot,
        {slot.name.lower()} AS entity {"".join(f", {column}" for column in columns)}
        FROM arrivals WHERE {slot.name.lower()} IS NOT NULL"""


def _accumulated(cell: Cell) -> str:
    aggregate = {
        Kind.COUNT: "count(*)", Kind.SUM: "sum(amount)", Kind.SQUARES: "sum(square)", Kind.LAST: "max(time)",
        Kind.SAME: "count(*)", Kind.LAST_SAME: "max(time)", Kind.DISTINCT: f"count(DISTINCT {_column(cell)})",
    }[cell.kind]  # fmt: skip
    needs, excludes = int(cell.where.needs), int(cell.where.excludes)
    passes = f"facts & {needs} = {needs}" + (f" AND facts & {excludes} = 0" if excludes else "")
    entity = f"entity, {_column(cell)}" if cell.kind in (Kind.SAME, Kind.LAST_SAME) else "entity"
    oldest = "UNBOUNDED" if cell.over == say.RETAINED else str(cell.over - 1)
    return f"""{aggregate} FILTER (WHERE {passes})
        OVER (PARTITION BY {entity} ORDER BY time RANGE BETWEEN {oldest} PRECEDING AND 1 PRECEDING)"""


def _column(cell: Cell) -> str:
    return "" if cell.column is None else cell.column.name.lower()


def _value(declaration: Declaration) -> str:
    """The value of a declaration, of an entity that has history."""
    if isinstance(declaration, Ratio):
        above, below = _value(declaration.numerator), _value(declaration.denominator)
        return f"{above} / nullif({below}, 0)"
    assert isinstance(declaration, Feature)
    names = [cell.name for cell in asked.cells_of(declaration)]
    match declaration.how:
        case say.Count() | say.Distinct():
            return f"{names[0]}::DOUBLE"
        case say.Sum():
            return f"coalesce({names[0]}, 0)::DOUBLE"
        case say.Mean():
            return f"{names[1]}::DOUBLE / nullif({names[0]}, 0)"
        case say.Deviation():
            return f"sqrt({_spread(names)}) / nullif({names[0]}, 0)"
        case say.ZScore():
            return f"(amount * {names[0]} - {names[1]})::DOUBLE / nullif(sqrt({_spread(names)}), 0)"
        case say.OverMean():
            return f"(amount * {names[0]})::DOUBLE / nullif({names[1]}, 0)"
        case say.SinceLast() | say.SinceSame():
            given = "TRUE" if isinstance(declaration.how, say.SinceLast) else f"{declaration.how.column.name} IS NOT NULL"
            return f"CASE WHEN {given} THEN (time - {names[0]}) / 1000.0::DOUBLE END"
        case say.SinceFirst():
            return "(time - first) / 1000.0::DOUBLE"
        case say.IsNew(column):
            return f"CASE WHEN {column.name} IS NOT NULL THEN ({names[0]} = 0)::DOUBLE END"
        case say.SameShare(column):
            return f"CASE WHEN {column.name} IS NOT NULL THEN {names[0]}::DOUBLE / nullif({names[1]}, 0) END"
    raise AssertionError(declaration)


def _spread(names: list[str]) -> str:
    """n^2 times the variance, in 128 bits."""
    return f"({names[0]} * {names[2]} - {names[1]} * {names[1]})::DOUBLE"
