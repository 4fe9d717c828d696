"""What a peer must compute for a declaration: the cells that it accumulates, whichever the peer.

A peer says how a cell is written in its own language, and how a value is made of cells; the declarations do the rest, so
nothing is written by hand for one feature.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from features import language as say
from features.language import Declaration, Feature, Group, Ratio, Where
from features.layout import Column, Fact, Slot, space_of

Entity = Slot | Group


class Kind(Enum):
    """What a cell accumulates over the earlier arrivals of an entity."""

    COUNT = "count"
    SUM = "sum"
    SQUARES = "squares"
    DISTINCT = "distinct"
    MAX = "max"
    MIN = "min"
    LAST = "last"
    LAST_VALUE = "last_value"
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


KINDS: dict[type[say.Aggregate], tuple[Kind, ...]] = {
    say.Count: (Kind.COUNT,),
    say.Sum: (Kind.SUM,),
    say.Mean: (Kind.COUNT, Kind.SUM),
    say.Max: (Kind.MAX,),
    say.Min: (Kind.MIN,),
    say.Deviation: (Kind.COUNT, Kind.SUM, Kind.SQUARES),
    say.ZScore: (Kind.COUNT, Kind.SUM, Kind.SQUARES),
    say.OverMean: (Kind.COUNT, Kind.SUM),
    say.OverMax: (Kind.MAX,),
    say.Share: (Kind.COUNT,),
    say.Pace: (Kind.COUNT,),
    say.Distinct: (Kind.DISTINCT,),
    say.IsNew: (Kind.SAME,),
    say.SameCount: (Kind.SAME,),
    say.SameShare: (Kind.SAME, Kind.COUNT),
    say.Changed: (Kind.LAST_VALUE,),
    say.SinceLast: (Kind.LAST,),
    say.SinceSame: (Kind.LAST_SAME,),
    say.SinceFirst: (),
}
"""Aggregates and the kinds of cell that they are made of; the others are not asked of a peer."""
WHOLE: tuple[type[say.Aggregate], ...] = (
    say.Count, say.Sum, say.Max, say.Min, say.Distinct, say.IsNew, say.SameCount, say.Changed,
)  # fmt: skip
"""Aggregates whose values must be equal to the last bit; the others end in a division or a root."""
OF_A_COLUMN = (Kind.DISTINCT, Kind.SAME, Kind.LAST_SAME, Kind.LAST_VALUE)


def cells_of(feature: Feature) -> tuple[Cell, ...]:
    """The cells of a feature in the order of KINDS; a share adds its narrower count, a pace its longer one."""
    how, where, over = feature.how, feature.where, feature.over
    column = getattr(how, "column", None)
    cells = tuple(Cell(kind, where, over, column if kind in OF_A_COLUMN else None) for kind in KINDS[type(how)])
    if isinstance(how, say.Share):
        return *cells, Cell(Kind.COUNT, where & how.of, over)
    return (*cells, Cell(Kind.COUNT, where, how.habit)) if isinstance(how, say.Pace) else cells


def parts_of(declaration: Declaration) -> tuple[Feature, ...]:
    """The features that a declaration is made of; none for a value of the operation itself."""
    if isinstance(declaration, Feature):
        return (declaration,)
    return (declaration.numerator, declaration.denominator) if isinstance(declaration, Ratio) else ()


def is_known(declaration: Declaration) -> bool:
    """Whether KINDS can express a declaration, of facts alone: marks are our engine's own."""
    parts = parts_of(declaration)
    if not parts or not all(type(part.how) in KINDS for part in parts):
        return False
    return not any(cell.where.marks or cell.where.unmarked for cell in all_cells([declaration]))


def is_whole(declaration: Declaration) -> bool:
    """Whether the value must be equal to the last bit."""
    return isinstance(declaration, Feature) and type(declaration.how) in WHOLE


def by_space(declarations: Iterable[Declaration]) -> Iterator[list[Declaration]]:
    """Declarations of one space of entities each: they share a sort. Senders and recipients are one space."""
    spaces: dict[tuple[Entity, ...], list[Declaration]] = {}
    for declaration in declarations:
        spaces.setdefault(roles_of(entity_of(declaration)), []).append(declaration)
    yield from spaces.values()


def entity_of(declaration: Declaration) -> Entity:
    """Whose behaviour it is."""
    return parts_of(declaration)[0].by


def roles_of(entity: Entity) -> tuple[Entity, ...]:
    """Every slot or group through which an arrival belongs to the entities of a space."""
    if isinstance(entity, Group):
        return (entity,)
    return tuple(slot for slot in Slot if space_of(slot) == space_of(entity))


def column_of(entity: Entity) -> str:
    """The column of the table of arrivals that holds the entity's key."""
    return say.entity_name(entity)


def role_of(entity: Entity) -> Fact:
    """What the entity does in an arrival."""
    return Fact.RECEIVING if entity is Slot.RECIPIENT else Fact.SENDING


def all_cells(declarations: Iterable[Declaration]) -> list[Cell]:
    """Every cell of some declarations, once."""
    return list(dict.fromkeys(cell for d in declarations for part in parts_of(d) for cell in cells_of(part)))


def columns_of(cells: Iterable[Cell]) -> list[str]:
    """The columns whose values the cells look at."""
    return sorted({cell.column.name.lower() for cell in cells if cell.column is not None})
