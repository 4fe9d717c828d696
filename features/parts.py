"""A history in parts by entity: each part, replayed alone, gives the very bits that the whole gives in the order of arrival.

A feature depends on the arrivals of one entity, on their numbers, on the clock and on their marks, and on nothing else. So the
rows of an entity go to one part, each with its number and the clock of the whole history, and with a bit for each slot whose
entity is of this part. The marks of a row are of other entities too: they are computed first, in parts as well, and given.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import nan

import numpy as np
from numpy.typing import NDArray

from domain.criteria import FraudCriterion
from domain.instants import DAY, HOUR
from features import language as say
from features.engine import Engine, Vector
from features.layout import FIRST_MARK, MISSING, SLOTS, SMALL_COLUMNS, Column, Fact, Slot, Word
from features.plan import Plan, Table
from features.slices import numbered

Integers = NDArray[np.int64]
Entity = Slot | say.Group
"""A kind of entity; SENDER stands for accounts, whether they send or receive."""
CHUNK = 1 << 14
"""Rows of which the vectors are held at a time."""


# ---- what is asked of which entities ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """What a plan asks of one kind of entity.

    plan: of these features alone, to rows that bear the whole plan's marks; places: where each feature stands in the whole
    plan's vector.
    """

    entity: Entity
    plan: Plan
    places: tuple[int, ...]

    @property
    def name(self) -> str:
        """`account`, `customer`, ..., or the group's name after `group_`."""
        if isinstance(self.entity, say.Group):
            return f"group_{self.entity.name}"
        return "account" if self.entity is Slot.SENDER else self.entity.name.lower()


def shares_of(plan: Plan) -> list[Share]:
    """A plan by the kinds of entities that its features are of; the operation's own are in none."""
    entities = [_entity(plan, slot) for slot in plan.slots]
    return [
        _share(plan, entity, tuple(place for place, other in enumerate(entities) if other == entity))
        for entity in dict.fromkeys(entities)
        if entity is not None
    ]


def _entity(plan: Plan, slot: int) -> Entity | None:
    if slot < 0:
        return None
    if slot >= SLOTS:
        return plan.groups[slot - SLOTS]
    return Slot.SENDER if slot == Slot.RECIPIENT else Slot(slot)


def _share(plan: Plan, entity: Entity, places: tuple[int, ...]) -> Share:
    return Share(entity, Plan([plan.declarations[place] for place in places], plan.retained, given=plan.marks), places)


@dataclass(frozen=True)
class Limit:
    """A mark: set when the feature at `place` of a vector is above a limit."""

    place: int
    above: float


def marking(plan: Plan) -> tuple[Plan, tuple[Limit, ...]] | None:
    """A plan of the features of the marks, and the limit of each mark; None when the plan has no marks."""
    if not plan.marks:
        return None
    # a mark whose feature is missing is not set, whatever a matrix would show there
    features = [replace(mark.feature, missing=nan, serves=FraudCriterion.POLICY) for mark in plan.marks]
    different = list(dict.fromkeys(features))
    limits = (Limit(different.index(f), mark.above) for f, mark in zip(features, plan.marks, strict=True))
    return Plan(different, plan.retained), tuple(limits)


def own_of(plan: Plan) -> tuple[Plan, tuple[int, ...]]:
    """A plan whose first features are the operation's own ones, and their places in the whole; its longest window is the same."""
    places = tuple(place for place, slot in enumerate(plan.slots) if slot < 0)
    declarations = [plan.declarations[place] for place in places]
    longest = int(plan.program.tables[Table.LONGEST])
    if longest:
        declarations.append(say.Feature(Slot.SENDER, say.Count(), say.fact("kept", Fact.OPERATION), longest))
    return Plan(declarations, plan.retained), places


# ---- which rows are whose --------------------------------------------------------------------------------------------


def keys_of(entity: Entity) -> dict[int, tuple[Column, ...]]:
    """The slots in which an entity stands, in a plan of its share alone, and the columns that its key is made of."""
    if isinstance(entity, say.Group):
        return {SLOTS: entity.columns}
    slots = (Slot.SENDER, Slot.RECIPIENT) if entity is Slot.SENDER else (entity,)
    return {int(slot): (Column(slot),) for slot in slots}


@dataclass(frozen=True)
class Split:
    """Rows by part: part p has rows `index[bounds[p]:bounds[p + 1]]`, in order, and of each the bits of its slots in `active`."""

    index: Integers
    active: Integers
    bounds: Integers


