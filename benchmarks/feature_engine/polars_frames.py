"""The declared features by Polars, each in the form that was cheapest of those tried (Polars 2.1, 1M and 2M arrivals).

One sort a space of entities; then a window is `DataFrame.rolling` by entity with all its aggregates at once (it shares the
windows' places, and was up to nine times cheaper on sorted than on unsorted rows; `rolling_sum_by(...).over` on sorted rows
took three times as long), and what looks at all of the past is a cumulative sum or a forward fill over the entity.
"""

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from benchmarks.feature_engine import asked
from benchmarks.feature_engine.asked import Cell, Kind
from features import language as say
from features.language import Declaration, Feature, Ratio, Where
from features.layout import Fact, Slot

_BEFORE = (Kind.SAME, Kind.LAST_SAME, Kind.LAST)


def is_asked(declaration: Declaration) -> bool:
    """Whether Polars is asked for a declaration: not for distinct values of all of the past."""
    cells = [cell for part in asked.parts_of(declaration) for cell in asked.cells_of(part)] if asked.is_known(declaration) else []
    return bool(cells or asked.is_known(declaration)) and not any(
        cell.kind is Kind.DISTINCT and cell.over == say.RETAINED for cell in cells
    )


def accumulated(arrivals: pl.DataFrame, declarations: Sequence[Declaration]) -> pl.DataFrame:
    """Every cell of the declarations of one space, by entity and time, beside `number`, `slot`, `first` and what they need."""
    cells = asked.all_cells(declarations)
    frame = _roles(arrivals, declarations, cells)
    windows = sorted({cell.over for cell in cells if cell.over != say.RETAINED})
    framed = [
        frame.rolling("time", period=f"{window}i", closed="none", group_by="entity")
        .agg(**{cell.name: _in_window(cell) for cell in cells if cell.over == window})
        .drop("entity", "time")
        for window in windows
    ]
    past = frame.select(
        pl.col("time").first().over("entity").alias("first"),
        *[_of_the_past(cell).alias(cell.name) for cell in cells if cell.over == say.RETAINED],
    )
    return pl.concat([frame, past, *framed], how="horizontal")


def values(framed: pl.DataFrame, declarations: Sequence[Declaration]) -> pl.DataFrame:
    """Column `number` and one a declaration of one slot, in the order of operations; null for missing."""
    slot = asked.slot_of(declarations[0])
    return framed.lazy().filter(pl.col("slot") == int(slot), pl.col("number") >= 0).select(
        "number",
        *[pl.when(pl.col("first") < pl.col("time")).then(_value(d)).alias(d.name) for d in declarations],
    ).sort("number").collect()


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


def _of_the_past(cell: Cell) -> pl.Expr:
    """A cell over everything earlier."""
    term = pl.col(_let_through(cell))
    last = cell.kind in (Kind.LAST, Kind.LAST_SAME)
    before = term.forward_fill().shift(1) if last else term.cum_sum() - term
    before = pl.when("twin").then(before.shift(1)).otherwise(before)
    return before.over("entity", _column(cell)) if cell.kind in (Kind.SAME, Kind.LAST_SAME) else before.over("entity")


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


def frame_of(arrivals: pa.Table) -> pl.DataFrame:
    """The arrivals as Polars holds them."""
    frame = pl.from_arrow(arrivals)
    assert isinstance(frame, pl.DataFrame)
    return frame
