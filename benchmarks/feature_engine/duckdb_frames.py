"""The declared features by DuckDB: one query a space of entities, a RANGE frame a window, each accumulation once.

Its sums of integers are exact (128 bits), so means, deviations and z-scores are made of the same integers as the kernel's.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.feature_engine import asked
from benchmarks.feature_engine.asked import Cell, Entity, Kind
from features import language as say
from features.language import Declaration, Feature, Ratio, Where


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
        columns = asked.columns_of(cells)
        entities = asked.roles_of(asked.entity_of(declarations[0]))
        self._database.execute(f"""
            CREATE OR REPLACE TEMP TABLE framed AS
            WITH roles AS ({" UNION ALL ".join(_role(entity, columns) for entity in entities)})
            SELECT * FROM (
                SELECT number, role, time, amount, {"".join(f"{column}, " for column in columns)}
                    {"".join(f"{_accumulated(cell)} AS {cell.name}, " for cell in cells)}
                    min(time) OVER (PARTITION BY entity) AS first
                FROM roles)
            WHERE number >= 0""")

    def values(self, declarations: Sequence[Declaration]) -> pa.Table:
        """Column `number` and one a declaration of one slot, in the order of operations; null for missing."""
        columns = [
            f"CASE WHEN first < time THEN {_value(declaration)} END AS {declaration.name}" for declaration in declarations
        ]
        role = asked.column_of(asked.entity_of(declarations[0]))
        return self._database.sql(
            f"SELECT number, {', '.join(columns)} FROM framed WHERE role = '{role}' ORDER BY number"
        ).to_arrow_table()


def _role(entity: Entity, columns: list[str]) -> str:
    """The arrivals of the entities of one slot or group, with what they do in them."""
    key = asked.column_of(entity)
    return f"""SELECT number, time, amount, square, facts | {int(asked.role_of(entity))} AS facts, '{key}' AS role,
        {key} AS entity {"".join(f", {column}" for column in columns)}
        FROM arrivals WHERE {key} IS NOT NULL"""


def _accumulated(cell: Cell) -> str:
    column = "" if cell.column is None else cell.column.name.lower()
    passes = _passes(cell.where)
    aggregate = {
        Kind.COUNT: "count(*)", Kind.SUM: "sum(amount)", Kind.SQUARES: "sum(square)", Kind.MAX: "max(amount)",
        Kind.MIN: "min(amount)", Kind.LAST: "max(time)", Kind.SAME: "count(*)", Kind.LAST_SAME: "max(time)",
        Kind.DISTINCT: f"count(DISTINCT {column})",
        Kind.LAST_VALUE: f"last_value(CASE WHEN {passes} THEN {column} END IGNORE NULLS)",
    }[cell.kind]  # fmt: skip
    only = "" if cell.kind is Kind.LAST_VALUE else f"FILTER (WHERE {passes})"
    entity = f"entity, {column}" if cell.kind in (Kind.SAME, Kind.LAST_SAME) else "entity"
    oldest = "UNBOUNDED" if cell.over == say.RETAINED else str(cell.over - 1)
    return f"""{aggregate} {only}
        OVER (PARTITION BY {entity} ORDER BY time RANGE BETWEEN {oldest} PRECEDING AND 1 PRECEDING)"""


def _passes(where: Where) -> str:
    needs, excludes = int(where.needs), int(where.excludes)
    return f"facts & {needs} = {needs}" + (f" AND facts & {excludes} = 0" if excludes else "")


def _value(declaration: Declaration) -> str:
    """The value of a declaration, of an entity that has history."""
    if isinstance(declaration, Ratio):
        above, below = _value(declaration.numerator), _value(declaration.denominator)
        return f"{above} / nullif({below}, 0)"
    assert isinstance(declaration, Feature)
    names, how = [cell.name for cell in asked.cells_of(declaration)], declaration.how
    if isinstance(how, say.IsNew | say.SameCount | say.SameShare | say.SinceSame | say.Changed):
        return f"CASE WHEN {how.column.name} IS NOT NULL THEN {_of_the_same(how, names)} END"
    return _of_all(declaration, names)


def _of_all(feature: Feature, names: list[str]) -> str:
    """The value of a feature of every arrival that counts."""
    match feature.how:
        case say.Count() | say.Distinct() | say.Max() | say.Min():
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
        case say.OverMax():
            return f"amount::DOUBLE / nullif({names[0]}, 0)"
        case say.Share():
            return f"{names[1]}::DOUBLE / nullif({names[0]}, 0)"
        case say.Pace(habit):
            return f"({names[0]} * {habit})::DOUBLE / nullif({names[1]} * {feature.over}, 0)"
        case say.SinceLast():
            return f"(time - {names[0]}) / 1000.0::DOUBLE"
        case say.SinceFirst():
            return "(time - first) / 1000.0::DOUBLE"
    raise AssertionError(feature)


def _of_the_same(how: say.Aggregate, names: list[str]) -> str:
    """The value of a feature of the operation's own value of a column, where that is given."""
    match how:
        case say.IsNew():
            return f"({names[0]} = 0)::DOUBLE"
        case say.SameCount():
            return f"{names[0]}::DOUBLE"
        case say.SameShare():
            return f"{names[0]}::DOUBLE / nullif({names[1]}, 0)"
        case say.SinceSame():
            return f"(time - {names[0]}) / 1000.0::DOUBLE"
        case say.Changed(column):
            return f"({names[0]} <> {column.name})::DOUBLE"
    raise AssertionError(how)


def _spread(names: list[str]) -> str:
    """n^2 times the variance, in 128 bits."""
    return f"({names[0]} * {names[2]} - {names[1]} * {names[1]})::DOUBLE"
