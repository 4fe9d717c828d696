"""The declared features by Polars, each in the form that was cheapest of those tried (Polars 2.1, 1M and 2M arrivals).

One sort a space of entities; then a window is `DataFrame.rolling` by entity with all its aggregates at once (it shares the
windows' places, and was up to nine times cheaper on sorted than on unsorted rows; `rolling_sum_by(...).over` on sorted rows
took three times as long), and what looks at all of the past is a cumulative sum or a forward fill over the entity.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa

from benchmarks.feature_engine import asked
from benchmarks.feature_engine.asked import Cell, Kind
from features import language as say
from features.language import Declaration, Feature, Ratio, Where
from features.layout import Fact, Slot

_SPREAD = 0x9E3779B97F4A7C1
"""Odd, so that entity and value make one key of 64 bits."""


class Polars:
    """The arrivals as Polars holds them, and the frame of the space at hand."""

    def __init__(self, arrivals: pa.Table, _folder: Path) -> None:
        frame = pl.from_arrow(arrivals)
        assert isinstance(frame, pl.DataFrame)
        self._arrivals = frame
        self._framed = pl.LazyFrame()

    @staticmethod
    def is_asked(declaration: Declaration) -> bool:
        """Polars is asked for everything that `asked` knows, but for distinct values over all of the past."""
        return asked.is_known(declaration) and not any(
            cell.kind is Kind.DISTINCT and cell.over == say.RETAINED for cell in asked.all_cells([declaration])
        )

    def accumulate(self, declarations: Sequence[Declaration]) -> None:
        """Make every cell of the declarations of one space."""
        cells = asked.all_cells(declarations)
        has_twins = len(asked.slots_of(declarations)) > 1
        frame = _roles(self._arrivals, declarations, cells)
        windows = sorted({cell.over for cell in cells if cell.over != say.RETAINED})
        framed = [
            frame.rolling("time", period=f"{window}i", closed="none", group_by="entity")
            .agg(**{cell.name: _in_window(cell) for cell in cells if cell.over == window})
            .drop("entity", "time")
            for window in windows
        ]
        past = frame.select(
            pl.col("time").first().over("entity").alias("first"),
            *[_of_the_past(cell, has_twins).alias(cell.name) for cell in cells if cell.over == say.RETAINED],
        )
        self._framed = pl.concat([frame, past, *framed], how="horizontal").lazy()

    def values(self, declarations: Sequence[Declaration]) -> pa.Table:
        """Column `number` and one a declaration of one slot, in the order of operations; null for missing."""
        columns = [pl.when(pl.col("first") < pl.col("time")).then(_value(d)).alias(d.name) for d in declarations]
        of_slot = self._framed.filter(pl.col("slot") == int(asked.slot_of(declarations[0])), pl.col("number") >= 0)
        return of_slot.select("number", *columns).sort("number").collect().to_arrow()


def _roles(arrivals: pl.DataFrame, declarations: Sequence[Declaration], cells: list[Cell]) -> pl.DataFrame:
    """The arrivals of every slot of the space, sorted by entity and time, with a column for each filter and what it lets through."""
    values = sorted({cell.column.name.lower() for cell in cells if cell.column is not None})
    roles = [
        arrivals.select("number", "time", "amount", "square", *values, slot=pl.lit(int(slot)), entity=pl.col(slot.name.lower()),
                        facts=pl.col("facts") | int(Fact.RECEIVING if slot is Slot.RECIPIENT else Fact.SENDING))
        .filter(pl.col("entity").is_not_null())
        for slot in asked.slots_of(declarations)
    ]  # fmt: skip
    frame = pl.concat(roles).sort("entity", "time")
    passed = {f"cell {cell.where.name}": _passes(cell.where) for cell in cells}
    frame = frame.with_columns(
        # an account that pays itself arrives twice at one moment, and neither is the other's past
        twin=(pl.col("entity") == pl.col("entity").shift(1)) & (pl.col("time") == pl.col("time").shift(1)),
        **passed,
    )
    return frame.with_columns(**{_let_through(cell): _term(cell) for cell in cells})


def _passes(where: Where) -> pl.Expr:
    passes = (pl.col("facts") & int(where.needs)) == int(where.needs)
    return passes & ((pl.col("facts") & int(where.excludes)) == 0) if where.excludes else passes


def _let_through(cell: Cell) -> str:
    """The column of what a cell adds up, the same for all windows."""
    return f"{cell.kind.value} {cell.column} {cell.where.name}"


def _term(cell: Cell) -> pl.Expr:
    """What an arrival adds to a cell."""
    passes = pl.col(f"cell {cell.where.name}")
    match cell.kind:
        case Kind.COUNT | Kind.SAME:
            return passes.cast(pl.Int64)
        case Kind.SUM | Kind.SQUARES:
            return pl.when(passes).then("amount" if cell.kind is Kind.SUM else "square").otherwise(0)
        case Kind.LAST | Kind.LAST_SAME:
            return pl.when(passes).then("time")
        case Kind.DISTINCT:
            return pl.when(passes).then(_column(cell))


def _in_window(cell: Cell) -> pl.Expr:
    term = pl.col(_let_through(cell))
    if cell.kind is Kind.DISTINCT:
        return term.n_unique().cast(pl.Int64) - (term.null_count() > 0)
    return term.sum()


def _of_the_past(cell: Cell, has_twins: bool) -> pl.Expr:
    """A cell over everything earlier."""
    term = pl.col(_let_through(cell))
    over = pl.col("entity")
    if cell.kind in (Kind.SAME, Kind.LAST_SAME):
        over = over * _SPREAD ^ pl.col(_column(cell))  # over one key is cheaper than over two
    if cell.kind in (Kind.LAST, Kind.LAST_SAME):
        before = term.forward_fill().shift(1).over(over)
        return pl.when("twin").then(before.shift(1)).otherwise(before) if has_twins else before
    before = term.cum_sum().over(over) - term
    return before - pl.when("twin").then(term.shift(1)).otherwise(0) if has_twins else before


def _column(cell: Cell) -> str:
    assert cell.column is not None
    return cell.column.name.lower()


def _value(declaration: Declaration) -> pl.Expr:
    """The value of a declaration, of an entity that has history."""
    if isinstance(declaration, Ratio):
        return _quotient(_value(declaration.numerator), _value(declaration.denominator))
    assert isinstance(declaration, Feature)
    cells = [pl.col(cell.name) for cell in asked.cells_of(declaration)]
    own, now = pl.col("amount"), pl.col("time")
    match declaration.how:
        case say.Count() | say.Sum() | say.Distinct():
            return cells[0].cast(pl.Float64)
        case say.Mean():
            return _quotient(cells[1], cells[0])
        case say.Deviation():
            return _quotient(_spread(cells).sqrt(), cells[0])
        case say.ZScore():
            return _quotient(own * cells[0] - cells[1], _spread(cells).sqrt())
        case say.OverMean():
            return _quotient(own * cells[0], cells[1])
        case say.SinceLast():
            return (now - cells[0]) / 1000.0
        case say.SinceSame(column):
            return pl.when(pl.col(column.name.lower()).is_not_null()).then((now - cells[0]) / 1000.0)
        case say.SinceFirst():
            return (now - pl.col("first")) / 1000.0
        case say.IsNew(column):
            return pl.when(pl.col(column.name.lower()).is_not_null()).then((cells[0] == 0).cast(pl.Float64))
        case say.SameShare(column):
            return pl.when(pl.col(column.name.lower()).is_not_null()).then(_quotient(cells[0], cells[1]))
    raise AssertionError(declaration)


def _quotient(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    return pl.when(below != 0).then(above.cast(pl.Float64) / below.cast(pl.Float64))


def _spread(cells: list[pl.Expr]) -> pl.Expr:
    """n^2 times the variance, in 128 bits."""
    count, total, squares = (cell.cast(pl.Int128) for cell in cells)
    return (count * squares - total * total).cast(pl.Float64)
