"""Declarations -> a plan: names, hash, and the integer tables that the kernel interprets.

A new feature is a new row in a table; the kernel is not compiled again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.errors import DeclarationError
from features import language as say
from features.arrivals import ENCODING
from features.layout import SLOTS, SPACES, Column, Fact, Slot, space_of

Integers = NDArray[np.int64]
MAX_FAMILIES = 16
"""Columns followed per space: one bit each in the log's two words of marks."""
HEADER = 5
"""Words of an entity's record before its cursors: KEY, SPACE, HEAD, TAIL, NODES."""


class Cell(IntEnum):
    """What an accumulator holds: one word each, SQUARES three (see `kernel.add_square`)."""

    COUNT = 0
    SUM = 1
    SQUARES = 2
    DISTINCT = 3
    LAST = 4


class Emit(IntEnum):
    """How a feature's value is made from accumulators."""

    VALUE = 0
    RATIO = 1
    DEVIATION = 2
    ZSCORE = 3
    OVER_MEAN = 4
    SINCE_LAST = 5
    SINCE_FIRST = 6
    IS_NEW = 7
    SAME_SHARE = 8
    SINCE_SAME = 9
    AMOUNT = 10
    COLUMN = 11
    FACT = 12
    TRUNCATED = 13


class Program(NamedTuple):
    """The plan as arrays: what the kernel reads.

    spaces (SPACES, 5): stride of a record, groups from-to, families from-to; groups (n, 4): window ms, word of the cursor,
    cells from-to; cells (n, 5): Cell, facts needed, facts excluded, word, bit of the family; families (n, 4): column, facts
    needed, excluded, bit; emits (features, 6): Emit and its operands; limits: capacity, longest window, widest record.
    """

    spaces: Integers
    groups: Integers
    cells: Integers
    families: Integers
    emits: Integers
    limits: Integers


@dataclass
class _Group:
    window: int
    cells: dict[tuple[Cell, Fact, Fact, int], int] = field(default_factory=dict)


class _SpaceBuilder:
    """Collects the accumulators and followed columns that the features of one space need, each once."""

    def __init__(self) -> None:
        self.groups: dict[int, _Group] = {}
        self.families: dict[tuple[Column, Fact, Fact], int] = {}

    def cell(self, kind: Cell, where: say.Where, window: int, bit: int = -1) -> tuple[int, tuple[Cell, Fact, Fact, int]]:
        key = (kind, where.needs, where.excludes, bit)
        self.groups.setdefault(window, _Group(window)).cells.setdefault(key, 0)
        return window, key

    def family(self, column: Column, where: say.Where, place: str) -> int:
        bit = self.families.setdefault((column, where.needs, where.excludes), len(self.families))
        if bit >= MAX_FAMILIES:
            raise DeclarationError(f"{place}: one entity follows at most {MAX_FAMILIES} pairs of column and filter")
        return bit

    def lay_out(self) -> int:
        """Give every cursor and cell its word; the record's length comes back."""
        word = HEADER + len(self.groups)
        for group in self.groups.values():
            for key in group.cells:
                group.cells[key] = word
                word += 3 if key[0] is Cell.SQUARES else 1
        return word


class Plan:
    """What runs: the declarations in order, their names, their hash and the kernel's program."""

    def __init__(self, declarations: Sequence[say.Declaration], retained: int) -> None:
        """retained: how many arrivals the log keeps, a power of two; DeclarationError for what cannot be compiled."""
        if retained < 8 or retained & (retained - 1):
            raise DeclarationError(f"retained arrivals: seen {retained}, allowed a power of two from 8")
        self.declarations = tuple(declarations)
        self.names = tuple(d.name for d in self.declarations)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise DeclarationError(f"declared twice: {', '.join(twice)}")
        self.retained = retained
        meaning = (self.declarations, retained, ENCODING)
        self.hash = hashlib.sha256(repr(meaning).encode()).hexdigest()
        self.program = _compile(self.declarations, retained)

    def __len__(self) -> int:
        return len(self.names)


