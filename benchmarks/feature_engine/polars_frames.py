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
from benchmarks.feature_engine.asked import Cell, Entity, Kind
from features import language as say
from features.language import Declaration, Feature, Ratio, Where

_SPREAD = 0x9E3779B97F4A7C1
"""Odd, so that entity and value make one key of 64 bits."""


_ADDED = (Kind.COUNT, Kind.SUM, Kind.SQUARES, Kind.SAME)


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
        entities = asked.roles_of(asked.entity_of(declarations[0]))
        frame = _roles(self._arrivals, entities, cells)
        past = frame.select(
            pl.col("time").first().over("entity").alias("first"),
            *[_of_the_past(cell, len(entities) > 1).alias(cell.name) for cell in cells if cell.over == say.RETAINED],
        )
        self._framed = pl.concat([frame, past, *_windows(frame, cells)], how="horizontal").lazy()

    def values(self, declarations: Sequence[Declaration]) -> pa.Table:
        """Column `number` and one a declaration of one slot or group, in the order of operations; null for missing."""
        columns = [pl.when(pl.col("first") < pl.col("time")).then(_value(d)).alias(d.name) for d in declarations]
        role = asked.column_of(asked.entity_of(declarations[0]))
        of_role = self._framed.filter(pl.col("role") == role, pl.col("number") >= 0)
        return of_role.select("number", *columns).sort("number").collect().to_arrow()


def _roles(arrivals: pl.DataFrame, entities: Sequence[Entity], cells: list[Cell]) -> pl.DataFrame:
    """The arrivals of a space sorted by entity and time, with a column for each filter and for what it lets through."""
    roles = [
        arrivals.select("number", "time", "amount", "square", *asked.columns_of(cells), role=pl.lit(asked.column_of(entity)),
                        entity=pl.col(asked.column_of(entity)), facts=pl.col("facts") | int(asked.role_of(entity)))
        .filter(pl.col("entity").is_not_null())
        for entity in entities
    ]  # fmt: skip
    frame = pl.concat(roles).sort("entity", "time")
    passed = {f"cell {cell.where.name}": _passes(cell.where) for cell in cells}
    frame = frame.with_columns(
        # an account that pays itself arrives twice at one moment, and neither is the other's past
        twin=(pl.col("entity") == pl.col("entity").shift(1)) & (pl.col("time") == pl.col("time").shift(1)),
        **passed,
    )
    return frame.with_columns(**{_let_through(cell): _term(cell) for cell in cells})


def _windows(frame: pl.DataFrame, cells: list[Cell]) -> list[pl.DataFrame]:
    """The cells of every window, each row in its place; those of the operation's own value are of entity and value."""
    framed = []
    for window, column in sorted({(cell.over, _same_column(cell)) for cell in cells if cell.over != say.RETAINED}):
        of_window = [cell for cell in cells if (cell.over, _same_column(cell)) == (window, column)]
        aggregates = {cell.name: _in_window(cell) for cell in of_window}
        if column:
            terms = [_let_through(cell) for cell in of_window]
            by_value = frame.select("time", *terms, key=_entity_and(column)).with_row_index("place").sort("key", "time")
            rolled = by_value.rolling("time", period=f"{window}i", closed="none", group_by="key").agg(**aggregates)
            framed.append(rolled.with_columns(by_value["place"]).sort("place").drop("key", "time", "place"))
        else:
            rolled = frame.rolling("time", period=f"{window}i", closed="none", group_by="entity").agg(**aggregates)
            framed.append(rolled.drop("entity", "time"))
    return framed


def _same_column(cell: Cell) -> str:
    return _column(cell) if cell.kind in (Kind.SAME, Kind.LAST_SAME) else ""


def _entity_and(column: str) -> pl.Expr:
    """Entity and value as one key: over one key is cheaper than over two."""
    return pl.col("entity") * _SPREAD ^ pl.col(column)


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
        case Kind.MAX | Kind.MIN:
            return pl.when(passes).then("amount")
        case Kind.DISTINCT | Kind.LAST_VALUE:
            return pl.when(passes).then(_column(cell))


