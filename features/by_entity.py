"""A history in memory entity by entity: the very bits that the order of arrival gives, for less where there are many entities.

A feature depends on the arrivals of one entity, on their numbers, on the clock and on their marks, and on nothing else. So the
arrivals are sorted by the entities of one kind after another, and each entity is replayed by itself: all that it needs is at hand,
where in the order of arrival each waits for the memory of all its entities and of what leaves their windows. The marks of an operation are of other
entities too: they are computed first, in the same way, and put on the arrivals.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from features import kernel
from features.engine import Engine, Vector, address_of, numbered, reserved
from features.kernel import A_FACTS, A_TIME, ARRIVAL_WORDS, LAID_WORDS, TURNS_AHEAD
from features.layout import FIRST_MARK, LANES, MISSING, WORDS, Fact
from features.plan import Plan
from features.shares import Limit, Share, keys_of, marking, own_of, shares_of

Integers = NDArray[np.int64]
STEP = 1 << 18
"""Turns that are replayed by one call."""
NONE = 0
"""The address of what is not given."""


@dataclass(frozen=True)
class Arrivals:
    """Arrivals in their order, as the kernel makes them of rows.

    made (n, ARRIVAL_WORDS) int64; wanted (n,) int64: the row of `asked` vectors that takes an operation's, or -1.
    """

    made: Integers
    wanted: Integers
    asked: int

    def __len__(self) -> int:
        return len(self.made)


class Gathering:
    """Takes a history's rows, piece by piece, for `arrivals`; memory is taken as they come."""

    def __init__(self, most: int, clock: int = MISSING) -> None:
        """most: how many arrivals there will be at most; clock: the latest time of those before."""
        self._made = reserved(most * ARRIVAL_WORDS)[: most * ARRIVAL_WORDS].reshape(most, ARRIVAL_WORDS)
        self._wanted = np.empty(most, np.int64)
        self._count = self._asked = 0
        self._clock = clock

    def append(self, rows: Integers, asked: NDArray[np.bool_], clocks: Integers | None = None) -> None:
        """Add rows (n, WORDS), of which some are asked for; clocks (n,): when each counts, if that does not follow from the rows."""
        end = self._count + len(rows)
        if rows.shape[1:] != (WORDS,) or end > len(self._made):
            raise ValueError(f"rows {rows.shape} behind {self._count}, allowed (n, {WORDS}), {len(self._made)} in all")
        rows, given = _plain(rows), None if clocks is None else _plain(clocks)
        self._clock = kernel.complete(
            address_of(rows), WORDS, len(rows), self._clock, _address(given), address_of(self._made[self._count :])
        )
        self._wanted[self._count : end] = numbered(asked, self._asked)
        self._count, self._asked = end, self._asked + int(asked.sum())

    def arrivals(self) -> Arrivals:
        """What was gathered."""
        return Arrivals(self._made[: self._count], self._wanted[: self._count], self._asked)


# ---- the whole matrix ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """Some columns of a matrix: values (m, k) float64, its rows contiguous; places (k,) int64 of the columns in the matrix."""

    values: Vector
    places: Integers