def _compile(declarations: tuple[say.Declaration, ...], retained: int) -> Program:
    builders = [_SpaceBuilder() for _ in range(SPACES)]
    recipes = [_recipe(declaration, builders) for declaration in declarations]
    strides = [builder.lay_out() for builder in builders]
    emits = np.full((len(recipes), 6), -1, np.int64)
    for row, (emit, operands) in enumerate(recipes):
        words = [_word(builders, operand) for operand in operands]
        emits[row, : 1 + len(words)] = [emit, *words]
    spaces: list[tuple[int, ...]] = []
    groups: list[tuple[int, ...]] = []
    cells: list[tuple[int, ...]] = []
    families: list[tuple[int, ...]] = []
    for stride, builder in zip(strides, builders, strict=True):
        spaces.append((stride, len(groups), len(groups) + len(builder.groups), len(families),
                       len(families) + len(builder.families)))  # fmt: skip
        for cursor, group in enumerate(builder.groups.values()):
            groups.append((group.window, HEADER + cursor, len(cells), len(cells) + len(group.cells)))
            cells += [(kind, needs, excludes, word, bit) for (kind, needs, excludes, bit), word in group.cells.items()]
        families += [(column, needs, excludes, bit) for (column, needs, excludes), bit in builder.families.items()]
    longest = max([g[0] for g in groups if g[0] != say.RETAINED], default=0)
    return Program(
        _table(spaces, 5), _table(groups, 4), _table(cells, 5), _table(families, 4), emits,
        np.array([retained, longest, max(strides)], np.int64),
    )  # fmt: skip


def _table(rows: list[tuple[int, ...]], width: int) -> Integers:
    return np.array(rows, np.int64).reshape(len(rows), width)


_Operand = int | tuple[int, tuple[int, tuple[Cell, Fact, Fact, int]]]


def _word(builders: list[_SpaceBuilder], operand: _Operand) -> int:
    if isinstance(operand, tuple):
        space, (window, key) = operand
        return builders[space].groups[window].cells[key]
    return int(operand)


def _recipe(declaration: say.Declaration, builders: list[_SpaceBuilder]) -> tuple[Emit, list[_Operand]]:
    """The emit of a declaration and its operands: slots, accumulators, bits, columns."""
    if isinstance(declaration, say.Own):
        return _own(declaration.of)
    if isinstance(declaration, say.Ratio):
        above, below = (_accumulator(part, builders) for part in (declaration.numerator, declaration.denominator))
        return Emit.RATIO, [declaration.numerator.by, above, declaration.denominator.by, below]
    return _behaviour(declaration, builders)


def _own(of: str) -> tuple[Emit, list[_Operand]]:
    if of == "amount":
        return Emit.AMOUNT, []
    if of == "window_truncated":
        return Emit.TRUNCATED, []
    if of in ("hour", "weekday", "kind"):
        return Emit.COLUMN, [Column[of.upper()]]
    return Emit.FACT, [Fact[of.upper()]]


def _accumulator(feature: say.Feature, builders: list[_SpaceBuilder]) -> _Operand:
    kind = Cell.COUNT if isinstance(feature.how, say.Count) else Cell.SUM
    space = space_of(feature.by)
    return space, builders[space].cell(kind, feature.where, feature.over)


def _behaviour(feature: say.Feature, builders: list[_SpaceBuilder]) -> tuple[Emit, list[_Operand]]:
    by, how, space = feature.by, feature.how, space_of(feature.by)

    def cell(kind: Cell, bit: int = -1) -> _Operand:
        return space, builders[space].cell(kind, feature.where, feature.over, bit)

    match how:
        case say.Count() | say.Sum():
            return Emit.VALUE, [by, _accumulator(feature, builders)]
        case say.Mean():
            return Emit.RATIO, [by, cell(Cell.SUM), by, cell(Cell.COUNT)]
        case say.Deviation():
            return Emit.DEVIATION, [by, cell(Cell.COUNT), cell(Cell.SUM), cell(Cell.SQUARES)]
        case say.ZScore():
            return Emit.ZSCORE, [by, cell(Cell.COUNT), cell(Cell.SUM), cell(Cell.SQUARES)]
        case say.OverMean():
            return Emit.OVER_MEAN, [by, cell(Cell.COUNT), cell(Cell.SUM)]
        case say.SinceLast():
            return Emit.SINCE_LAST, [by, cell(Cell.COUNT), cell(Cell.LAST)]
        case say.SinceFirst():
            return Emit.SINCE_FIRST, [by]
        case say.Distinct(column):
            return Emit.VALUE, [by, cell(Cell.DISTINCT, builders[space].family(column, feature.where, feature.name))]
        case say.IsNew(column) | say.SinceSame(column):
            bit = builders[space].family(column, feature.where, feature.name)
            return (Emit.IS_NEW if isinstance(how, say.IsNew) else Emit.SINCE_SAME), [by, column, bit]
        case say.SameShare(column):
            bit = builders[space].family(column, feature.where, feature.name)
            return Emit.SAME_SHARE, [by, column, bit, cell(Cell.COUNT)]
    raise DeclarationError(f"{feature.name}: {how} is not an aggregate; allowed {say.Aggregate}")


assert len(Slot) == SLOTS == 8, "a node is packed as row * 8 + slot"