def _in_window(cell: Cell) -> pl.Expr:
    term = pl.col(_let_through(cell))
    if cell.kind is Kind.DISTINCT:
        return term.n_unique().cast(pl.Int64) - (term.null_count() > 0)
    if cell.kind in (Kind.MAX, Kind.MIN):
        return term.max() if cell.kind is Kind.MAX else term.min()
    return term.sum()


def _of_the_past(cell: Cell, has_twins: bool) -> pl.Expr:
    """A cell over everything earlier."""
    term = pl.col(_let_through(cell))
    over = _entity_and(_same_column(cell)) if _same_column(cell) else pl.col("entity")
    if cell.kind in _ADDED:
        before = term.cum_sum().over(over) - term
        return before - pl.when("twin").then(term.shift(1)).otherwise(0) if has_twins else before
    so_far = {Kind.MAX: term.cum_max(), Kind.MIN: term.cum_min()}.get(cell.kind, term)
    before = so_far.forward_fill().shift(1).over(over)
    return pl.when("twin").then(before.shift(1)).otherwise(before) if has_twins else before


def _column(cell: Cell) -> str:
    assert cell.column is not None
    return cell.column.name.lower()


def _value(declaration: Declaration) -> pl.Expr:
    """The value of a declaration, of an entity that has history."""
    if isinstance(declaration, Ratio):
        return _quotient(_value(declaration.numerator), _value(declaration.denominator))
    assert isinstance(declaration, Feature)
    cells, how = [pl.col(cell.name) for cell in asked.cells_of(declaration)], declaration.how
    if isinstance(how, say.IsNew | say.SameCount | say.SameShare | say.SinceSame | say.Changed):
        given = pl.col(how.column.name.lower())
        return pl.when(given.is_not_null()).then(_of_the_same(how, given, cells))
    return _of_all(declaration, cells)


def _of_all(feature: Feature, cells: list[pl.Expr]) -> pl.Expr:
    """The value of a feature of every arrival that counts."""
    own, now = pl.col("amount"), pl.col("time")
    match feature.how:
        case say.Count() | say.Sum() | say.Distinct() | say.Max() | say.Min():
            return cells[0].cast(pl.Float64)
        case say.Mean() | say.Share():
            return _quotient(cells[1], cells[0])
        case say.Deviation():
            return _quotient(_spread(cells).sqrt(), cells[0])
        case say.ZScore():
            return _quotient(own * cells[0] - cells[1], _spread(cells).sqrt())
        case say.OverMean():
            return _quotient(own * cells[0], cells[1])
        case say.OverMax():
            return _quotient(own, cells[0])
        case say.Pace(habit):
            return _quotient(cells[0] * habit, cells[1] * feature.over)
        case say.SinceLast():
            return (now - cells[0]) / 1000.0
        case say.SinceFirst():
            return (now - pl.col("first")) / 1000.0
    raise AssertionError(feature)


def _of_the_same(how: say.Aggregate, given: pl.Expr, cells: list[pl.Expr]) -> pl.Expr:
    """The value of a feature of the operation's own value of a column, where that is given."""
    match how:
        case say.IsNew():
            return (cells[0] == 0).cast(pl.Float64)
        case say.SameCount():
            return cells[0].cast(pl.Float64)
        case say.SameShare():
            return _quotient(cells[0], cells[1])
        case say.SinceSame():
            return (pl.col("time") - cells[0]) / 1000.0
        case say.Changed():
            return (given != cells[0]).cast(pl.Float64)
    raise AssertionError(how)


def _quotient(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    return pl.when(below != 0).then(above.cast(pl.Float64) / below.cast(pl.Float64))


def _spread(cells: list[pl.Expr]) -> pl.Expr:
    """n^2 times the variance, in 128 bits."""
    count, total, squares = (cell.cast(pl.Int128) for cell in cells)
    return (count * squares - total * total).cast(pl.Float64)
