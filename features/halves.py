"""A plan in two halves by kinds of entities, each replayed by an engine of its own, one behind the other: two cores, the same bits.

A feature depends on the arrivals of one entity and on their marks. So the first engine puts the marks, its rows go on to the
second with the marks on them, and each writes the columns of its own features into the one matrix.
"""

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.ahead import ahead
from features.engine import Engine, Vector
from features.layout import FIRST_MARK, Slot, Word
from features.plan import Plan
from features.slices import Slice, numbered

Integers = NDArray[np.int64]
MARKS = -1 << FIRST_MARK


class Asked(NamedTuple):
    """Arrivals in order: rows (n, WORDS); wanted (n,): the row of `matrix` (m, features) that takes the vector, -1 for none."""

    rows: Integers
    wanted: Integers
    matrix: Vector


def asked_of(slices: Iterable[Slice], matrix: Vector, start: datetime | None = None) -> Iterator[Asked]:
    """Of every operation at or after `start`, in order of arrival, a row of the matrix."""
    filled = 0
    for piece in slices:
        asked = piece.asked(start)
        yield Asked(piece.rows, numbered(asked), matrix[filled:])
        filled += int(asked.sum())


def replayed(pieces: Iterator[Asked], plan: Plan) -> Iterator[Asked]:
    """Replay from nothing on; each piece comes back when its vectors are in its matrix, and the next one is under way then.

    Its rows are given away: between two engines the marks are put on them.
    """
    *firsts, last = halves(plan) if cores() > 1 else [plan]
    for half in firsts:
        pieces = _marked(Engine(half), ahead(pieces))
    return _through(Engine(last), ahead(pieces))


def _marked(engine: Engine, pieces: Iterator[Asked]) -> Iterator[Asked]:
    for piece in pieces:
        facts = np.empty(len(piece.rows), np.int64)
        engine.replay(piece.rows, piece.matrix, piece.wanted, facts=facts)
        piece.rows[:, Word.FACTS] |= facts & MARKS
        yield piece


def _through(engine: Engine, pieces: Iterator[Asked]) -> Iterator[Asked]:
    for piece in pieces:
        engine.replay(piece.rows, piece.matrix, piece.wanted)
        yield piece


def halves(plan: Plan) -> list[Plan]:
    """The plan of the kind of entity with most features, which puts the marks, and that of all others; whole where there is one."""
    kinds = [Slot.SENDER if slot == Slot.RECIPIENT else slot for slot in plan.slots]
    most = max(dict.fromkeys(kinds), key=kinds.count, default=None)
    places = range(len(plan))
    first, second = ([place for place in places if (kinds[place] == most) is is_first] for is_first in (True, False))
    if not second:
        return [plan]
    return [
        Plan(plan.declarations, plan.retained, only=first),
        Plan(plan.declarations, plan.retained, plan.marks, only=second),
    ]


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
