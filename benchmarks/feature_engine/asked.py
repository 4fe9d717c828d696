"""What a peer must compute for a declaration: the cells that it accumulates, whichever the peer.

A peer says how a cell is written in its own language, and how a value is made of cells; the declarations do the rest, so
nothing is written by hand for one feature.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from features import language as say
from features.language import Declaration, Feature, Ratio, Where
from features.layout import Column, Slot, space_of


class Kind(Enum):
    """What a cell accumulates over the earlier arrivals of an entity."""

    COUNT = "count"
    SUM = "sum"
    SQUARES = "squares"
    DISTINCT = "distinct"
    LAST = "last"
    SAME = "same"
    LAST_SAME = "last_same"


@dataclass(frozen=True)
class Cell:
    """An accumulation over (t - over, t); SAME and LAST_SAME look only at arrivals with the operation's value of the column."""

    kind: Kind
    where: Where
    over: int
    column: Column | None = None

    @property
    def name(self) -> str:
        """Its column in a peer's frame."""
        column = "" if self.column is None else self.column.name.lower()
        return f"cell_{self.kind.value}_{column}_{self.where.name}_{say.window_word(self.over)}"


AMOUNTS: dict[type[say.Aggregate], tuple[Kind, ...]] = {
    say.Count: (Kind.COUNT,),
    say.Sum: (Kind.SUM,),
    say.Mean: (Kind.COUNT, Kind.SUM),
    say.Deviation: (Kind.COUNT, Kind.SUM, Kind.SQUARES),
    say.ZScore: (Kind.COUNT, Kind.SUM, Kind.SQUARES),
    say.OverMean: (Kind.COUNT, Kind.SUM),
    say.SinceLast: (Kind.LAST,),
    say.SinceFirst: (),
}
VALUES: dict[type[say.Aggregate], tuple[Kind, ...]] = {
    say.Distinct: (Kind.DISTINCT,),
    say.IsNew: (Kind.SAME,),
    say.SameShare: (Kind.SAME, Kind.COUNT),
    say.SinceSame: (Kind.LAST_SAME,),
}
"""Aggregates and the cells they are made of: of amounts and times; of the values of a column. Others are not asked of a peer."""
WHOLE: tuple[type[say.Aggregate], ...] = (say.Count, say.Sum, say.Distinct, say.IsNew)
"""Aggregates whose values must be equal to the last bit; the others end in a division or a root."""


def cells_of(feature: Feature) -> tuple[Cell, ...]:
    """The cells of a feature, in the order of AMOUNTS and VALUES."""
    column = getattr(feature.how, "column", None)
    kinds = (AMOUNTS | VALUES)[type(feature.how)]
    return tuple(Cell(kind, feature.where, feature.over, None if kind is Kind.COUNT else column) for kind in kinds)


def parts_of(declaration: Declaration) -> tuple[Feature, ...]:
    """The features that a declaration is made of; none for a value of the operation itself."""
    if isinstance(declaration, Feature):
        return (declaration,)
    return (declaration.numerator, declaration.denominator) if isinstance(declaration, Ratio) else ()


def is_known(declaration: Declaration) -> bool:
    """Whether AMOUNTS and VALUES can express a declaration, on one slot."""
    parts = parts_of(declaration)
    return bool(parts) and len({part.by for part in parts}) == 1 and all(type(p.how) in AMOUNTS | VALUES for p in parts)


def is_whole(declaration: Declaration) -> bool:
    """Whether the value must be equal to the last bit."""
    return isinstance(declaration, Feature) and type(declaration.how) in WHOLE


def by_space(declarations: Iterable[Declaration]) -> Iterator[list[Declaration]]:
    """Declarations of one space of entities each: they share a sort. Senders and recipients are one space."""
    ordered = list(declarations)
    for space in sorted({space_of(slot_of(declaration)) for declaration in ordered}):
        yield [declaration for declaration in ordered if space_of(slot_of(declaration)) == space]


def slot_of(declaration: Declaration) -> Slot:
    """Whose behaviour it is."""
    return parts_of(declaration)[0].by


def slots_of(declarations: Sequence[Declaration]) -> list[Slot]:
    """Every slot through which an arrival belongs to the entities of the declarations' space."""
    return [slot for slot in Slot if space_of(slot) == space_of(slot_of(declarations[0]))]


def all_cells(declarations: Sequence[Declaration]) -> list[Cell]:
    """Every cell of some declarations, once."""
    return list(dict.fromkeys(cell for d in declarations for part in parts_of(d) for cell in cells_of(part)))
