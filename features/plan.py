"""Declarations -> a plan: names, hash, and the integer tables that the kernel interprets.

A new feature is a new row in a table; the kernel is not compiled again. A new aggregate is a case in `_behaviour`, a cell or
an emit here, and its branch in the kernel.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from domain.errors import DeclarationError
from features import language as say
from features.arrivals import ENCODING
from features.layout import FIRST_MARK, LANES, MAX_MARKS, SLOTS, SMALL_COLUMNS, Column, Fact, Slot, space_of

Integers = NDArray[np.int64]
MAX_SLOTS = 16
"""Slots of a plan, its groups included: four bits of a node."""
MAX_FAMILIES = 32
"""Columns followed per space: five bits of a pair's tag."""
MAX_WINDOWS = 32
"""Windows per space: a bit each of those in which something is due."""
MAX_DISTINCT = 16
"""Columns counted as distinct per space: a bit each for each of its slots in a log row."""
MAX_RETAINED = 1 << 26
"""Arrivals of a log: a node, 16 a row, and one more fit in 31 bits."""
MAX_POOL = 1 << 32
"""Words of the pool of records: an entity is its first word's number, and has 32 bits in links and directory."""
MAX_FILTERS = 64
"""Different filters of a plan: a bit each of what an arrival passes."""
HEADER = 3
"""Words of an entity's record before its cursors: KEY, CHAIN, SINCE."""
NEVER = 2**63 - 1
"""Time of a cursor of no node."""
CURSOR_HALVES = 3
"""Halves of words of a cursor: two of the time of the oldest node inside the window, one of that node. The times of all windows
come first."""


class Cell(IntEnum):
    """What an accumulator holds, and in how many words where it is more than one."""

    COUNT = 0
    SUM = 1
    SQUARES = 2  # three words, see `kernel.add_square`
    DISTINCT = 3
    LAST = 4  # number and time of the last arrival
    TALLY = 5  # words: a count for each value of a small column
    EXTREME = 6  # node and amount of the window's largest or smallest; node and time of its first, where the sign is 0
    DEQUE = 7  # first and last node of the chain that extremes are taken from
    NTH = 8  # where the ring begins, then number and time of the last n arrivals
    LATEST = 9  # number and value of the last arrival that gave the column
    LOCATION = 10  # number, time, latitude and longitude of the last arrival
    STEPS = 11  # for each step: number and time of the latest first step that led there


IN_HALVES = (Cell.COUNT, Cell.DISTINCT, Cell.TALLY)
"""Counts of nodes, of which there are fewer than 2^31: each in half a word."""
_ORDER = {Cell.COUNT: 0, Cell.DISTINCT: 1, Cell.TALLY: 1, Cell.SUM: 2}
"""Of cells in a record; all others behind them."""
_KEPT = (Cell.COUNT, Cell.SUM, Cell.DISTINCT)
"""Numbers for which there are tables of their own; the rest are cells of runs."""
_LEAVING = (Cell.SQUARES, Cell.TALLY, Cell.EXTREME, Cell.DEQUE)
"""What a node that leaves a window changes."""


class Emit(IntEnum):
    """How a feature's value is made from accumulators."""

    VALUE = 0
    RATIO = 1
    PACE = 2
    DEVIATION = 3
    ZSCORE = 4
    OVER_MEAN = 5
    EXTREME = 6
    OVER_MAX = 7
    SINCE_LAST = 8
    SINCE_FIRST = 9
    SINCE_NTH = 10
    SINCE_EARLIEST = 11
    IS_LATER = 12
    IS_NEW = 13
    SAME_COUNT = 14
    SAME_SHARE = 15
    SINCE_SAME = 16
    TALLY_SHARE = 17
    ENTROPY = 18
    CHANGED = 19
    DISTANCE = 20
    SPEED = 21
    STEPS = 22
    AMOUNT = 23
    COLUMN = 24
    FACT = 25
    TRUNCATED = 26


class Table(IntEnum):
    """Where the program's header says what: sizes first, then where each table begins."""

    RETAINED = 0
    LONGEST = 1  # longest window in ms, RETAINED left out
    SLOTS = 2
    LOG_WORDS = 3
    LINKS_AT = 4
    STORED_AT = 5
    RECORDS = 6  # words of a record of each slot together
    FEATURES = 7
    SLOT = 8
    SPACE = 9
    STORED = 10
    OWN_FROM = 11  # emits of the operation itself
    OWN_TO = 12
    MARK_FROM = 13  # hidden emits, one a mark
    MARK_TO = 14
    STORED_TO = 15
    NUMBER_AT = 16
    NEEDED_FROM = 17  # facts that each filter needs
    NEEDED_TO = 18  # and behind them, in the same order, those that it looks at
    KEPT = 19  # bits of the slots of which anything is kept