def split(rows: Integers, entity: Entity, parts: int) -> Split:
    """The rows (n, WORDS) that each of `parts` parts, below 2^16, takes of one kind of entity: an entity's are all in one part."""
    slots = keys_of(entity)
    part = np.full((len(rows), len(slots)), parts, np.uint16)  # of each slot; `parts` stands for none
    active = np.tile(np.array([1 << slot for slot in slots], np.int64), (len(rows), 1))
    for place, columns in enumerate(slots.values()):
        hashed, given = _hashed([values_of(rows, column) for column in columns])
        part[given, place] = hashed[given] % np.uint64(parts)
        for earlier in range(place):  # a row that stands twice in a part goes there once
            twice = given & (part[:, place] == part[:, earlier])
            active[twice, earlier] |= 1 << list(slots)[place]
            part[twice, place] = parts
    order = np.argsort(part.ravel(), kind="stable")  # by counting: the numbers have 16 bits
    bounds = np.concatenate([[0], np.cumsum(np.bincount(part.ravel(), minlength=parts + 1)[:parts])])
    kept = order[: bounds[-1]]
    return Split(kept // len(slots), active.ravel()[kept], bounds)


def values_of(rows: Integers, column: Column) -> Integers:
    """(n,) the values of a column, made as the kernel makes them."""
    local, amount = rows[:, Word.TIME] + rows[:, Word.ZONE_OFFSET], rows[:, Word.AMOUNT]
    match column:
        case Column.HOUR:
            return local // HOUR % 24
        case Column.WEEKDAY:
            return (local // DAY + 3) % 7
        case Column.BAND:
            return _bit_length(amount)
        case Column.SHIFTED_BAND:
            return _bit_length((amount * 181) >> 7)
    assert column is Column.KIND or column not in SMALL_COLUMNS, f"{column.name} is a small column that is not made here"
    return rows[:, Word[column.name]]


def _bit_length(values: Integers) -> Integers:
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)  # exact: amounts are far below 2^53


def _hashed(columns: list[Integers]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """(n,) a hash of the columns together, and whether each of them is given. Which hash is nobody's business but the split's."""
    hashed, given = np.zeros(len(columns[0]), np.uint64), np.ones(len(columns[0]), np.bool_)
    for values in columns:
        given &= values != MISSING
        hashed = (hashed ^ values.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(32)
    return hashed, given


def clock_of(rows: Integers, before: int = MISSING) -> Integers:
    """(n,) the time at which each arrival counts: a late one at the last one's; before: the clock before the first row."""
    return np.maximum(np.maximum.accumulate(rows[:, Word.TIME]), before)


# ---- a part ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Rows of one part in the order of arrival.

    rows (n, WORDS); stream (n, 3): number in the whole history, clock, active slots; wanted (n,): the row of the whole matrix
    that takes the vector, or -1.
    """

    rows: Integers
    stream: Integers
    wanted: Integers


def give_marks(part: Part, marks: NDArray[np.uint16]) -> None:
    """Set in a part's rows the marks that were computed before; marks: of each arrival of the whole, a bit a mark."""
    part.rows[:, Word.FACTS] |= marks[part.stream[:, 0]].astype(np.int64) << FIRST_MARK


def vectors(plan: Plan, part: Part) -> Iterator[tuple[Integers, Vector]]:
    """Replay a part on an engine of its own: (indices of rows that are wanted, their vectors (n, features)), bit by bit.

    Only the features of a row's active slots are written; the array is used again for the next rows.
    """
    engine = Engine(plan, min(len(part.rows), plan.retained) + 1)
    matrix = np.empty((CHUNK, len(plan)), np.float64)
    for first in range(0, len(part.rows), CHUNK):
        chunk = slice(first, first + CHUNK)
        asked = part.wanted[chunk] >= 0
        engine.replay(part.rows[chunk], matrix, numbered(asked), part.stream[chunk])
        yield first + np.flatnonzero(asked), matrix[: int(asked.sum())]


def marks_of(share: Share, limits: tuple[Limit, ...], part: Part) -> NDArray[np.uint16]:
    """(n,) the marks that a part's entities give its rows: a bit for each limit that is exceeded."""
    found = np.zeros(len(part.rows), np.uint16)
    mine = {place: column for column, place in enumerate(share.places)}
    is_operation = part.rows[:, Word.FACTS] & int(Fact.OPERATION) != 0
    for index, values in vectors(share.plan, replace(part, wanted=np.where(is_operation, 0, -1))):
        active = part.stream[index, 2]
        for bit, limit in enumerate(limits):
            if limit.place not in mine:
                continue
            column = mine[limit.place]
            above = (active >> share.plan.slots[column]) & 1 == 1
            above &= values[:, column] > limit.above
            found[index] |= above.astype(np.uint16) << np.uint16(bit)
    return found