class Blocks:
    """A whole matrix (m, features) in blocks, a block for each slot."""

    def __init__(self, plan: Plan, found: list[Block]) -> None:
        self._found, self._width = found, len(plan)
        self._told_of = np.array([
            (address_of(b.values), b.values.strides[0] // b.values.itemsize, b.values.shape[1], address_of(b.places)) for b in found
        ], np.int64).reshape(-1, LAID_WORDS)  # fmt: skip

    def __len__(self) -> int:
        return len(self._found[0].values)

    @property
    def missing(self) -> int:
        """How many values are NaN."""
        return sum(int(np.isnan(block.values).sum()) for block in self._found)

    def rows(self, first: int, last: int) -> Vector:
        """Rows of the matrix from `first` up to `last`."""
        matrix = np.empty((min(last, len(self)) - first, self._width), np.float64)
        self.lay(first, matrix)
        return matrix

    def lay(self, first: int, matrix: Vector) -> None:
        """Put rows from `first` on into a C-contiguous matrix, which may be wider."""
        if matrix.shape[1] < self._width or first + len(matrix) > len(self) or not matrix.flags.c_contiguous:
            raise ValueError(
                f"matrix {matrix.shape}, allowed {len(self) - first} rows of {self._width} values or more, C-contiguous"
            )
        kernel.lay(address_of(self._told_of), len(self._told_of), first, len(matrix), address_of(matrix), matrix.shape[1])


def matrix_of(plan: Plan, arrivals: Arrivals, threads: int | None = None, wider: int = 0) -> Vector:
    """The matrix (arrivals.asked, features + wider) of a whole history; its last columns are left as they are."""
    matrix = np.empty((arrivals.asked, len(plan) + wider), np.float64)
    computed(plan, arrivals, threads).lay(0, matrix)
    return matrix


def computed(plan: Plan, arrivals: Arrivals, threads: int | None = None) -> Blocks:
    """The same in blocks, for those who read some rows at a time."""
    return Blocks(plan, list(blocks(plan, arrivals, threads)))


def blocks(plan: Plan, arrivals: Arrivals, threads: int | None = None) -> Iterator[Block]:
    """The columns of a history's matrix, kind of entity by kind, as many at a time as there are threads, by default cores.

    The marks are put on the arrivals. Progress is shown where it takes long.
    """
    marks, shares = marking(plan), shares_of(plan)
    marking_shares = shares_of(marks[0]) if marks else []
    steps = len(arrivals) * (len(shares) + len(marking_shares))
    threads = cores() if threads is None else threads
    with (
        tqdm(total=steps, desc="features", unit="turn", unit_scale=True, delay=2, mininterval=1) as progress,
        ThreadPoolExecutor(threads, thread_name_prefix="entities") as executor,
    ):
        each = map if threads == 1 else executor.map  # the one when it is asked for, the other at once
        if marks:
            operations, asked = of_every_operation(arrivals)
            found = np.zeros(asked.asked, np.int64)
            for found_of in each(partial(blocks_of, arrivals=asked, told=progress.update), marking_shares):
                for block in found_of:
                    found |= marks_of(marks[1], block)
            arrivals.made[operations, A_FACTS] |= found << FIRST_MARK
        yield _own_block(plan, arrivals)
        shares.sort(key=lambda share: -len(share.plan))  # what takes longest is begun first
        for found_of in each(partial(blocks_of, arrivals=arrivals, told=progress.update), shares):
            while found_of:  # the caller alone holds what he has
                yield found_of.pop(0)


def _own_block(plan: Plan, arrivals: Arrivals) -> Block:
    own, places = own_of(plan)
    return Block(own_vectors(own, arrivals, Evicted(plan.retained)), np.array(places, np.int64))


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---- one kind of entity ----------------------------------------------------------------------------------------------


def blocks_of(
    share: Share,
    arrivals: Arrivals,
    numbers: Integers | None = None,
    active: Integers | None = None,
    told: Callable[[int], object] | None = None,
) -> list[Block]:
    """The features of one kind of entity, a block for each slot in which it stands, bit by bit as in the order of arrival.

    Where the arrivals are a part of a history, numbers (n,) int64: of each in the whole, and active (n,) int64: bits of the slots
    whose entity is of the part; of others a row has the missing value. told: hears of progress, in arrivals.
    """
    plan = share.plan
    # twice the rows that are kept: pairs then have room for one entity's alone, wherever their hashes fall
    engine = Engine(plan, 2 * (min(len(arrivals), plan.retained) + 1), is_for_one=True)
    found, told_of = _empty_blocks(share, arrivals.asked)
    turns = np.empty(2 * len(arrivals) + TURNS_AHEAD, np.int64)
    made, wanted = address_of(arrivals.made), address_of(arrivals.wanted)
    count = kernel.turns_of(
        engine.handle, made, len(arrivals), _address(active), address_of(turns), wanted, address_of(told_of)
    )
    turns[:count].sort()
    turns[count : count + TURNS_AHEAD] = 0
    done = 0
    while done < count:
        before = done
        done = kernel.replay_turns(
            engine.handle, made, _address(numbers), wanted, address_of(turns), done, done + STEP, count, address_of(told_of),
        )  # fmt: skip
        if told is not None:
            told(len(arrivals) * done // count - len(arrivals) * before // count)
    return [block for block in found if len(block.places)]


def _empty_blocks(share: Share, asked: int) -> tuple[list[Block], Integers]:
    """A block for each slot, of so many rows, and what the kernel is told of them: address, words of a row, first place in the vector."""
    found, told_of, first = [], [], 0
    for slot in keys_of(share.entity):
        count = share.plan.slots.count(slot)
        width = -(-count // LANES) * LANES  # whole cache lines
        values = reserved(asked * width).view(np.float64)[: asked * width].reshape(asked, width)
        found.append(Block(values[:, :count], np.array(share.places[first : first + count], np.int64)))
        told_of.append([address_of(values), width, first])
        first += count
    return found, np.array(told_of, np.int64)


def of_every_operation(arrivals: Arrivals) -> tuple[NDArray[np.bool_], Arrivals]:
    """(n,) which arrivals are operations, and the same arrivals with all of these asked for."""
    operations = arrivals.made[:, A_FACTS] & int(Fact.OPERATION) != 0
    return operations, replace(arrivals, wanted=numbered(operations), asked=int(operations.sum()))


def marks_of(limits: tuple[Limit, ...], block: Block) -> Integers:
    """(m,) the marks that a block of their features gives operations: a bit for each limit that is exceeded."""
    found = np.zeros(len(block.values), np.int64)
    mine = {place: column for column, place in enumerate(block.places.tolist())}
    for bit, limit in enumerate(limits):
        if limit.place in mine:
            found |= (block.values[:, mine[limit.place]] > limit.above).astype(np.int64) << bit
    return found


# ---- what an operation says of itself --------------------------------------------------------------------------------


class Evicted:
    """Tells of each arrival, piece by piece in order, the time of the one that was evicted last before it."""

    def __init__(self, retained: int) -> None:
        self._clocks = np.full(retained + 1, MISSING)

    def before(self, clocks: Integers) -> Integers:
        """(n,) of the next arrivals, which count at these times (n,); MISSING where nothing was evicted."""
        every = np.concatenate([self._clocks, clocks])
        self._clocks = every[len(clocks) :]
        return every[: len(clocks)]


def own_vectors(own: Plan, arrivals: Arrivals, evicted: Evicted) -> Vector:
    """(arrivals.asked, features) what operations say of themselves, by a plan as `own_of` makes it; the rest of it is left out."""
    values = np.empty((arrivals.asked, sum(slot < 0 for slot in own.slots)), np.float64)
    engine, times = Engine(own, 1), evicted.before(arrivals.made[:, A_TIME])
    kernel.emit_own(
        engine.handle, address_of(arrivals.made), len(arrivals), address_of(times), address_of(arrivals.wanted),
        address_of(values), values.shape[1],
    )  # fmt: skip
    return values


def _plain(array: Integers) -> Integers:
    return np.ascontiguousarray(array, np.int64)


def _address(array: Integers | None) -> int:
    return NONE if array is None else address_of(array)