TABLES = len(Table)
# words of a row of each table
SLOT_WORDS, SPACE_WORDS, GROUP_WORDS, RUN_WORDS, CELL_WORDS = 11, 18, 15, 2, 5
FAMILY_WORDS, DEQUE_WORDS, DISTINCT_WORDS, KIND_WORDS, MARK_WORDS, OWN_WORDS = 7, 4, 2, 3, 3, 3
OPERAND_BITS = 16
"""Of an emit's place in the vector and its three operands: together a word."""
WHOLE = 1 << OPERAND_BITS - 1
"""Added to an operand that is a place of a whole word where places are counted in halves."""
# words of a log row before its links: time, amount, the filters it passes, small columns; bits for the columns that are counted as distinct
# are behind the small columns, and in words of their own where there are too many. Behind the links the chains of extremes, and
# last what only eviction reads: so what leaves a window of an account or customer is in one cache line with its link
LOG_HEADER = 4
WORD_BITS = 64
SMALL_BITS = 8 * len(SMALL_COLUMNS)
SMALL_SHIFT = {column: 8 * i for i, column in enumerate(SMALL_COLUMNS)}
TALLIED = 4096
"""Counts below it have their own entry in the table of n log2 n; larger ones are scaled down, to eleven bits exact."""


@dataclass(frozen=True)
class Program:
    """The plan as two arrays: what the kernel reads.

    tables: a header (see `Table`) and after it rows of slots (space, bits of the filters that its role can pass, keys from and to, emits from and
    to, their kinds from and to, log word and shift of the marks, row of its space), keys, spaces (stride, groups from and to,
    families from and to, deques from and to, windows ms one after another, bits of the groups, counts, sums, bits of the filters
    of what else an arrival changes, runs of that, record of an entity without history), groups (window ms, words of its cursor's
    time and node, counts, sums, distinct counts from and to, bits of the filters of what else a leaving node changes, runs of
    that, word and log word of an extreme or 0), runs in order of their filters (cells from and to), cells (Cell, word, three
    operands), distinct counts of a group (word, bit) and of a family (word, window ms), families (column, filter, bit, log word,
    whether the time of a pair's newest arrival is asked for, distinct counts from and to), deques (filter, word, sign, log word),
    filters (facts needed, then facts looked at, the role aside), kinds of emits (Emit, emits from and to), emits (place in the
    vector and three operands in a word), marks (slot, Emit, emit), values of the operation itself (Emit, operand, place).
    Counts and sums are three words each: their first word in a record (of counts, of the windows' nodes, of distinct counts and
    tallies it is the half of a word, counted from the record's beginning), where their filters are, and how many they are.
    `from` and `to` are places in `tables`.
    floats: the missing value of each feature, the limit of each mark, then n log2 n for n below TALLIED.
    """

    tables: Integers
    floats: NDArray[np.float64]


_Filter = tuple[int, int]
_CellKey = tuple[Cell, _Filter, tuple[int, ...]]


@dataclass
class _Group:
    """The accumulators of one window: by filter, then by what they hold."""

    window: int
    cells: dict[_CellKey, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Place:
    """An operand that is a word of a record, known when the records are laid out."""

    space: int
    window: int
    key: _CellKey


_Row = tuple[_CellKey, tuple[int, ...]]
_Recipe = tuple[Emit, int, list[int | _Place]]
EVERY: _Filter = (0, 0)
UNMET = -1
"""Needed by no filter: more than there are facts."""
ROLES = int(Fact.SENDING | Fact.RECEIVING)
"""Facts of a slot, not of an arrival."""


class _SpaceBuilder:
    """Collects the accumulators and followed columns that the features of one space need, each once.

    dated: the families of whose pairs the time is asked for.
    """

    def __init__(self) -> None:
        self.groups: dict[int, _Group] = {}
        self.families: dict[tuple[Column, _Filter], int] = {}
        self.bits: dict[int, int] = {}
        self.dated: set[int] = set()
        self.deques: dict[tuple[_Filter, int], int] = {}
        self.stride = 0

    def cell(self, kind: Cell, where: _Filter, window: int, *operands: int) -> _CellKey:
        key = (kind, where, operands)
        self.groups.setdefault(window, _Group(window)).cells.setdefault(key, 0)
        return key

    def family(self, column: Column, where: _Filter, place: str) -> int:
        family = self.families.setdefault((column, where), len(self.families))
        if family >= MAX_FAMILIES:
            raise DeclarationError(f"{place}: one entity follows at most {MAX_FAMILIES} pairs of column and filter")
        return family

    def distinct_bit(self, family: int, place: str) -> int:
        self.dated.add(family)
        bit = self.bits.setdefault(family, len(self.bits))
        if bit >= MAX_DISTINCT:
            raise DeclarationError(
                f"{place}: one entity counts at most {MAX_DISTINCT} pairs of column and filter as distinct"
            )
        return bit

    def cells_in_order(self) -> list[tuple[_Group, _CellKey]]:
        """All counts, what else is in halves, all sums, then the rest, each window by window: what is added to together stands together."""
        cells = [(group, key) for group in self.groups.values() for key in group.cells]
        return sorted(cells, key=lambda cell: _ORDER.get(cell[1][0], len(_ORDER)))

    def empty_record(self) -> list[int]:
        """A record of an entity without history."""
        halves = [-1] * len(self.groups) + [0] * self._halves
        words = [word for _, key in self.cells_in_order() if key[0] not in IN_HALVES for word in _beginning(key)]
        record = [0, 0, 0, *[NEVER] * len(self.groups), *_packed(halves), *words]
        return record + [0] * (self.stride - len(record))

    @property
    def _halves(self) -> int:
        """Of all the cells that are in halves."""
        return sum(len(_beginning(key)) for _, key in self.cells_in_order() if key[0] in IN_HALVES)

    def lay_out(self) -> None:
        """Give every cursor and cell its word, or its half of one; DeclarationError for more windows than there are bits."""
        if len(self.groups) > MAX_WINDOWS:
            raise DeclarationError(f"one entity has {len(self.groups)} different windows; allowed {MAX_WINDOWS}")
        half = 2 * HEADER + CURSOR_HALVES * len(self.groups)
        word = -(-(half + self._halves) // 2)
        for group in self.groups.values():
            group.cells = dict.fromkeys(sorted(group.cells, key=lambda key: (key[1], key[0], key[2])), 0)
        for group, key in self.cells_in_order():
            if key[0] in IN_HALVES:
                group.cells[key] = half
                half += len(_beginning(key))
            else:
                group.cells[key] = word
                word += len(_beginning(key))
        self.stride = -(-word // 8) * 8  # whole cache lines


def _packed(halves: list[int]) -> list[int]:
    """Numbers of 32 bits, two in a word, the lower half first."""
    return [int(word) for word in np.array(halves + [0] * (len(halves) % 2), np.int32).view(np.int64)]


def _beginning(key: _CellKey) -> list[int]:
    """The words of a cell before any arrival, or halves of words: -1 where a node or a number will be."""
    kind, _, operands = key
    match kind:
        case Cell.TALLY:
            return [0] * SMALL_COLUMNS[Column(operands[0])]
        case Cell.SQUARES:
            return [0, 0, 0]
        case Cell.LAST | Cell.EXTREME | Cell.LATEST:
            return [-1, 0]
        case Cell.DEQUE:
            return [-1, -1]
        case Cell.NTH:
            return [0, *[-1, 0] * operands[0]]
        case Cell.LOCATION:
            return [-1, 0, 0, 0]
        case Cell.STEPS:
            return [-1, 0] * len(_steps(key))
    return [0]


class Plan:
    """What runs: the declarations in order, their names, their hash and the kernel's program."""

    def __init__(
        self,
        declarations: Sequence[say.Declaration],
        retained: int,
        given: tuple[say.Mark, ...] | None = None,
    ) -> None:
        """retained: how many arrivals the log keeps, a power of two; DeclarationError for what cannot be compiled.

        given: marks that the rows already bear, each at the bit of its place here; by default the plan puts them on itself.
        """
        if not 8 <= retained <= MAX_RETAINED or retained & (retained - 1):
            raise DeclarationError(f"retained arrivals: seen {retained}, allowed a power of two from 8 to {MAX_RETAINED}")
        self.declarations = tuple(declarations)
        self.names = tuple(d.name for d in self.declarations)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise DeclarationError(f"declared twice: {', '.join(twice)}")
        self.retained = retained
        self.hash = hashlib.sha256(repr((self.declarations, retained, ENCODING)).encode()).hexdigest()
        compiler = _Compiler(self.declarations, retained, given)
        self.groups: tuple[say.Group, ...] = tuple(compiler.groups)
        self.marks: tuple[say.Mark, ...] = tuple(compiler.marks)
        self.program = compiler.program()
        if (retained + 1) * (words := int(self.program.tables[Table.RECORDS])) >= MAX_POOL:
            raise DeclarationError(
                f"retained arrivals: seen {retained}, of {words} words of records each; allowed fewer than {MAX_POOL // words}"
            )
        self.slots = tuple(_slot_of(d, compiler.groups) for d in self.declarations)
        """The slot that each feature is of, -1 for the operation itself."""

    def __len__(self) -> int:
        return len(self.names)


def _slot_of(declaration: say.Declaration, groups: list[say.Group]) -> int:
    if isinstance(declaration, say.Own):
        return -1
    by = declaration.numerator.by if isinstance(declaration, say.Ratio) else declaration.by
    return SLOTS + groups.index(by) if isinstance(by, say.Group) else int(by)


def _parts(declaration: say.Declaration) -> tuple[say.Feature, ...]:
    """The features that a declaration is made of."""
    if isinstance(declaration, say.Ratio):
        return declaration.numerator, declaration.denominator
    return () if isinstance(declaration, say.Own) else (declaration,)


def _filters(feature: say.Feature) -> Iterable[say.Where]:
    yield feature.where
    if isinstance(feature.how, say.Share):
        yield feature.how.of
    if isinstance(feature.how, say.IsLater):
        yield feature.how.than
    if isinstance(feature.how, say.Steps):
        yield from feature.how.steps


class _Compiler:
    """One pass over the declarations: groups, marks, accumulators and recipes, then the tables."""

    def __init__(
        self,
        declarations: tuple[say.Declaration, ...],
        retained: int,
        given: tuple[say.Mark, ...] | None,
    ) -> None:
        self.retained = retained
        features = [part for declaration in declarations for part in _parts(declaration)]
        self.marks = _marks(features) if given is None else list(given)
        made = self.marks if given is None else []
        features += [mark.feature for mark in made]
        self.groups = list(dict.fromkeys(f.by for f in features if isinstance(f.by, say.Group)))
        twice = {group.name for group in self.groups if sum(other.name == group.name for other in self.groups) > 1}
        if twice:
            raise DeclarationError(f"two different groups are called {', '.join(sorted(twice))}")
        if SLOTS + len(self.groups) > MAX_SLOTS:
            raise DeclarationError(f"{len(self.groups)} groups; allowed {MAX_SLOTS - SLOTS}")
        self.filters: dict[_Filter, int] = {}
        self.spaces = [_SpaceBuilder() for _ in range(space_of(SLOTS) + len(self.groups))]
        self.recipes = {place: self._recipe(declaration) for place, declaration in enumerate(declarations)}
        self.missing = [declaration.missing for declaration in declarations]
        self.hidden = [self._recipe(mark.feature) for mark in made]
        windows = [window for f in features for window in (f.over, getattr(f.how, "habit", 0)) if window != say.RETAINED]
        self.longest = max(windows, default=0)
        for space in self.spaces:
            space.lay_out()

    # ---- what a declaration needs ------------------------------------------------------------------------------------

    def _slot(self, by: Slot | say.Group) -> int:
        return SLOTS + self.groups.index(by) if isinstance(by, say.Group) else int(by)

    def _filter(self, where: say.Where) -> _Filter:
        def bits(marks: tuple[say.Mark, ...]) -> int:
            return sum(1 << (FIRST_MARK + self.marks.index(mark)) for mark in set(marks))

        return int(where.needs) | bits(where.marks), int(where.excludes) | bits(where.unmarked)

    def _recipe(self, declaration: say.Declaration) -> _Recipe:
        """The emit of a declaration, its slot and its operands."""
        if isinstance(declaration, say.Own):
            return _own(declaration.of)
        if isinstance(declaration, say.Ratio):
            above, below = (self._behaviour(part) for part in (declaration.numerator, declaration.denominator))
            return Emit.RATIO, above[1], [*above[2], *below[2]]
        return self._behaviour(declaration)

    def _behaviour(self, feature: say.Feature) -> _Recipe:  # noqa: PLR0912 a kind each
        how, slot = feature.how, self._slot(feature.by)
        number = space_of(slot)
        space, where = self.spaces[number], self._filter(feature.where)

        def cell(kind: Cell, *operands: int, over: int = feature.over, which: _Filter = where) -> _Place:
            return _Place(number, over, space.cell(kind, which, over, *operands))

        def family(column: Column) -> int:
            return space.family(column, where, feature.name)

        def amounts(*kinds: Cell) -> list[int | _Place]:
            return [cell(kind) for kind in kinds]

        match how:
            case say.Count():
                return Emit.VALUE, slot, [cell(Cell.COUNT)]
            case say.Sum():
                return Emit.VALUE, slot, [cell(Cell.SUM)]
            case say.Mean():
                return Emit.RATIO, slot, amounts(Cell.SUM, Cell.COUNT)
            case say.Deviation():
                return Emit.DEVIATION, slot, amounts(Cell.COUNT, Cell.SUM, Cell.SQUARES)
            case say.ZScore():
                return Emit.ZSCORE, slot, amounts(Cell.COUNT, Cell.SUM, Cell.SQUARES)
            case say.OverMean():
                return Emit.OVER_MEAN, slot, amounts(Cell.COUNT, Cell.SUM)
            case say.Max() | say.Min() | say.OverMax():
                sign = -1 if isinstance(how, say.Min) else 1
                deque = space.deques.setdefault((where, sign), len(space.deques))
                cell(Cell.DEQUE, sign, deque, over=say.RETAINED)
                over = Emit.OVER_MAX if isinstance(how, say.OverMax) else Emit.EXTREME
                return over, slot, [cell(Cell.EXTREME, sign, deque)]
            case say.Share(of):
                narrower = self._filter(feature.where & of)
                return Emit.RATIO, slot, [cell(Cell.COUNT, which=narrower), cell(Cell.COUNT)]
            case say.Pace(habit):
                return Emit.PACE, slot, [cell(Cell.COUNT), cell(Cell.COUNT, over=habit), feature.over, habit]
            case say.Distinct(column):
                followed = family(column)
                bit = space.distinct_bit(followed, feature.name)
                return Emit.VALUE, slot, [cell(Cell.DISTINCT, followed, bit)]
            case say.SameShare(column) if column in SMALL_COLUMNS:
                return Emit.TALLY_SHARE, slot, [cell(Cell.TALLY, column, SMALL_SHIFT[column]), cell(Cell.COUNT), column]
            case say.Entropy(column):
                tally = cell(Cell.TALLY, column, SMALL_SHIFT[column])
                return Emit.ENTROPY, slot, [tally, cell(Cell.COUNT), SMALL_COLUMNS[column]]
            case say.SameShare(column):
                return Emit.SAME_SHARE, slot, [column, family(column), cell(Cell.COUNT)]
            case say.SameCount(column):
                return Emit.SAME_COUNT, slot, [column, family(column)]
            case say.IsNew(column):
                return Emit.IS_NEW, slot, [column, family(column)]
            case say.SinceSame(column):
                space.dated.add(followed := family(column))
                return Emit.SINCE_SAME, slot, [column, followed]
            case say.SinceLast():
                return Emit.SINCE_LAST, slot, [cell(Cell.LAST)]
            case say.SinceFirst():
                cell(Cell.COUNT)
                return Emit.SINCE_FIRST, slot, []
            case say.SinceEarliest():
                deque = space.deques.setdefault((where, 0), len(space.deques))
                cell(Cell.DEQUE, 0, deque)
                return Emit.SINCE_EARLIEST, slot, [cell(Cell.EXTREME, 0, deque)]
            case say.IsLater(than):
                return Emit.IS_LATER, slot, [cell(Cell.LAST), cell(Cell.LAST, which=self._filter(than))]
            case say.SinceNth(n):
                return Emit.SINCE_NTH, slot, [cell(Cell.NTH, n), n]
            case say.Changed(column):
                return Emit.CHANGED, slot, [column, cell(Cell.LATEST, column)]
            case say.Distance() | say.Speed():
                emit = Emit.DISTANCE if isinstance(how, say.Distance) else Emit.SPEED
                located = where[0] | int(Fact.LOCATED), where[1]
                return emit, slot, [cell(Cell.LOCATION, which=located)]
            case say.Steps(_, steps):
                filters = [bits for step in steps for bits in self._filter(step)]
                return Emit.STEPS, slot, [cell(Cell.STEPS, *filters, over=say.RETAINED), len(steps), feature.over]
        raise DeclarationError(f"{feature.name}: {how} is not an aggregate; allowed {say.AGGREGATES}")

    # ---- the tables --------------------------------------------------------------------------------------------------

    def program(self) -> Program:
        """Lay everything out in one array of integers and one of floats."""
        tables = _Tables()
        stored = sorted({column for space in self.spaces for column, _ in space.families})
        deques_at, number_at = self._deques_at()
        stored_at = number_at + 1
        self._number_filters()
        spaces = [
            self._space(tables, space, stored, stored_at, at) for space, at in zip(self.spaces, deques_at, strict=True)
        ]
        slots = range(SLOTS + len(self.groups))
        spaces_at = tables.add(spaces)[0]
        emits = self._emits(tables, slots)
        keys = [self._keys(tables, slot) for slot in slots]
        header = {
            Table.RETAINED: self.retained, Table.LONGEST: self.longest, Table.SLOTS: len(slots),
            Table.LOG_WORDS: -(-(stored_at + len(stored)) // 8) * 8, Table.LINKS_AT: self._links_at,
            Table.STORED_AT: stored_at, Table.NUMBER_AT: number_at,
            Table.RECORDS: sum(self.spaces[space_of(slot)].stride for slot in slots), Table.FEATURES: len(self.missing),
            Table.SLOT: tables.add([
                (
                    space_of(slot), self._open_to(slot), *keys[slot], *emits[slot], *self._newest[slot],
                    spaces_at + SPACE_WORDS * space_of(slot),
                )
                for slot in slots
            ])[0],
            Table.SPACE: spaces_at,
            Table.KEPT: sum(1 << slot for slot in slots if (space := self.spaces[space_of(slot)]).groups or space.families),
        }  # fmt: skip
        header[Table.STORED], header[Table.STORED_TO] = tables.add([(column,) for column in stored])
        header[Table.NEEDED_FROM], header[Table.NEEDED_TO] = tables.add(
            _in_lanes([needs & ~ROLES for needs, _ in self.filters], UNMET)
        )
        tables.add(_in_lanes([(needs | excludes) & ~ROLES for needs, excludes in self.filters], 0))
        header[Table.OWN_FROM], header[Table.OWN_TO] = tables.add(
            [(emit, sum(map(self._word, operands)), out) for out, (emit, slot, operands) in self.recipes.items() if slot < 0]
        )
        header[Table.MARK_FROM], header[Table.MARK_TO] = tables.add(
            [(recipe[1], recipe[0], self._emit(tables, recipe, 0)) for recipe in self.hidden]
        )
        entropy = [round(n * math.log2(n) * 2**40) / 2**40 if n else 0.0 for n in range(TALLIED)]
        limits = (mark.above for mark in self.marks[: len(self.hidden)])
        floats = np.array([*self.missing, *limits, *entropy])
        return Program(tables.array(header), floats)

    def _number_filters(self) -> None:
        """Give every filter of a cell, its steps or a family a bit; DeclarationError for more than there are."""
        cells = [key for space in self.spaces for group in space.groups.values() for key in group.cells]
        used = [key[1] for key in cells] + [step for key in cells if key[0] is Cell.STEPS for step in _steps(key)]
        used += [where for space in self.spaces for _, where in space.families]
        self.filters = {where: bit for bit, where in enumerate(dict.fromkeys(used))}
        if len(self.filters) > MAX_FILTERS:
            raise DeclarationError(
                f"{len(self.filters)} different filters; allowed {MAX_FILTERS}: share some between features"
            )

    def _open_to(self, slot: int) -> int:
        """Bits of the filters that an arrival can pass in the role of a slot: the RECIPIENT receives, all others send."""
        role = int(Fact.RECEIVING if slot == Slot.RECIPIENT else Fact.SENDING)
        fits = ((needs | role) & ROLES == role and not excludes & role for needs, excludes in self.filters)
        return _signed(sum(1 << bit for bit, fit in enumerate(fits) if fit))

    def _deques_at(self) -> tuple[list[int], int]:
        """Where each space's deques stand in a log row (a word for each of its slots), and the word behind them all."""
        word, places = self._links_at + SLOTS + len(self.groups), []
        for space in range(len(self.spaces)):
            places.append(word)
            word += len(self.spaces[space].deques) * (2 if space == space_of(Slot.SENDER) else 1)
        return places, word

    @property
    def _newest(self) -> list[tuple[int, int]]:
        """For each slot the log word and the shift of its bits, one for each column that its entity counts as distinct.

        They begin behind the small columns: a log row that is a word too long takes a cache line more.
        """
        places, word, shift = [], LOG_HEADER - 1, SMALL_BITS
        for slot in range(SLOTS + len(self.groups)):
            bits = len(self.spaces[space_of(slot)].bits)
            word, shift = (word, shift) if shift + bits <= WORD_BITS else (word + 1, 0)
            places.append((word, shift))
            shift += bits
        return places

    @property
    def _links_at(self) -> int:
        return self._newest[-1][0] + 1

    def _keys(self, tables: "_Tables", slot: int) -> tuple[int, int]:
        columns = (Column(slot),) if slot < SLOTS else self.groups[slot - SLOTS].columns
        return tables.add([(column,) for column in columns])

    def _space(
        self, tables: "_Tables", space: _SpaceBuilder, stored: list[Column], stored_at: int, deques_at: int
    ) -> tuple[int, ...]:
        wide = 2 if space is self.spaces[space_of(Slot.SENDER)] else 1
        groups, deques = [], []
        windows = tables.add(_in_lanes(list(space.groups), 0))[0]
        rows = {
            (window, key): self._cell(tables, key, word, wide, deques_at)
            for window, group in space.groups.items()
            for key, word in group.cells.items()
        }
        for number, (window, group) in enumerate(space.groups.items()):
            mine = {key: rows[window, key] for key in group.cells}
            distinct = [(row[1], row[3]) for key, row in mine.items() if key[0] is Cell.DISTINCT]
            extremes = [(row[1], row[3]) for key, row in mine.items() if key[0] is Cell.EXTREME]
            groups.append((
                window, HEADER + number, 2 * (HEADER + len(space.groups)) + number,
                *self._added(tables, mine.items(), Cell.COUNT), *self._added(tables, mine.items(), Cell.SUM),
                *tables.add(distinct),
                *self._runs(tables, [(key, row) for key, row in mine.items() if key[0] in _LEAVING]),
                *[*extremes, (0, 0)][0],
            ))  # fmt: skip
            deques += [(self.filters[key[1]], *row[1:4]) for key, row in mine.items() if key[0] is Cell.DEQUE]
        cells = [(key, rows[group.window, key]) for group, key in space.cells_in_order()]
        ranges = (
            *tables.add(groups), *tables.add(self._families(tables, space, rows, stored, stored_at)), *tables.add(deques),
        )  # fmt: skip
        return (
            space.stride, *ranges, windows, (1 << len(groups)) - 1,
            *self._added(tables, cells, Cell.COUNT), *self._added(tables, cells, Cell.SUM),
            *self._runs(tables, [(key, row) for key, row in cells if key[0] not in _KEPT]),
            tables.add([(word,) for word in space.empty_record()])[0],
        )  # fmt: skip

    def _families(
        self,
        tables: "_Tables",
        space: _SpaceBuilder,
        cells: dict[tuple[int, _CellKey], tuple[int, ...]],
        stored: list[Column],
        stored_at: int,
    ) -> list[tuple[int, ...]]:
        """A row for each followed column, with the windows in which its values are counted as distinct."""
        families: list[tuple[int, ...]] = []
        for family, (column, where) in enumerate(space.families):
            counted = [
                (row[1], group.window)
                for group, key in space.cells_in_order()
                if (row := cells[group.window, key])[0] is Cell.DISTINCT and key[2][0] == family
            ]
            families.append((
                column, self.filters[where], space.bits.get(family, -1), stored_at + stored.index(column), family in space.dated,
                *tables.add(counted),
            ))  # fmt: skip
        return families

    def _added(self, tables: "_Tables", cells: Iterable[_Row], kind: Cell) -> tuple[int, int, int]:
        """Counts or sums that stand together: their first word, where their filters are, and how many they are."""
        mine = [(row[1], self.filters[key[1]]) for key, row in cells if key[0] is kind]
        at = tables.add(_in_lanes([bit for _, bit in mine], 0))[0]
        return mine[0][0] if mine else 0, at, len(mine)

    def _runs(self, tables: "_Tables", cells: list[_Row]) -> tuple[int, int]:
        """The bits of the cells' filters, and where the run of each is, in order."""
        bits = sorted({self.filters[key[1]] for key, _ in cells})
        runs = [tables.add([row for key, row in cells if self.filters[key[1]] == bit]) for bit in bits]
        return _signed(sum(1 << bit for bit in bits)), tables.add(runs)[0]

    def _cell(self, tables: "_Tables", key: _CellKey, word: int, wide: int, deques_at: int) -> tuple[int, ...]:
        kind, _, operands = key
        match kind:
            case Cell.EXTREME | Cell.DEQUE:
                sign, deque = operands
                return kind, word, sign, deques_at + wide * deque, 0
            case Cell.STEPS:
                return kind, word, *tables.add([(self.filters[step],) for step in _steps(key)]), 0
        return kind, word, *operands, *[0] * (3 - len(operands))

    def _emits(self, tables: "_Tables", slots: range) -> dict[int, tuple[int, ...]]:
        """The emits of each slot, kinds together, and the kinds: from and to of both."""
        placed: dict[int, tuple[int, ...]] = {}
        for slot in slots:
            mine = sorted(
                ((recipe, out) for out, recipe in self.recipes.items() if recipe[1] == slot), key=lambda pair: pair[0][0]
            )
            words = [(self._emit(tables, recipe, out),) for recipe, out in mine]
            first, last = tables.add(words)
            kinds = [recipe[0] for recipe, _ in mine]
            ranges = [
                (kind, first + kinds.index(kind), first + kinds.index(kind) + kinds.count(kind))
                for kind in dict.fromkeys(kinds)
            ]
            placed[slot] = first, last, *tables.add(ranges)
        return placed

    def _emit(self, tables: "_Tables", recipe: _Recipe, out: int) -> int:
        """The word of an emit: its operands and its place in the vector, OPERAND_BITS each, the place uppermost."""
        emit, _, operands = recipe
        words = [self._word(operand) for operand in operands]
        if emit in (Emit.PACE, Emit.STEPS):  # windows are longer than an operand
            words[2:] = [tables.add([(window,) for window in words[2:]])[0]]
        words += [0] * (3 - len(words))
        if max(*words, out) >> OPERAND_BITS:
            raise DeclarationError(
                f"a feature at place {out} of its vector, made of words {words} of a record of its entity; allowed below"
                f" {1 << OPERAND_BITS}: declare fewer features, or fewer of one entity"
            )
        return _signed(sum(word << OPERAND_BITS * place for place, word in enumerate([*words, out])))

    def _word(self, operand: int | _Place) -> int:
        """What the kernel finds an operand by; one that is beyond what fits an operand of an emit stays so."""
        if not isinstance(operand, _Place):
            return int(operand)
        place = self.spaces[operand.space].groups[operand.window].cells[operand.key]
        if operand.key[0] is Cell.SUM:
            return 2 * place + WHOLE
        return place + WHOLE if operand.key[0] in IN_HALVES and place >= WHOLE else place


def _in_lanes(words: list[int], empty: int) -> list[tuple[int]]:
    """Rows of a table that is looked at LANES words at a time."""
    return [(word,) for word in words] + [(empty,)] * (-len(words) % LANES)


def _signed(bits: int) -> int:
    """64 bits as the integer of a table."""
    return bits - (bits >> 63 << 64)


def _steps(key: _CellKey) -> list[_Filter]:
    """The filters of a scheme's steps."""
    return list(zip(key[2][::2], key[2][1::2], strict=True))


def _own(of: str) -> _Recipe:
    if of == "amount":
        return Emit.AMOUNT, -1, []
    if of == "window_truncated":
        return Emit.TRUNCATED, -1, []
    if of in ("hour", "weekday", "kind"):
        return Emit.COLUMN, -1, [Column[of.upper()]]
    return Emit.FACT, -1, [Fact[of.upper()]]


def _marks(features: list[say.Feature]) -> list[say.Mark]:
    """Every mark that a filter names, in order."""
    named = [mark for feature in features for where in _filters(feature) for mark in where.marks + where.unmarked]
    marks = list(dict.fromkeys(named))
    twice = {mark.name for mark in marks if sum(other.name == mark.name for other in marks) > 1}
    if twice or len(marks) > MAX_MARKS:
        raise DeclarationError(f"{len(marks)} marks, twice {sorted(twice)}; allowed {MAX_MARKS} of different names")
    return marks


class _Tables:
    """Rows one after another in one array, behind the header."""

    def __init__(self) -> None:
        self._words: list[int] = [0] * TABLES

    def add(self, rows: Sequence[tuple[int, ...]]) -> tuple[int, int]:
        """Where the rows begin and end."""
        begin = len(self._words)
        for row in rows:
            self._words += map(int, row)
        return begin, len(self._words)

    def array(self, header: dict[Table, int]) -> Integers:
        """The whole, with its header."""
        for name, value in header.items():
            self._words[name] = value
        return np.array(self._words, np.int64)
