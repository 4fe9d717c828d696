"""The compiled step: one log of arrivals, cursors per window, integer accumulators, emit.

Everything is in a few buffers of int64, so that a state is saved and loaded as it is. The kernel takes one handle: the address
of an array of addresses (`Buffer`); handing the arrays over one by one costs 3 us a call.

log: a ring of rows, one an arrival, with a bit for each filter that it passes; each row stands in up to sixteen chains, one per
slot of the plan. A node is row * 16 + slot; a chain links the nodes of one entity from oldest to newest.
pool: the entities' records one after another: header, a cursor per window (the oldest node still inside, and its time),
accumulators. An entity is the word of the pool at which its record begins.
directory: upper half of a key's hash, entity + 1.
pairs: 64 mixed bits of (entity's key, family, value) -> newest node, count over what is retained: novelty, habit, distinct counts.
One entity's values of a family never share them, and of 30 million pairs two do with a chance of one in 40,000.

A history that is sorted by entity goes through the same functions (`replay_turns`); the buffers then hold one entity at a time.

Amortised O(1) per window and arrival: a cursor only moves forward. No capacity per entity. Reading copies the few records that
it needs and moves the copies, so reading is pure; batch moves the records themselves, by the same functions. What the next
lines will touch is prefetched for all slots together: in a state larger than the caches, waiting for memory one word after
another was two thirds of the time. Integers throughout; the only floating-point operations are + - x / sqrt, in a fixed order.
"""

import inspect
import zlib
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from features import pointers
from features.layout import FIRST_MARK, LANES, MISSING, NIGHT_ENDS, SMALL_COLUMNS, Column, Fact, Slot, Word
from features.plan import (
    CELL_WORDS,
    CURSOR_HALVES,
    DEQUE_WORDS,
    DISTINCT_WORDS,
    FAMILY_WORDS,
    GROUP_WORDS,
    HEADER,
    KIND_WORDS,
    LOG_HEADER,
    MARK_WORDS,
    MAX_FAMILIES,
    MAX_SLOTS,
    NEVER,
    OPERAND_BITS,
    OWN_WORDS,
    RUN_WORDS,
    SLOT_WORDS,
    SMALL_SHIFT,
    SPACE_WORDS,
    TALLIED,
    WHOLE,
    Cell,
    Emit,
    Table,
)  # fmt: skip
from features.pointers import (
    add_passed,
    are_met,
    as_floats,
    as_integers,
    bit_count,
    bit_length,
    count_passed,
    half,
    lowest_bit,
    not_later,
    prefetch,
    put_half,
    put_in_place_of,
    put_line_past_caches,
    put_where_empty,
    whole_or_half,
)

jit = njit(cache=True, error_model="numpy")
inlined = njit(cache=True, error_model="numpy", forceinline=True)
"""For what is called in the innermost loops: a call hands over more pointers than it does work."""


class Buffer(IntEnum):
    """The buffers behind a handle, in order."""

    META = 0
    LOG = 1
    POOL = 2
    DIRECTORY = 3
    PAIRS = 4
    TABLES = 5
    FLOATS = 6
    SCRATCH = 7
    VECTOR = 8


# words of an arrival, made of an input row: its time, or when all are in order the clock's; all columns are behind the rest
A_TIME, A_LATITUDE, A_AMOUNT, A_FACTS, A_LONGITUDE, A_COLUMNS = range(6)
ARRIVAL_WORDS = A_COLUMNS + len(Column)
# words of a log row
L_TIME, L_AMOUNT, L_PASSED, L_SMALL = range(LOG_HEADER)
# words of a record's header: key; newest node and, in the upper half, nodes * MAX_SLOTS + space; time of the oldest (of a free record:
# the next free one)
R_KEY, R_CHAIN, R_SINCE = range(HEADER)
# words of meta: arrivals so far, clock, time of the last evicted arrival, words of the pool in use, pairs, live entities, next
# and oldest row of the ring, rows kept, rows in all, and of both hash tables how many bits a hash is longer than a home; from M_FREE on, one list of free records per space
(M_NUMBER, M_CLOCK, M_EVICTED_TIME, M_POOL, M_PAIRS, M_LIVE, M_NEXT, M_OLDEST, M_KEPT, M_ROWS,
 M_DIRECTORY_SHIFT, M_PAIRS_SHIFT) = range(12)  # fmt: skip
M_FREE = 16
META_WORDS = M_FREE + MAX_SLOTS
PAIR_WORDS = 2
P_HASH, P_NEWEST = range(PAIR_WORDS)
BEYOND = 2 * MAX_SLOTS * MAX_FAMILIES
"""Places of a hash table behind its last home: more are made before half of them are taken; an arrival takes at most the other."""
# words of a frame of scratch: the input row, the filters that it passes, bits of the slots that have a key and of those whose entity has history, whether pairs are asked for,
# the arrival, per slot key, entity and record; per slot and family hash and place of a pair. Behind the frames: copies of records
X_ROW, X_PASSED, X_GIVEN, X_KNOWN, X_ASKED, X_ARRIVAL, X_KEY, X_ENTITY, X_BASE = 0, 28, 29, 30, 31, 32, 64, 80, 96
X_HASH = 112
X_PLACE = X_HASH + MAX_SLOTS * MAX_FAMILIES
FRAME = X_PLACE + MAX_SLOTS * MAX_FAMILIES
FRAMES = 5
"""An arrival's keys are hashed four arrivals ahead, its records asked for three ahead, what leaves its windows two ahead, and what
is the oldest inside them then one ahead."""
X_COPIES = FRAMES * FRAME
TURN_BITS, TURN_HASH = 2, 34
"""Of a turn: how many bits say its slots, and where the bits of the hash begin; between them the arrival's index."""
BLOCK_WORDS = 3
"""What is told of a slot's block, see `_block_of`."""
LAID_WORDS = 4
"""What is told of a block that is laid into a matrix, see `lay`."""
TURNS_AHEAD = 8
"""Behind the last turn are so many more, which are 0."""
UNREAD = MISSING
"""Time of a cursor whose node was not looked at yet: its row is on the way."""
FAMILY_STEP = 0x2545F4914F6CDD1D

_OPERATION, _NIGHT = int(Fact.OPERATION), int(Fact.NIGHT)
(_C_COUNT, _C_SUM, _C_SQUARES, _C_DISTINCT, _C_LAST, _C_TALLY, _C_EXTREME, _C_DEQUE, _C_NTH, _C_LATEST, _C_LOCATION,
 _C_STEPS) = map(int, Cell)  # fmt: skip
(_E_VALUE, _E_RATIO, _E_PACE, _E_DEVIATION, _E_ZSCORE, _E_OVER_MEAN, _E_EXTREME, _E_OVER_MAX, _E_SINCE_LAST, _E_SINCE_FIRST,
 _E_SINCE_NTH, _E_SINCE_EARLIEST, _E_IS_LATER, _E_IS_NEW, _E_SAME_COUNT, _E_SAME_SHARE, _E_SINCE_SAME, _E_TALLY_SHARE, _E_ENTROPY, _E_CHANGED, _E_DISTANCE,
 _E_SPEED, _E_STEPS, _E_AMOUNT, _E_COLUMN, _E_FACT, _E_TRUNCATED) = map(int, Emit)  # fmt: skip
(_T_RETAINED, _T_LONGEST, _T_SLOTS, _T_LOG_WORDS, _T_LINKS_AT, _T_STORED_AT, _T_RECORDS, _T_FEATURES, _T_SLOT, _T_SPACE,
 _T_STORED, _T_OWN_FROM, _T_OWN_TO, _T_MARK_FROM, _T_MARK_TO, _T_STORED_TO, _T_NUMBER_AT,
 _T_NEEDED_FROM, _T_NEEDED_TO, _T_KEPT) = map(int, Table)  # fmt: skip
_W_TIME, _W_OFFSET, _W_AMOUNT, _W_FACTS, _W_KIND, _W_LATITUDE, _W_LONGITUDE = (
    int(word) for word in (Word.TIME, Word.ZONE_OFFSET, Word.AMOUNT, Word.FACTS, Word.KIND, Word.LATITUDE, Word.LONGITUDE)
)
_W_VALUES = int(Word.SENDER)
_KIND, _HOUR, _WEEKDAY, _BAND, _SHIFTED = map(int, SMALL_COLUMNS)
_S_HOUR, _S_WEEKDAY, _S_BAND, _S_SHIFTED = (SMALL_SHIFT[c] for c in list(SMALL_COLUMNS)[1:])
_KINDS, _BANDS = SMALL_COLUMNS[Column.KIND], SMALL_COLUMNS[Column.BAND]
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_HALF = 20  # amounts are split at 20 bits: both halves of a bounded amount fit 21 bits
_EARTH_KM = 6371.0
_RADIAN = 3.141592653589793 / 180e6  # a millionth of a degree

LAYOUT = zlib.crc32(
    repr([
        *([*map(int, words), *words.__members__] for words in (Slot, Column, Fact, Word, Cell, Emit, Table)),
        CELL_WORDS, CURSOR_HALVES, DEQUE_WORDS, DISTINCT_WORDS, FAMILY_WORDS, GROUP_WORDS, HEADER, KIND_WORDS, LANES, LOG_HEADER, MARK_WORDS, MAX_FAMILIES,
        MAX_SLOTS, OPERAND_BITS, OWN_WORDS, RUN_WORDS,
        SLOT_WORDS, SPACE_WORDS, TALLIED, WHOLE, NIGHT_ENDS, sorted(SMALL_COLUMNS.items()), sorted(SMALL_SHIFT.items()),
        inspect.getsource(pointers),
    ]).encode()
)  # fmt: skip
"""Stands for every constant that the compiled code has taken from layout and plan, and for the functions of pointers."""


@jit
def compiled_layout() -> int:
    """LAYOUT as it was when the code was compiled: the compiler's cache does not notice changes in other files."""
    return LAYOUT


# ---- memory ----------------------------------------------------------------------------------------------------------


class State(NamedTuple):
    """The buffers of a handle as pointers (see `Buffer`)."""

    meta: Any
    log: Any
    pool: Any
    directory: Any
    pairs: Any
    tables: Any
    floats: Any
    scratch: Any
    arrival: Any
    """What is looked at: an arrival, see A_TIME."""


@jit
def _state(handle: int, frame: int) -> State:
    """The buffers of a handle, with one of the frames of its scratch, where its arrival is."""
    buffers = as_integers(handle)
    return State(
        as_integers(buffers[0]), as_integers(buffers[1]), as_integers(buffers[2]), as_integers(buffers[3]), as_integers(buffers[4]),
        as_integers(buffers[5]), as_floats(buffers[6]), as_integers(buffers[7] + 8 * FRAME * frame),
        as_integers(buffers[7] + 8 * (FRAME * frame + X_ARRIVAL)),
    )  # fmt: skip


@inlined
def _slot_row(s: State, slot: int) -> int:
    return s.tables[_T_SLOT] + slot * SLOT_WORDS


@inlined
def _space_row(s: State, slot: int) -> int:
    """Where the tables tell of the space of a slot's entities."""
    return s.tables[_slot_row(s, slot) + 10]


@inlined
def _without_lowest(slots: int) -> int:
    """Bits of slots without the lowest: those still to be gone through."""
    return slots & (slots - 1)


# ---- hashing ---------------------------------------------------------------------------------------------------------


@inlined
def _mixed(x: int) -> int:
    """splitmix64's finaliser: spreads keys over hash slots."""
    z = np.uint64(x) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return int(np.int64(z ^ (z >> np.uint64(31))))


# ---- hash tables -----------------------------------------------------------------------------------------------------
# Entries of one or two words, the first a hash or its upper half, the last not zero. An entry stands at its home, the upper bits
# of its hash, or as near behind it as there was a place. So a table is nearly in order, and doubles in one pass where it stands


@inlined
def _home(hashed: int, shift: int) -> int:
    return int(np.int64(np.uint64(hashed) >> np.uint64(shift)))


@inlined
def _is_taken(table: Any, place: int, width: int) -> bool:
    return bool(table[place * width + width - 1] != 0)


@inlined
def _move_entry(table: Any, place: int, to: int, width: int) -> None:
    for word in range(width):
        table[to * width + word] = table[place * width + word]
        table[place * width + word] = 0


@inlined
def _take_out(table: Any, gap: int, width: int, shift: int) -> None:
    """Empty a place; an entry that would no longer be found behind it moves into it."""
    for word in range(width):
        table[gap * width + word] = 0
    place = gap + 1
    while _is_taken(table, place, width):
        if _home(table[place * width], shift) <= gap:
            _move_entry(table, place, gap, width)
            gap = place
        place += 1


@inlined
def _has_place(table: Any, width: int, shift: int, used: int, coming: int) -> bool:
    """Whether `coming` entries are sure to fit: neither is the table too full, nor is it taken near its end."""
    homes = 1 << (64 - shift)
    return 5 * (used + coming) <= 3 * homes and not _is_taken(table, homes + BEYOND // 2, width)


@jit
def _double(table: Any, width: int, homes: int, shift: int) -> None:
    """Twice as many homes, of hashes by the new `shift`; the memory behind the table is zero.

    The table moves to the end of the longer one and is taken over from its beginning on: no entry's new place is beyond the
    one that it leaves, since as many entries as there are places before it could not fill that space twice as long.
    """
    for word in range((homes + BEYOND) * width - 1, -1, -1):
        table[homes * width + word] = table[word]
    for word in range(homes * width):
        table[word] = 0
    for place in range(homes, 2 * homes + BEYOND):
        if _is_taken(table, place, width):
            to = _home(table[place * width], shift)
            while to != place and _is_taken(table, to, width):
                to += 1
            if to != place:
                _move_entry(table, place, to, width)


# ---- entities --------------------------------------------------------------------------------------------------------


@inlined
def _nodes_of(records: Any, base: int) -> int:
    """Nodes of a record, times MAX_SLOTS, and its space."""
    return (records[base + R_CHAIN] >> 32) & 0xFFFFFFFF


@inlined
def _space_of(records: Any, base: int) -> int:
    return _nodes_of(records, base) % MAX_SLOTS


@inlined
def _newest_of(records: Any, base: int) -> int:
    """The newest node of a record that has one."""
    return int(records[base + R_CHAIN] & 0xFFFFFFFF)


@inlined
def _entity_hash(key: int, space: int) -> int:
    return _mixed(key ^ (space << 56)) | 1  # never MISSING


@inlined
def _find_entity(s: State, hashed: int, key: int, space: int) -> int:
    """The entity of a key, or -1."""
    directory, pool = s.directory, s.pool
    place = _home(hashed, s.meta[M_DIRECTORY_SHIFT])
    upper = hashed >> 32
    while True:
        entry = directory[place]
        if entry == 0:
            return -1
        if entry >> 32 == upper:
            entity = (entry & 0xFFFFFFFF) - 1
            if pool[entity + R_KEY] == key and _space_of(pool, entity) == space:
                return entity
        place += 1


@inlined
def _index_entity(s: State, entity: int, hashed: int) -> None:
    place = _home(hashed, s.meta[M_DIRECTORY_SHIFT])
    while s.directory[place] != 0:
        place += 1
    s.directory[place] = ((hashed >> 32) << 32) | (entity + 1)


@jit
def _new_entity(s: State, key: int, space: int) -> int:
    """A record for a key, from the space's free list or from the end of the pool, which has room for every node of the log."""
    meta, pool, tables = s.meta, s.pool, s.tables
    row = tables[_T_SPACE] + space * SPACE_WORDS
    stride = tables[row]
    entity = meta[M_FREE + space]
    if entity >= 0:
        meta[M_FREE + space] = pool[entity + R_SINCE]
    else:
        entity = meta[M_POOL]
        meta[M_POOL] += stride
    image = tables[row + 17]
    for word in range(stride):
        pool[entity + word] = tables[image + word]
    pool[entity + R_KEY] = key
    pool[entity + R_CHAIN] = space << 32
    _index_entity(s, entity, _entity_hash(key, space))
    meta[M_LIVE] += 1
    return entity


@jit
def _forget_entity(s: State, entity: int) -> None:
    """An entity of which nothing is retained has no history: its key leaves the directory, its record is free."""
    meta, pool, directory, shift = s.meta, s.pool, s.directory, s.meta[M_DIRECTORY_SHIFT]
    space = _space_of(pool, entity)
    place = _home(_entity_hash(pool[entity + R_KEY], space), shift)
    while (directory[place] & 0xFFFFFFFF) != entity + 1:
        place += 1
    _take_out(directory, place, 1, shift)
    pool[entity + R_CHAIN] = space << 32
    pool[entity + R_SINCE] = meta[M_FREE + space]
    meta[M_FREE + space] = entity
    meta[M_LIVE] -= 1


# ---- pairs of an entity's family and a value -------------------------------------------------------------------------


@inlined
def _tag(hashed: int, family: int) -> int:
    """Of an entity, by the hash of its key: where its pairs stand is known before the entity is found."""
    return hashed + family * FAMILY_STEP


@inlined
def _pair_hash(tag: int, value: int) -> int:
    return _mixed(tag ^ value)


@inlined
def _find_pair(pairs: Any, place: int, hashed: int) -> int:
    """From a place on: the hash slot of a pair, or the empty slot where it would stand."""
    while _is_taken(pairs, place, PAIR_WORDS) and pairs[place * PAIR_WORDS] != hashed:
        place += 1
    return place


@inlined
def _foresee_place(s: State, home: int) -> None:
    """Ask for the home of a pair, and for the places behind it: every fourth home is the last of its cache line."""
    prefetch(s.pairs, home * PAIR_WORDS)
    prefetch(s.pairs, (home + 2) * PAIR_WORDS)


@inlined
def _last_row(s: State, place: int) -> int:
    """Where the newest arrival of a pair begins in the log."""
    return (s.pairs[place * PAIR_WORDS + P_NEWEST] >> 36) * s.tables[_T_LOG_WORDS]


# ---- windows ---------------------------------------------------------------------------------------------------------


@jit
def _filter(s: State, facts: int) -> None:
    """Ask every filter about an arrival, whatever its slots' roles: a bit each."""
    tables, passed, first = s.tables, np.int64(0), np.int64(0)
    looked_at = tables[_T_NEEDED_TO] - tables[_T_NEEDED_FROM]
    for needed in range(tables[_T_NEEDED_FROM], tables[_T_NEEDED_TO], LANES):
        passed |= are_met(tables, needed, needed + looked_at, facts) << first
        first += LANES
    s.scratch[X_PASSED] = passed


@inlined
def _in_role(s: State, passed: int, slot: int) -> int:
    """Of the filters that an arrival passes, those that it passes in the role of a slot."""
    return int(passed & s.tables[_slot_row(s, slot) + 1])


@inlined
def _has(passed: int, filtered: int) -> bool:
    return bool((passed >> filtered) & 1 != 0)


@inlined
def _run_of(bits: int, runs: int, filtered: int) -> int:
    """The row of one filter among those of several."""
    return runs + RUN_WORDS * bit_count(bits & ((np.int64(1) << np.int64(filtered)) - 1))


@inlined
def _add(s: State, records: Any, base: int, at: int, passed: int, amount: int) -> None:
    """Add to the sums that a row of the tables tells of, where their filters are passed."""
    tables = s.tables
    word, filters, count = base + tables[at], tables[at + 1], tables[at + 2]
    for first in range(0, count, LANES):
        add_passed(records, word + first, tables, filters + first, count - first, passed, amount)


@inlined
def _count(s: State, records: Any, base: int, at: int, passed: int, more: int) -> None:
    """As `_add`, to counts, which are halves of words."""
    tables = s.tables
    place, filters, count = 2 * base + tables[at], tables[at + 1], tables[at + 2]
    for first in range(0, count, LANES):
        count_passed(records, place + first, tables, filters + first, count - first, passed, more)


@inlined
def _add_to_half(records: Any, place: int, more: int) -> None:
    put_half(records, place, half(records, place) + more)


@inlined
def _upper(word: int) -> int:
    """The upper half of a word, which may be any 32 bits: of a link, the entity plus one."""
    return (word >> 32) & 0xFFFFFFFF


@inlined
def _newest_at(s: State, row: int, slot: int) -> int:
    """The word of a log row that says, a bit each, of which pairs of a slot's entity it is the newest arrival."""
    return row + s.tables[_slot_row(s, slot) + 8]


@inlined
def _newest_shift(s: State, slot: int, bit: int) -> int:
    return s.tables[_slot_row(s, slot) + 9] + bit


@inlined
def _link_of(s: State, node: int) -> int:
    """The word of the log that leads on from a node."""
    return (node >> 4) * s.tables[_T_LOG_WORDS] + s.tables[_T_LINKS_AT] + (node & 15)


@inlined
def _next_of(s: State, node: int) -> int:
    return (s.log[_link_of(s, node)] & 0xFFFFFFFF) - 1


@inlined
def add_square(records: Any, word: int, amount: int, sign: int) -> None:
    """Add (sign 1) or take away (-1) amount squared, in three words of 64 bits that never overflow.

    amount = high * 2^20 + low; the words hold the sums of high * high, high * low and low * low.
    """
    high, low = amount >> _HALF, amount & ((1 << _HALF) - 1)
    records[word] += sign * high * high
    records[word + 1] += sign * high * low
    records[word + 2] += sign * low * low


@inlined
def _deque_word(s: State, node: int, at: int) -> int:
    return (node >> 4) * s.tables[_T_LOG_WORDS] + at + (1 if (node & 15) == 1 else 0)


@inlined
def _shift(s: State, records: Any, word: int, at: int, node: int) -> None:
    """Take the oldest node out of the chain of extremes, if it is still in it."""
    if records[word] != node:
        return
    following = (s.log[_deque_word(s, node, at)] >> 32) - 1
    records[word] = following
    if following < 0:
        records[word + 1] = -1
    else:
        s.log[_deque_word(s, following, at)] &= ~0xFFFFFFFF


@inlined
def _leave(s: State, records: Any, base: int, group: int, node: int) -> None:
    """Take a node that leaves a window out of the window's accumulators."""
    tables, log, slot = s.tables, s.log, node & 15
    row = (node >> 4) * tables[_T_LOG_WORDS]
    passed = _in_role(s, log[row + L_PASSED], slot)
    _count(s, records, base, group + 3, passed, -1)
    _add(s, records, base, group + 6, passed, -log[row + L_AMOUNT])
    for distinct in range(tables[group + 9], tables[group + 10], DISTINCT_WORDS):
        newest = log[_newest_at(s, row, slot)] >> _newest_shift(s, slot, tables[distinct + 1])
        _add_to_half(records, 2 * base + tables[distinct], -(newest & 1))
    passed &= tables[group + 11]
    while passed != 0:
        run = _run_of(tables[group + 11], tables[group + 12], lowest_bit(passed))
        passed = _without_lowest(passed)
        for cell in range(tables[run], tables[run + 1], CELL_WORDS):
            _leave_cell(s, records, base, cell, row, node)


@inlined
def _leave_cell(s: State, records: Any, base: int, cell: int, row: int, node: int) -> None:
    """Take a node, of a log row, out of one accumulator; the place of a tally is in halves."""
    tables, log = s.tables, s.log
    kind, word = tables[cell], base + tables[cell + 1]
    if kind == _C_SQUARES:
        add_square(records, word, log[row + L_AMOUNT], -1)
    elif kind == _C_TALLY:
        _add_to_half(records, base + word + ((log[row + L_SMALL] >> tables[cell + 3]) & 255), -1)
    elif kind == _C_DEQUE:  # of a window as long as the log: it is evicted
        _shift(s, records, word, tables[cell + 3], node)
    elif records[word] == node:
        following = (log[_deque_word(s, node, tables[cell + 3])] >> 32) - 1
        records[word] = following
        if following >= 0:
            kept = L_TIME if tables[cell + 2] == 0 else L_AMOUNT
            records[word + 1] = log[(following >> 4) * tables[_T_LOG_WORDS] + kept]


@inlined
def _due(s: State, records: Any, base: int, row: int, now: int) -> int:
    """Bits of the windows of a record, in order, that something leaves by now; row: of its space."""
    ago, to = s.tables[row + 7], s.tables[row + 8]
    due = not_later(records, base + HEADER, s.tables, ago, now)
    for first in range(LANES, bit_length(to), LANES):
        due |= not_later(records, base + HEADER + first, s.tables, ago + first, now) << first
    return int(due & to)


@inlined
def _foresee_node(s: State, node: int) -> None:
    """Ask for a node's row and link; of no node, for nothing that hurts."""
    prefetch(s.log, (node >> 4) * s.tables[_T_LOG_WORDS])
    prefetch(s.log, _link_of(s, node))


@inlined
def _foresee_extreme(s: State, node: int, at: int) -> None:
    """Ask for a node's amount, and for its place in the chain of extremes."""
    prefetch(s.log, (node >> 4) * s.tables[_T_LOG_WORDS])
    prefetch(s.log, _deque_word(s, node, at))


@inlined
def _foresee(s: State, records: Any, base: int, slot: int, now: int) -> None:
    """Ask for the log rows that will leave windows, and for those that a new node will be hung on."""
    tables, row = s.tables, _space_row(s, slot)
    prefetch(s.log, _link_of(s, _newest_of(records, base)))
    due = _due(s, records, base, row, now)
    while due != 0:
        group = tables[row + 1] + GROUP_WORDS * lowest_bit(due)
        due = _without_lowest(due)
        node = half(records, 2 * base + tables[group + 2])
        _foresee_node(s, node)
        if records[base + tables[group + 13]] == node:
            prefetch(s.log, _deque_word(s, node, tables[group + 14]))
    passed = _in_role(s, s.scratch[X_PASSED], slot)
    for deque in range(tables[row + 5], tables[row + 6], DEQUE_WORDS):
        if _has(passed, tables[deque]):
            _foresee_extreme(s, records[base + tables[deque + 1] + 1], tables[deque + 3])


@inlined
def _foresee_next(s: State, records: Any, base: int, slot: int, now: int) -> None:
    """Ask for the log rows behind those that `_foresee` has asked for, by what is in them."""
    tables, log, amount, row = s.tables, s.log, s.arrival[A_AMOUNT], _space_row(s, slot)
    due = _due(s, records, base, row, now)
    while due != 0:
        group = tables[row + 1] + GROUP_WORDS * lowest_bit(due)
        due = _without_lowest(due)
        _foresee_node(s, _next_of(s, half(records, 2 * base + tables[group + 2])))
    passed = _in_role(s, s.scratch[X_PASSED], slot)
    for deque in range(tables[row + 5], tables[row + 6], DEQUE_WORDS):
        last, sign, at = records[base + tables[deque + 1] + 1], tables[deque + 2], tables[deque + 3]
        if last < 0 or sign == 0 or not _has(passed, tables[deque]):
            continue
        if sign * (amount - log[(last >> 4) * tables[_T_LOG_WORDS] + L_AMOUNT]) > 0:  # the new one outdoes it
            _foresee_extreme(s, (log[_deque_word(s, last, at)] & 0xFFFFFFFF) - 1, at)


@inlined
def _advance(s: State, records: Any, base: int, row: int, now: int, is_foreseen: bool) -> bool:
    """Move every cursor of a record at most one node on towards the oldest inside (now - window, now]; whether one goes further.

    is_foreseen: the rows that cursors move to were asked for long ago. Else they are looked at in the next round, with all
    others, so that they are waited for together.
    """
    tables, log = s.tables, s.log
    goes_on = False
    due = _due(s, records, base, row, now)
    while due != 0:
        group = tables[row + 1] + GROUP_WORDS * lowest_bit(due)
        due = _without_lowest(due)
        edge = now - tables[group]
        time, node = records[base + tables[group + 1]], half(records, 2 * base + tables[group + 2])
        if time == UNREAD:
            time = log[(node >> 4) * tables[_T_LOG_WORDS] + L_TIME]
        if time <= edge:
            following = _next_of(s, node)
            _foresee_node(s, following)
            _leave(s, records, base, group, node)
            node = following
            put_half(records, 2 * base + tables[group + 2], node)
            time = NEVER if node < 0 else UNREAD
            if is_foreseen and node >= 0:
                time = log[(node >> 4) * tables[_T_LOG_WORDS] + L_TIME]
        records[base + tables[group + 1]] = time
        goes_on |= time <= edge
    return goes_on


@inlined
def _enter(s: State, entity: int, row: int, node: int, passed: int, time: int, number: int) -> None:
    """Add a new node to every window's accumulators; passed: the filters that it has passed; row: of its entity's space."""
    tables, pool = s.tables, s.pool
    windows = (tables[row + 2] - tables[row + 1]) // GROUP_WORDS
    for first in range(0, windows, LANES):  # of a window without nodes it is the oldest
        put_in_place_of(pool, entity + HEADER + first, windows - first, NEVER, time)
        put_where_empty(pool, 2 * (entity + HEADER + windows) + first, windows - first, node)
    _count(s, pool, entity, row + 9, passed, 1)
    _add(s, pool, entity, row + 12, passed, s.arrival[A_AMOUNT])
    arrived = passed
    passed &= tables[row + 15]
    while passed != 0:
        run = _run_of(tables[row + 15], tables[row + 16], lowest_bit(passed))
        passed = _without_lowest(passed)
        for cell in range(tables[run], tables[run + 1], CELL_WORDS):
            _enter_cell(s, entity, cell, node, arrived, time, number)


@inlined
def _enter_cell(s: State, entity: int, cell: int, node: int, arrived: int, time: int, number: int) -> None:
    """Add a new node to one accumulator; the place of a tally is in halves."""
    tables, pool = s.tables, s.pool
    amount, kind, word = s.arrival[A_AMOUNT], tables[cell], entity + tables[cell + 1]
    if kind == _C_SQUARES:
        add_square(pool, word, amount, 1)
    elif kind == _C_LAST:
        pool[word] = number
        pool[word + 1] = time
    elif kind == _C_TALLY:
        _add_to_half(pool, entity + word + s.arrival[A_COLUMNS + tables[cell + 2]], 1)
    elif kind == _C_EXTREME:
        sign = tables[cell + 2]
        if pool[word] < 0 or sign * (amount - pool[word + 1]) > 0:
            pool[word] = node
            pool[word + 1] = time if sign == 0 else amount
    elif kind == _C_DEQUE:
        _push(s, word, tables[cell + 2], tables[cell + 3], node, amount)
    elif kind == _C_NTH:
        n, oldest = tables[cell + 2], pool[word]
        pool[word + 1 + 2 * oldest] = number
        pool[word + 2 + 2 * oldest] = time
        pool[word] = oldest + 1 if oldest + 1 < n else 0
    elif kind == _C_LATEST:
        value = s.arrival[A_COLUMNS + tables[cell + 2]]
        if value != MISSING:
            pool[word] = number
            pool[word + 1] = value
    elif kind == _C_LOCATION:
        pool[word] = number
        pool[word + 1] = time
        pool[word + 2] = s.arrival[A_LATITUDE]
        pool[word + 3] = s.arrival[A_LONGITUDE]
    else:
        _step_on(s, word, tables[cell + 2], tables[cell + 3], arrived, number, time)


@jit
def _step_on(s: State, word: int, begin: int, end: int, passed: int, number: int, time: int) -> None:
    """Steps of a scheme: a step that follows one already gone takes over the moment of its first."""
    pool, tables = s.pool, s.tables
    for step in range(end - 1, begin - 1, -1):
        at = word + 2 * (step - begin)
        if _has(passed, tables[step]):
            if step == begin:
                pool[at], pool[at + 1] = number, time
            elif pool[at - 2] >= 0:
                pool[at], pool[at + 1] = pool[at - 2], pool[at - 1]


@jit
def _push(s: State, word: int, sign: int, at: int, node: int, amount: int) -> None:
    """Append a node to the chain from which extremes are taken; whatever it outdoes leaves the chain's end: nothing when sign is 0.

    A node's word in the log: node after it and node before it, each plus one.
    """
    pool, log, width = s.pool, s.log, s.tables[_T_LOG_WORDS]
    last = pool[word + 1]
    while last >= 0 and sign * (amount - log[(last >> 4) * width + L_AMOUNT]) > 0:
        last = (log[_deque_word(s, last, at)] & 0xFFFFFFFF) - 1
    log[_deque_word(s, node, at)] = last + 1
    if last < 0:
        pool[word] = node
    else:
        before = _deque_word(s, last, at)
        log[before] = ((node + 1) << 32) | (log[before] & 0xFFFFFFFF)
    pool[word + 1] = node


# ---- an arrival's columns, entities and pairs ------------------------------------------------------------------------


@inlined
def _complete(row: Any, at: int, arrival: Any) -> None:
    """Make an arrival of the input row that begins at a word: its values, and the small columns of time, amount and kind."""
    time, amount = row[at + _W_TIME], row[at + _W_AMOUNT]
    local = time + row[at + _W_OFFSET]
    hour = (local // _HOUR_MS) % 24
    arrival[A_TIME], arrival[A_AMOUNT] = time, amount
    arrival[A_LATITUDE], arrival[A_LONGITUDE] = row[at + _W_LATITUDE], row[at + _W_LONGITUDE]
    arrival[A_FACTS] = row[at + _W_FACTS] | (_NIGHT if hour < NIGHT_ENDS else 0)
    for column in range(_KIND):
        arrival[A_COLUMNS + column] = row[at + _W_VALUES + column]
    # KIND and the bands are places in tallies: no row, however it was damaged, may write beside them
    arrival[A_COLUMNS + _KIND] = row[at + _W_KIND] & (_KINDS - 1)
    arrival[A_COLUMNS + _HOUR] = hour
    arrival[A_COLUMNS + _WEEKDAY] = (local // _DAY_MS + 3) % 7
    arrival[A_COLUMNS + _BAND] = min(bit_length(amount), _BANDS - 1)
    half_further = (amount * 181) >> 7  # half an octave: 181 / 128 is the root of two
    arrival[A_COLUMNS + _SHIFTED] = min(bit_length(half_further), _BANDS - 1)


@inlined
def _key(s: State, slot: int) -> int:
    """The key of an arrival's entity of a slot, MISSING without one."""
    tables, row = s.tables, _slot_row(s, slot)
    key = s.arrival[A_COLUMNS + tables[tables[row + 2]]]
    for place in range(tables[row + 2] + 1, tables[row + 3]):
        value = s.arrival[A_COLUMNS + tables[place]]
        key = MISSING if key == MISSING or value == MISSING else _mixed(key) ^ value
    return int(key)


@jit
def _prepare(s: State) -> None:
    """What filters an arrival passes, and the key of each slot; prefetch where the entities are looked up."""
    scratch, tables = s.scratch, s.tables
    _filter(s, s.arrival[A_FACTS])
    scratch[X_GIVEN] = 0
    left = tables[_T_KEPT]
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        key = _key(s, slot)
        if key == MISSING:
            continue
        scratch[X_GIVEN] |= 1 << slot
        scratch[X_KEY + slot] = key
        scratch[X_ENTITY + slot] = hashed = _entity_hash(key, tables[_slot_row(s, slot)])
        prefetch(s.directory, _home(hashed, s.meta[M_DIRECTORY_SHIFT]))


@jit
def _foresee_records(s: State, is_read: bool) -> None:
    """Prefetch the homes of each slot's pairs, guess its entity by half of its hash, and prefetch its record.

    is_read: its vector is asked for; an operation's pairs are needed for its marks as well.
    """
    scratch, tables, directory = s.scratch, s.tables, s.directory
    scratch[X_ASKED] = 1 if is_read or s.arrival[A_FACTS] & _OPERATION != 0 else 0
    left = scratch[X_GIVEN]
    while left != 0:
        _foresee_pairs(s, lowest_bit(left))
        left = _without_lowest(left)
    left = scratch[X_GIVEN]
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        hashed = scratch[X_ENTITY + slot]
        scratch[X_BASE + slot] = -1
        place = _home(hashed, s.meta[M_DIRECTORY_SHIFT])
        while directory[place] != 0 and directory[place] >> 32 != hashed >> 32:
            place += 1
        if directory[place] != 0:
            entity = (directory[place] & 0xFFFFFFFF) - 1
            scratch[X_BASE + slot] = entity
            stride = tables[_space_row(s, slot)]
            for word in range(entity, entity + stride, 8):
                prefetch(s.pool, word)


@inlined
def _is_of(records: Any, base: int, key: int, space: int) -> bool:
    """Whether a record that was guessed is a key's."""
    nodes = _nodes_of(records, base)
    return bool(records[base + R_KEY] == key and nodes % MAX_SLOTS == space and nodes >= MAX_SLOTS)


@jit
def _locate(s: State) -> None:
    """The entity of each slot that has a key: -1 without history."""
    scratch, tables, pool = s.scratch, s.tables, s.pool
    left, known = scratch[X_GIVEN], np.int64(0)
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        guess, key, space = scratch[X_BASE + slot], scratch[X_KEY + slot], tables[_slot_row(s, slot)]
        if guess < 0 or not _is_of(pool, guess, key, space):
            guess = _find_entity(
                s, scratch[X_ENTITY + slot], key, space
            )  # it came or went since, or another has half its hash
        scratch[X_ENTITY + slot] = scratch[X_BASE + slot] = guess
        if guess >= 0:
            known |= 1 << slot
    scratch[X_KNOWN] = known


@inlined
def _foresee_pairs(s: State, slot: int) -> None:
    """The home of each pair that will be asked for or followed (-1: none), prefetched."""
    scratch, tables = s.scratch, s.tables
    shift = s.meta[M_PAIRS_SHIFT]
    space = _space_row(s, slot)
    passed, asked = _in_role(s, scratch[X_PASSED], slot), scratch[X_ASKED] != 0
    at = slot * MAX_FAMILIES
    tag = _tag(scratch[X_ENTITY + slot], 0)
    for family in range(tables[space + 3], tables[space + 4], FAMILY_WORDS):
        value = s.arrival[A_COLUMNS + tables[family]]
        scratch[X_PLACE + at] = -1
        if value != MISSING and (asked or _has(passed, tables[family + 1])):
            pair = _pair_hash(tag, value)
            home = _home(pair, shift)
            scratch[X_HASH + at] = pair
            scratch[X_PLACE + at] = home
            _foresee_place(s, home)
        at += 1
        tag += FAMILY_STEP


@jit
def _look_up_pairs(s: State) -> None:
    """From homes to places: where each pair stands, or would stand."""
    scratch, tables = s.scratch, s.tables
    left = scratch[X_GIVEN]
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        space = _space_row(s, slot)
        at = slot * MAX_FAMILIES
        for _ in range(tables[space + 3], tables[space + 4], FAMILY_WORDS):
            if scratch[X_PLACE + at] >= 0:
                scratch[X_PLACE + at] = _find_pair(s.pairs, scratch[X_PLACE + at], scratch[X_HASH + at])
            at += 1


@inlined
def _foresee_last_rows(s: State, slot: int) -> None:
    """Ask for the log rows in which the pairs of a slot were seen last, of which the time is asked for."""
    scratch, tables, pairs = s.scratch, s.tables, s.pairs
    row = _space_row(s, slot)
    at = slot * MAX_FAMILIES
    for family in range(tables[row + 3], tables[row + 4], FAMILY_WORDS):
        if tables[family + 4] != 0 and scratch[X_PLACE + at] >= 0:
            place = _find_pair(pairs, scratch[X_PLACE + at], scratch[X_HASH + at])
            if pairs[place * PAIR_WORDS + P_NEWEST] != 0:
                prefetch(s.log, _last_row(s, place))
        at += 1


@inlined
def _follow(s: State, entity: int, slot: int, row: int, node: int, passed: int, now: int) -> None:
    """Bring the entity's pairs up to date, and count values as distinct in the windows in which they were not seen yet."""
    scratch, tables, pairs = s.scratch, s.tables, s.pairs
    at = slot * MAX_FAMILIES - 1
    for family in range(tables[row + 3], tables[row + 4], FAMILY_WORDS):
        at += 1
        if s.arrival[A_COLUMNS + tables[family]] == MISSING or not _has(passed, tables[family + 1]):
            continue
        place, bit = _find_pair(pairs, scratch[X_PLACE + at], scratch[X_HASH + at]), tables[family + 2]
        word, previous = place * PAIR_WORDS, MISSING
        if pairs[word + P_NEWEST] == 0:
            pairs[word] = scratch[X_HASH + at]
            s.meta[M_PAIRS] += 1
        elif bit >= 0:
            previous = _outdate(s, place, bit)
        pairs[word + P_NEWEST] = (node << 32) | ((pairs[word + P_NEWEST] & 0xFFFFFFFF) + 1)
        if bit >= 0:
            here = _newest_at(s, (node >> 4) * tables[_T_LOG_WORDS], slot)
            s.log[here] |= np.int64(1) << np.int64(_newest_shift(s, slot, bit))
        for distinct in range(tables[family + 5], tables[family + 6], DISTINCT_WORDS):
            _add_to_half(s.pool, 2 * entity + tables[distinct], 1 if previous <= now - tables[distinct + 1] else 0)


@inlined
def _outdate(s: State, place: int, bit: int) -> int:
    """The newest arrival of a pair is not its newest any more; its time."""
    last, slot = _last_row(s, place), (s.pairs[place * PAIR_WORDS + P_NEWEST] >> 32) & 15
    s.log[_newest_at(s, last, slot)] &= ~(np.int64(1) << np.int64(_newest_shift(s, slot, bit)))
    return int(s.log[last + L_TIME])


@jit
def _stored(s: State, row: int, family: int) -> int:
    """The value of a family's column in a log row."""
    return s.log[row + s.tables[family + 3]]


@jit
def _unfollow(s: State, entity: int, row: int, passed: int) -> None:
    """Take an evicted node out of its pairs; a pair of which nothing is retained is forgotten."""
    tables, pairs, shift = s.tables, s.pairs, s.meta[M_PAIRS_SHIFT]
    space = _space_of(s.pool, entity)
    at = tables[_T_SPACE] + space * SPACE_WORDS
    tag = _tag(_entity_hash(s.pool[entity + R_KEY], space), -1)
    for family in range(tables[at + 3], tables[at + 4], FAMILY_WORDS):
        tag += FAMILY_STEP
        if not _has(passed, tables[family + 1]):
            continue
        value = _stored(s, row, family)
        if value == MISSING:
            continue
        hashed = _pair_hash(tag, value)
        place = _find_pair(pairs, _home(hashed, shift), hashed)
        pairs[place * PAIR_WORDS + P_NEWEST] -= 1
        if pairs[place * PAIR_WORDS + P_NEWEST] & 0xFFFFFFFF == 0:
            _take_out(pairs, place, PAIR_WORDS, shift)
            s.meta[M_PAIRS] -= 1


# ---- eviction --------------------------------------------------------------------------------------------------------


@inlined
def _foresee_header(s: State, entity: int, space: int) -> None:
    """Prefetch a record's header and cursors."""
    windows = (s.tables[space + 2] - s.tables[space + 1]) // GROUP_WORDS
    for word in range(0, HEADER + CURSOR_HALVES * windows // 2, LANES):
        prefetch(s.pool, entity + word)


@inlined
def _foresee_cells(s: State, entity: int, space: int, node: int, passed: int) -> None:
    """Prefetch the accumulators of the windows that still begin with a node."""
    tables, pool = s.tables, s.pool
    for group in range(tables[space + 1], tables[space + 2], GROUP_WORDS):
        if half(pool, 2 * entity + tables[group + 2]) == node:
            prefetch(pool, entity + tables[group + 3] // 2)
            prefetch(pool, entity + tables[group + 6])
            due = passed & tables[group + 11]
            while due != 0:
                run = _run_of(tables[group + 11], tables[group + 12], lowest_bit(due))
                word = tables[tables[run] + 1]
                prefetch(pool, entity + (word // 2 if tables[tables[run]] == _C_TALLY else word))
                due = _without_lowest(due)


@inlined
def _row_behind(s: State, rows: int) -> int:
    """Where the log row begins that is so many behind the oldest."""
    place = s.meta[M_OLDEST] + rows
    return (place - s.meta[M_ROWS] if place >= s.meta[M_ROWS] else place) * s.tables[_T_LOG_WORDS]


@jit
def _foresee_eviction(s: State) -> None:
    """Ask for what the next evictions need: the row after next, the next one's records, and by those the oldest one's pairs."""
    tables, log = s.tables, s.log
    later = _row_behind(s, 2)
    for word in range(later, later + tables[_T_LOG_WORDS], 8):
        prefetch(log, word)
    row = _row_behind(s, 1)
    for slot in range(tables[_T_SLOTS]):
        link = log[row + tables[_T_LINKS_AT] + slot]
        entity, next_node = _upper(link) - 1, (link & 0xFFFFFFFF) - 1
        if entity < 0:
            continue
        if next_node >= 0:  # the entity's history begins with it then
            prefetch(log, (next_node >> 4) * tables[_T_LOG_WORDS])
        _foresee_header(s, entity, _space_row(s, slot))
    _foresee_forgotten(s, _row_behind(s, 0))


@inlined
def _foresee_forgotten(s: State, row: int) -> None:
    """Prefetch the accumulators and pairs that the oldest arrival, in a row, stands in, and the home of an entity that goes with it."""
    meta, tables, pool = s.meta, s.tables, s.pool
    for slot in range(tables[_T_SLOTS]):
        entity = _upper(s.log[row + tables[_T_LINKS_AT] + slot]) - 1
        if entity < 0:
            continue
        space, passed = _space_row(s, slot), _in_role(s, s.log[row + L_PASSED], slot)
        hashed = _entity_hash(pool[entity + R_KEY], tables[_slot_row(s, slot)])
        if _nodes_of(pool, entity) < 2 * MAX_SLOTS:
            prefetch(s.directory, _home(hashed, meta[M_DIRECTORY_SHIFT]))
        else:
            _foresee_cells(s, entity, space, (meta[M_OLDEST] << 4) | slot, passed)
        tag = _tag(hashed, -1)
        for family in range(tables[space + 3], tables[space + 4], FAMILY_WORDS):
            tag += FAMILY_STEP
            if _has(passed, tables[family + 1]):
                pair = _pair_hash(tag, _stored(s, row, family))
                _foresee_place(s, _home(pair, meta[M_PAIRS_SHIFT]))


@jit
def _evict(s: State) -> None:
    """Take the oldest arrival out of every window, chain and pair that still holds it."""
    meta, tables, log, pool = s.meta, s.tables, s.log, s.pool
    oldest = meta[M_OLDEST]
    row = oldest * tables[_T_LOG_WORDS]
    left = tables[_T_KEPT]
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        entity = _upper(log[row + tables[_T_LINKS_AT] + slot]) - 1
        if entity < 0:
            continue
        _unfollow(s, entity, row, _in_role(s, log[row + L_PASSED], slot))
        if _nodes_of(pool, entity) < 2 * MAX_SLOTS:
            _forget_entity(s, entity)
        else:
            _begin_later(s, entity, (oldest << 4) | slot)
    meta[M_EVICTED_TIME] = log[row + L_TIME]
    meta[M_OLDEST] = oldest + 1 if oldest + 1 < meta[M_ROWS] else 0
    meta[M_KEPT] -= 1


@inlined
def _begin_later(s: State, entity: int, node: int) -> None:
    """Take an entity's oldest node out of the windows in which it still is; the entity has others."""
    pool, tables = s.pool, s.tables
    following = _next_of(s, node)
    time = s.log[(following >> 4) * tables[_T_LOG_WORDS] + L_TIME]
    at = tables[_T_SPACE] + _space_of(pool, entity) * SPACE_WORDS
    for group in range(tables[at + 1], tables[at + 2], GROUP_WORDS):
        if half(pool, 2 * entity + tables[group + 2]) == node:
            _leave(s, pool, entity, group, node)
            pool[entity + tables[group + 1]] = time
            put_half(pool, 2 * entity + tables[group + 2], following)
    pool[entity + R_SINCE] = time
    pool[entity + R_CHAIN] -= MAX_SLOTS << 32


@jit
def _evict_before(s: State, number: int) -> None:
    """Evict what is numbered below."""
    width, at = s.tables[_T_LOG_WORDS], s.tables[_T_NUMBER_AT]
    while s.meta[M_KEPT] > 0 and s.log[s.meta[M_OLDEST] * width + at] < number:
        _evict(s)


# ---- emit ------------------------------------------------------------------------------------------------------------


@jit
def _product(a: Any, b: Any) -> tuple[Any, Any]:
    """a * b of unsigned 64 bits as (high, low)."""
    low32 = np.uint64(0xFFFFFFFF)
    s32 = np.uint64(32)
    a0, a1, b0, b1 = a & low32, a >> s32, b & low32, b >> s32
    p00, p01, p10 = a0 * b0, a0 * b1, a1 * b0
    middle = (p00 >> s32) + (p01 & low32) + (p10 & low32)
    return a1 * b1 + (p01 >> s32) + (p10 >> s32) + (middle >> s32), (p00 & low32) | (middle << s32)


@jit
def spread(records: Any, count: int, total: int, squares: int) -> float:
    """count * sum of squares - sum * sum, exact in 128 bits, then rounded: float(high) * 2^64 + float(low); squares: their word."""
    n: Any = np.uint64(count)
    t: Any = np.uint64(total)
    hh, hl, ll = np.uint64(records[squares]), np.uint64(records[squares + 1]), np.uint64(records[squares + 2])
    # hh * 2^40 + hl * 2^21 + ll
    low = hh << np.uint64(40)
    high = hh >> np.uint64(24)
    part = hl << np.uint64(21)
    low, high = low + part, high + (hl >> np.uint64(43))
    if low < part:
        high += np.uint64(1)
    low = low + ll
    if low < ll:
        high += np.uint64(1)
    upper, lower = _product(low, n)
    upper += high * n
    square_upper, square_lower = _product(t, t)
    borrow = np.uint64(1) if lower < square_lower else np.uint64(0)
    return np.float64(upper - square_upper - borrow) * 18446744073709551616.0 + np.float64(lower - square_lower)


@inlined
def _emit_amounts(records: Any, emit: int, amount: int, n: int, t: int, squares: int, missing: float) -> float:
    """Features of n amounts of a window, t together; squares: the word of theirs."""
    if n == 0:
        return missing
    if emit == _E_OVER_MEAN:
        return np.float64(amount * n) / np.float64(t) if t != 0 else missing
    deviation = np.sqrt(spread(records, n, t, squares))
    if emit == _E_DEVIATION:
        return deviation / np.float64(n)
    return np.float64(amount * n - t) / deviation if deviation != 0.0 else missing


@jit
def _n_log_n(floats: Any, table: int, n: int) -> float:
    """n log2 n from a table; what is larger than the table is halved into it."""
    doublings = 0
    scaled = n
    while scaled >= TALLIED:
        scaled >>= 1
        doublings += 1
    if doublings == 0:
        return floats[table + n]
    return np.float64(n) * (floats[table + scaled] / np.float64(scaled) + np.float64(doublings))


@jit
def _emit_entropy(s: State, records: Any, tally: int, n: int, size: int, missing: float) -> float:
    """log2 n - (sum of n_i log2 n_i) / n, from a table: + - x / alone."""
    if n == 0:
        return missing
    table = s.tables[_T_FEATURES] + (s.tables[_T_MARK_TO] - s.tables[_T_MARK_FROM]) // MARK_WORDS
    total = 0.0
    for value in range(size):
        if half(records, tally + value) > 1:
            total += _n_log_n(s.floats, table, half(records, tally + value))
    return (_n_log_n(s.floats, table, n) - total) / np.float64(n)


@jit
def _half_sine_squared(x: float) -> float:
    """sin(x / 2) squared, |x| up to pi, by its series: the same on every machine."""
    y = x * x * 0.25
    sine = 1.0 - y / 6.0 * (1.0 - y / 20.0 * (1.0 - y / 42.0 * (1.0 - y / 72.0 * (1.0 - y / 110.0 * (1.0 - y / 156.0)))))
    return y * sine * sine


@jit
def chord_km(latitude: int, longitude: int, other_latitude: int, other_longitude: int) -> float:
    """Kilometres between two places given in millionths of a degree, along the chord of a sphere."""
    turn = other_longitude - longitude
    if turn < 0:
        turn = -turn
    if turn > 180_000_000:
        turn = 360_000_000 - turn
    rise = _half_sine_squared(np.float64(other_latitude - latitude) * _RADIAN)
    flat = (1.0 - 2.0 * _half_sine_squared(np.float64(latitude) * _RADIAN)) * (
        1.0 - 2.0 * _half_sine_squared(np.float64(other_latitude) * _RADIAN)
    )
    return 2.0 * _EARTH_KM * np.sqrt(rise + flat * _half_sine_squared(np.float64(turn) * _RADIAN))


@jit
def _emit_travel(s: State, records: Any, emit: int, word: int, now: int, missing: float) -> float:
    latitude, longitude = s.arrival[A_LATITUDE], s.arrival[A_LONGITUDE]
    if latitude == MISSING or longitude == MISSING:
        return missing
    distance = chord_km(records[word + 2], records[word + 3], latitude, longitude)
    if emit == _E_DISTANCE:
        return distance
    return distance * 3_600_000.0 / np.float64(max(60_000, now - records[word + 1]))


@inlined
def _emit_pair(s: State, slot: int, emit: int, family: int, n: int, now: int, missing: float) -> float:
    """What the entity's past says about the operation's own value of a column."""
    place = s.scratch[X_PLACE + slot * MAX_FAMILIES + family]
    if place < 0:
        return missing
    known = s.pairs[place * PAIR_WORDS + P_NEWEST] != 0
    if emit == _E_IS_NEW:
        return 0.0 if known else 1.0
    if emit == _E_SINCE_SAME:
        return (now - s.log[_last_row(s, place) + L_TIME]) / 1000.0 if known else missing
    same = np.float64(s.pairs[place * PAIR_WORDS + P_NEWEST] & 0xFFFFFFFF) if known else 0.0
    if emit == _E_SAME_COUNT:
        return same
    return same / np.float64(n) if n != 0 else missing


@jit
def _emit_steps(records: Any, word: int, steps: int, edge: int, kept: int) -> float:
    gone = steps
    while gone > 0 and not (records[word + 2 * gone - 2] >= kept and records[word + 2 * gone - 1] > edge):
        gone -= 1
    return np.float64(gone)


@inlined
def _operand(word: int, place: int) -> int:
    """An operand of an emit; its place in the vector is the one behind its last."""
    return (word >> OPERAND_BITS * place) & ((1 << OPERAND_BITS) - 1)


@inlined
def _number(records: Any, base: int, operand: int) -> int:
    """A count, a distinct count or a sum, by the operand of an emit."""
    return int(whole_or_half(records, 2 * base + (operand & (WHOLE - 1)), operand & WHOLE))


@inlined
def _emit_one(  # noqa: PLR0912 a kind each
    s: State, records: Any, base: int, slot: int, emit: int, word: int, number: int, now: int, missing: float
) -> float:
    """The value of one emit, of a kind and a word, over the record of its slot's entity."""
    tables = s.tables
    a, b, c = _operand(word, 0), _operand(word, 1), _operand(word, 2)
    kept = number - tables[_T_RETAINED]
    if emit == _E_VALUE:
        return np.float64(_number(records, base, a))
    if emit == _E_RATIO:
        below = _number(records, base, b)
        return np.float64(_number(records, base, a)) / np.float64(below) if below != 0 else missing
    if emit == _E_PACE:
        rate = _number(records, base, b)
        return np.float64(_number(records, base, a) * tables[c + 1]) / np.float64(rate * tables[c]) if rate != 0 else missing
    if emit <= _E_OVER_MEAN:
        n, total = _number(records, base, a), _number(records, base, b)
        return _emit_amounts(records, emit, s.arrival[A_AMOUNT], n, total, base + c, missing)
    if emit == _E_EXTREME:
        return np.float64(records[base + a + 1]) if records[base + a] >= 0 else missing
    if emit == _E_OVER_MAX:
        if records[base + a] < 0 or records[base + a + 1] == 0:
            return missing
        return np.float64(s.arrival[A_AMOUNT]) / np.float64(records[base + a + 1])
    if emit == _E_SINCE_LAST:
        return (now - records[base + a + 1]) / 1000.0 if records[base + a] >= max(kept, 0) else missing
    if emit == _E_SINCE_FIRST:
        return (now - records[base + R_SINCE]) / 1000.0
    if emit == _E_SINCE_NTH:
        oldest = base + a + 1 + 2 * records[base + a]
        return (now - records[oldest + 1]) / 1000.0 if records[oldest] >= max(kept, 0) else missing
    if emit == _E_IS_LATER:
        own, other = records[base + a], records[base + b]
        return (1.0 if own > other else 0.0) if max(own, other) >= max(kept, 0) else missing
    if emit == _E_SINCE_EARLIEST:
        return (now - records[base + a + 1]) / 1000.0 if records[base + a] >= 0 else missing
    if emit <= _E_SINCE_SAME:
        return _emit_pair(s, slot, emit, b, half(records, 2 * base + c), now, missing)
    if emit == _E_TALLY_SHARE:
        n = half(records, 2 * base + b)
        same = half(records, 2 * base + a + s.arrival[A_COLUMNS + c])
        return np.float64(same) / np.float64(n) if n != 0 else missing
    if emit == _E_ENTROPY:
        return _emit_entropy(s, records, 2 * base + a, half(records, 2 * base + b), c, missing)
    if emit == _E_CHANGED:
        own = s.arrival[A_COLUMNS + a]
        if own == MISSING or records[base + b] < max(kept, 0):
            return missing
        return 0.0 if own == records[base + b + 1] else 1.0
    if emit == _E_STEPS:
        return _emit_steps(records, base + a, b, now - tables[c], max(kept, 0))
    return _emit_travel(s, records, emit, base + a, now, missing) if records[base + a] >= max(kept, 0) else missing


@inlined
def _emit_own(s: State, emit: int, of: int, now: int, evicted: int) -> float:
    """Features of the operation itself, and whether the longest window has lost arrivals; evicted: time of the last one evicted."""
    if emit == _E_AMOUNT:
        return np.float64(s.arrival[A_AMOUNT])
    if emit == _E_COLUMN:
        return np.float64(s.arrival[A_COLUMNS + of])
    if emit == _E_FACT:
        return 1.0 if s.arrival[A_FACTS] & of != 0 else 0.0
    return 1.0 if evicted > now - s.tables[_T_LONGEST] else 0.0


@jit
def _emit_slots(s: State, records: Any, slots: int, number: int, now: int, vector: Any) -> None:
    """Every feature of some slots."""
    left = slots
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        if (s.scratch[X_KNOWN] >> slot) & 1 != 0:
            _emit_slot(s, records, slot, number, now, vector)
        else:
            _emit_missing(s, slot, vector)


@inlined
def _emit_own_ones(s: State, now: int, evicted: int, vector: Any) -> None:
    tables = s.tables
    for e in range(tables[_T_OWN_FROM], tables[_T_OWN_TO], OWN_WORDS):
        vector[tables[e + 2]] = _emit_own(s, tables[e], tables[e + 1], now, evicted)


@jit
def _emit(s: State, records: Any, number: int, now: int, vector: Any) -> None:
    """Every feature."""
    _emit_slots(s, records, (1 << s.tables[_T_SLOTS]) - 1, number, now, vector)
    _emit_own_ones(s, now, s.meta[M_EVICTED_TIME], vector)


@inlined
def _emit_missing(s: State, slot: int, vector: Any) -> None:
    """What every feature of a slot says of an entity without history, or where there is none."""
    row = _slot_row(s, slot)
    for e in range(s.tables[row + 4], s.tables[row + 5]):
        out = _operand(s.tables[e], 3)
        vector[out] = s.floats[out]


@inlined
def _emit_slot(s: State, records: Any, slot: int, number: int, now: int, vector: Any) -> None:
    """Every feature of a slot whose entity has history, kind by kind: most are plain values, then ratios of two."""
    tables, row, base = s.tables, _slot_row(s, slot), s.scratch[X_BASE + slot]
    for kind in range(tables[row + 6], tables[row + 7], KIND_WORDS):
        emit, first, last = tables[kind], tables[kind + 1], tables[kind + 2]
        if emit == _E_VALUE:
            for e in range(first, last):
                vector[_operand(tables[e], 3)] = np.float64(_number(records, base, _operand(tables[e], 0)))
        else:
            for e in range(first, last):
                word = tables[e]
                out = _operand(word, 3)
                vector[out] = _emit_one(s, records, base, slot, emit, word, number, now, s.floats[out])


@jit
def _marks(s: State, number: int, now: int) -> int:
    """The marks of an operation as of its arrival: one bit for each mark whose feature is above its limit."""
    tables, scratch, floats = s.tables, s.scratch, s.floats
    bit = np.int64(1) << np.int64(FIRST_MARK)
    marks = np.int64(0)
    at = tables[_T_FEATURES]
    for e in range(tables[_T_MARK_FROM], tables[_T_MARK_TO], MARK_WORDS):
        slot = tables[e]
        if (scratch[X_KNOWN] >> slot) & 1 != 0:
            value = _emit_one(s, s.pool, scratch[X_BASE + slot], slot, tables[e + 1], tables[e + 2], number, now, np.nan)
            if value > floats[at]:
                marks |= bit
        at += 1
        bit <<= np.int64(1)
    return int(marks)


# ---- the step --------------------------------------------------------------------------------------------------------


@jit
def _write_row(s: State, place: int, number: int, now: int) -> None:
    """Write what filters an arrival has passed, and its values; its links follow."""
    log, tables, scratch = s.log, s.tables, s.scratch
    row = place * tables[_T_LOG_WORDS]
    for word in range(row + LOG_HEADER, row + tables[_T_LOG_WORDS]):
        log[word] = 0
    log[row + L_TIME], log[row + L_AMOUNT] = now, s.arrival[A_AMOUNT]
    log[row + L_PASSED] = scratch[X_PASSED]
    log[row + tables[_T_NUMBER_AT]] = number
    log[row + L_SMALL] = (
        s.arrival[A_COLUMNS + _KIND]
        | (s.arrival[A_COLUMNS + _HOUR] << _S_HOUR)
        | (s.arrival[A_COLUMNS + _WEEKDAY] << _S_WEEKDAY)
        | (s.arrival[A_COLUMNS + _BAND] << _S_BAND)
        | (s.arrival[A_COLUMNS + _SHIFTED] << _S_SHIFTED)
    )
    word = row + tables[_T_STORED_AT]
    for stored in range(tables[_T_STORED], tables[_T_STORED_TO]):
        log[word] = s.arrival[A_COLUMNS + tables[stored]]
        word += 1


@inlined
def _chain(s: State, entity: int, node: int, now: int) -> None:
    """Append a node to the chain of an entity."""
    pool = s.pool
    nodes = _nodes_of(pool, entity)
    if nodes < MAX_SLOTS:
        pool[entity + R_SINCE] = now
    else:
        s.log[_link_of(s, _newest_of(pool, entity))] |= node + 1
    pool[entity + R_CHAIN] = ((nodes + MAX_SLOTS) << 32) | node


@jit
def _foresee_leaving(s: State, records: Any, now: int) -> None:
    """Ask for the log rows that will leave the windows of the records that were found, or guessed."""
    scratch, left = s.scratch, s.scratch[X_GIVEN]
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        if scratch[X_BASE + slot] >= 0:
            _foresee(s, records, scratch[X_BASE + slot], slot, now)


@jit
def _foresee_staying(s: State, records: Any, now: int) -> None:
    """Ask for the log rows behind those that will leave, if the records are those of the slots' entities, and of pairs."""
    scratch, left = s.scratch, s.scratch[X_GIVEN]
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        _foresee_last_rows(s, slot)
        base = scratch[X_BASE + slot]
        if base >= 0 and _is_of(records, base, scratch[X_KEY + slot], s.tables[_slot_row(s, slot)]):
            _foresee_next(s, records, base, slot, now)


@jit
def _foresee_written(s: State, vector: Any, width: int) -> None:
    """Ask for what an arrival will write: its vector of so many words, and the row of the log after the next."""
    for word in range(0, width, LANES):
        prefetch(vector, word)
    _foresee_row(s, s.meta[M_NEXT] + 1)


@inlined
def _foresee_row(s: State, place: int) -> None:
    """Ask for a whole row of the log."""
    row = place * s.tables[_T_LOG_WORDS]
    for word in range(row, row + s.tables[_T_LOG_WORDS], LANES):
        prefetch(s.log, word)


@jit
def _advance_all(s: State, records: Any, now: int) -> None:
    """Bring the windows of all slots up to now, each by as many rounds as its longest way needs."""
    is_first, going = True, s.scratch[X_KNOWN]
    while going != 0:
        left, going = going, np.int64(0)
        while left != 0:
            slot = lowest_bit(left)
            left = _without_lowest(left)
            if _advance(s, records, s.scratch[X_BASE + slot], _space_row(s, slot), now, is_first):
                going |= 1 << slot
        is_first = False


@jit
def _settle(s: State, now: int) -> None:
    """Find the entities and pairs of a prepared arrival, and bring the records up to now."""
    _locate(s)
    _look_up_pairs(s)
    _advance_all(s, s.pool, now)


@jit
def _arrive(s: State, number: int, now: int) -> None:
    """The effect of an arrival that is settled: its row, its place in chains, pairs and windows."""
    meta, scratch, tables = s.meta, s.scratch, s.tables
    facts = s.arrival[A_FACTS]
    if facts & _OPERATION != 0:
        marks = _marks(s, number, now)
        if marks != 0:
            _filter(s, facts | marks)
    place = meta[M_NEXT]
    _write_row(s, place, number, now)
    left = scratch[X_GIVEN]
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        entity = scratch[X_ENTITY + slot]
        if entity < 0:
            key, space = scratch[X_KEY + slot], tables[_slot_row(s, slot)]
            entity = _find_entity(s, _entity_hash(key, space), key, space)  # another slot may just have brought it in
            if entity < 0:
                entity = _new_entity(s, key, space)
        _join(s, entity, slot, place, number, now)
    meta[M_NUMBER] = number + 1
    meta[M_CLOCK] = now
    _go_on(s, place)
    _evict_before(s, number + 1 - tables[_T_RETAINED])
    if meta[M_KEPT] >= tables[_T_RETAINED]:
        _foresee_eviction(s)  # of the next arrival: what it takes is on its way until then


@inlined
def _join(s: State, entity: int, slot: int, place: int, number: int, now: int) -> None:
    """An arrival, of a row of the log, comes to an entity: into its chain, pairs and windows."""
    row, node = _space_row(s, slot), (place << 4) | slot
    s.log[place * s.tables[_T_LOG_WORDS] + s.tables[_T_LINKS_AT] + slot] = (entity + 1) << 32
    _chain(s, entity, node, now)
    passed = _in_role(s, s.scratch[X_PASSED], slot)
    _follow(s, entity, slot, row, node, passed, now)
    _enter(s, entity, row, node, passed, now, number)


@inlined
def _go_on(s: State, place: int) -> None:
    """A row of the log is in use, and the next one is next."""
    s.meta[M_NEXT] = place + 1 if place + 1 < s.meta[M_ROWS] else 0
    s.meta[M_KEPT] += 1


# ---- entity by entity ------------------------------------------------------------------------------------------------
# The same steps over a history that is sorted by entity: one record, its rows one behind the other and a table of its own pairs
# stay in the first caches, and nothing need be foreseen but the arrivals. A turn is an arrival of an entity: upper bits of the
# hash of its key, the arrival's index, and a bit for each of the two slots in which an account can stand


@inlined
def _turn(hashed: int, index: int, bits: int) -> int:
    return int(((hashed & 0x7FFFFFFFFFFFFFFF) >> TURN_HASH << TURN_HASH) | (index << TURN_BITS) | bits)


@inlined
def _index_of(turn: int) -> int:
    return int((turn >> TURN_BITS) & ((1 << (TURN_HASH - TURN_BITS)) - 1))


@inlined
def _looking_at(s: State, arrivals: int, index: int) -> State:
    """The state with another arrival."""
    return State(
        s.meta, s.log, s.pool, s.directory, s.pairs, s.tables, s.floats, s.scratch,
        as_integers(arrivals + 8 * ARRIVAL_WORDS * index),
    )  # fmt: skip


@jit
def _begin(s: State, key: int, slot: int, turns: int) -> None:
    """Begin with an entity, of so many turns at most, and forget the one before."""
    meta, pool, tables, space = s.meta, s.pool, s.tables, _space_row(s, slot)
    image = tables[space + 17]
    for word in range(tables[space]):
        pool[word] = tables[image + word]
    pool[R_KEY] = key
    pool[R_CHAIN] = tables[_slot_row(s, slot)] << 32
    meta[M_NEXT] = meta[M_OLDEST] = meta[M_KEPT] = meta[M_PAIRS] = 0
    families = (tables[space + 4] - tables[space + 3]) // FAMILY_WORDS * bit_count(tables[_T_KEPT])
    most = families * min(turns, tables[_T_RETAINED] + 1)
    bits = max(bit_length((5 * most) // 3), 1)
    meta[M_PAIRS_SHIFT] = 64 - bits
    for word in range(((1 << bits) + most + 1) * PAIR_WORDS):
        s.pairs[word] = 0


@inlined
def _forget_old(s: State, key: int, slot: int, turns: int, number: int) -> None:
    """Of the entity that was begun with: what is numbered below leaves, all at once where nothing else is left."""
    meta, width, at = s.meta, s.tables[_T_LOG_WORDS], s.tables[_T_NUMBER_AT]
    if meta[M_KEPT] > 0 and s.log[meta[M_OLDEST] * width + at] < number:
        newest = (meta[M_NEXT] if meta[M_NEXT] > 0 else meta[M_ROWS]) - 1
        if s.log[newest * width + at] < number:
            _begin(s, key, slot, turns)
        else:
            _evict_before(s, number)


@inlined
def _block_of(blocks: Any, slot: int, lowest: int) -> tuple[int, int, int]:
    """Of a slot's block: its address, words of a row, and the place in a vector of the first of its features."""
    at = BLOCK_WORDS * (slot - lowest)
    return int(blocks[at]), int(blocks[at + 1]), int(blocks[at + 2])


@inlined
def _emit_to_block(s: State, slot: int, number: int, now: int, vector: Any, blocks: Any, lowest: int, to: int) -> None:
    """Emit the features of a slot, and write them, whole cache lines, to a row of its block."""
    block, width, first = _block_of(blocks, slot, lowest)
    _emit_slots(s, s.pool, 1 << slot, number, now, vector)
    for word in range(0, width, LANES):
        put_line_past_caches(as_floats(block), to * width + word, vector, first + word)


@inlined
def _take_turn(s: State, slots: int, number: int, vector: Any, blocks: Any, lowest: int, to: int) -> None:
    """Read an arrival of the entity that was begun with, in some of its slots, to a row of the blocks if it has one; apply it."""
    scratch, now = s.scratch, s.arrival[A_TIME]
    hashed = _entity_hash(s.pool[R_KEY], _space_of(s.pool, 0))
    is_known = _nodes_of(s.pool, 0) >= MAX_SLOTS
    scratch[X_GIVEN], scratch[X_KNOWN] = slots, slots if is_known else 0
    scratch[X_ASKED] = 1 if to >= 0 else 0
    _filter(s, s.arrival[A_FACTS])
    left = slots
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        scratch[X_ENTITY + slot] = hashed
        _foresee_pairs(s, slot)
        scratch[X_BASE + slot] = 0
    _look_up_pairs(s)
    _advance_all(s, s.pool, now)
    left = slots if to >= 0 else 0
    while left != 0:
        _emit_to_block(s, lowest_bit(left), number, now, vector, blocks, lowest, to)
        left = _without_lowest(left)
    place = s.meta[M_NEXT]
    _write_row(s, place, number, now)
    left = slots
    while left != 0:
        _join(s, 0, lowest_bit(left), place, number, now)
        left = _without_lowest(left)
    _go_on(s, place)


# ---- what is called --------------------------------------------------------------------------------------------------


@jit
def _clock(s: State) -> int:
    """An arrival that is late counts at the time of the last one: time never runs back in the log."""
    return max(s.arrival[A_TIME], s.meta[M_CLOCK])


@jit
def _has_room(s: State) -> bool:
    """Whether one more arrival is sure to fit without growing."""
    return _has_room_for_entities(s) and _has_room_for_pairs(s)


@jit
def _has_room_for_entities(s: State) -> bool:
    return _has_place(s.directory, 1, s.meta[M_DIRECTORY_SHIFT], s.meta[M_LIVE], s.tables[_T_SLOTS])


@jit
def _has_room_for_pairs(s: State) -> bool:
    coming = s.tables[_T_SLOTS] * MAX_FAMILIES
    return _has_place(s.pairs, PAIR_WORDS, s.meta[M_PAIRS_SHIFT], s.meta[M_PAIRS], coming)


@jit
def read(handle: int) -> None:
    """Emit the vector of the operation in scratch as of now, before it arrives. Changes nothing but scratch and vector."""
    s = _state(handle, 0)
    _complete(s.scratch, X_ROW, s.arrival)
    now, number = _clock(s), s.meta[M_NUMBER]
    _prepare(s)
    _foresee_row(s, s.meta[M_NEXT])  # written to when it arrives
    _foresee_records(s, True)
    _locate(s)
    _foresee_leaving(s, s.pool, now)
    _look_up_pairs(s)
    _copy(s)
    _foresee_staying(s, s.scratch, now)
    _advance_all(s, s.scratch, now)
    _emit(s, s.scratch, number, now, as_floats(as_integers(handle)[8]))


@jit
def _copy(s: State) -> None:
    """Copy the records of the slots' entities behind the frames, one after another."""
    scratch, tables, pool = s.scratch, s.tables, s.pool
    copy = X_COPIES
    left = scratch[X_KNOWN]
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        entity, stride = scratch[X_ENTITY + slot], tables[_space_row(s, slot)]
        scratch[X_BASE + slot] = copy
        for word in range(stride):
            scratch[copy + word] = pool[entity + word]
        copy += stride


@jit
def _take_over(s: State) -> None:
    """The copies of records that were brought up to now for reading become the records."""
    scratch, tables, pool = s.scratch, s.tables, s.pool
    left = scratch[X_KNOWN]
    while left != 0:
        slot = lowest_bit(left)
        left = _without_lowest(left)
        entity, copy = scratch[X_ENTITY + slot], scratch[X_BASE + slot]
        for word in range(tables[_space_row(s, slot)]):
            pool[entity + word] = scratch[copy + word]
        scratch[X_BASE + slot] = entity


@jit
def apply(handle: int, was_read: bool) -> bool:
    """Let the arrival in scratch happen: append it and bring every accumulator it touches up to date.

    was_read: it was read a moment ago and nothing happened since, so that its entities and pairs need not be found again.
    False, and nothing happened, when there is no room.
    """
    s = _state(handle, 0)
    if not _has_room(s):
        return False
    if not was_read:
        _complete(s.scratch, X_ROW, s.arrival)
    now = _clock(s)
    if was_read:
        _take_over(s)
    else:
        _prepare(s)
        _foresee_records(s, False)
        _foresee_leaving(s, s.pool, now)
        _settle(s, now)
    _arrive(s, s.meta[M_NUMBER], now)
    return True


@jit
def _take(s: State, row: Any, i: int, words: int) -> None:
    """Take a row of a replay into a frame, and foresee where its entities are looked up; ask for the row of eight turns later."""
    for word in range(0, words, LANES):
        prefetch(row, (i + 8) * words + word)
    _complete(row, i * words, s.arrival)
    _prepare(s)


@njit(cache=True, error_model="numpy", nogil=True)
def replay(handle: int, rows: int, words: int, count: int, wanted: int, matrix: int, width: int, start: int) -> int:
    """Read and apply rows in order until the end or until there is no room; the index of the first row not applied.

    Addresses: rows (count, words) int64; wanted (count,) int64: the matrix row that takes the vector of an operation, or -1;
    matrix (, width) float64. Other threads run meanwhile: the next rows are encoded.
    """
    s, second, third, fourth, fifth = (
        _state(handle, 0),
        _state(handle, 1),
        _state(handle, 2),
        _state(handle, 3),
        _state(handle, 4),
    )
    row, wants = as_integers(rows), as_integers(wanted)
    for i in range(start - 4, count):  # four turns in which only what comes is foreseen
        if i >= start and not _has_room(s):
            return i
        if i + 4 < count:
            _take(fifth, row, i + 4, words)
        if start <= i + 3 < count:
            _foresee_records(fourth, wants[i + 3] >= 0)
        if start <= i + 2 < count:
            _foresee_leaving(third, third.pool, _clock(third))
        if start <= i + 1 < count:
            _foresee_staying(second, second.pool, _clock(second))
            _foresee_written(second, as_integers(matrix + 8 * width * wants[i + 1]), width if wants[i + 1] >= 0 else 0)
        if i >= start:
            number, now = s.meta[M_NUMBER], _clock(s)
            _settle(s, now)
            if wants[i] >= 0:
                _emit(s, s.pool, number, now, as_floats(matrix + 8 * width * wants[i]))
            _arrive(s, number, now)
        s, second, third, fourth, fifth = second, third, fourth, fifth, s
    return count


@njit(cache=True, error_model="numpy", nogil=True)
def complete(rows: int, words: int, count: int, clock: int, clocks: int, arrivals: int) -> int:
    """Make arrivals of rows in order, each with the time at which it counts; the last of these.

    Addresses: rows (count, words) int64; clocks (count,) int64: these times, or 0 when they follow from the rows and `clock`, that
    of the arrival before; arrivals (count, ARRIVAL_WORDS) int64.
    """
    row, given = as_integers(rows), as_integers(clocks)
    for i in range(count):
        arrival = as_integers(arrivals + 8 * ARRIVAL_WORDS * i)
        _complete(row, i * words, arrival)
        clock = given[i] if clocks != 0 else max(clock, arrival[A_TIME])
        arrival[A_TIME] = clock
    return clock


@njit(cache=True, error_model="numpy", nogil=True)
def turns_of(handle: int, arrivals: int, count: int, active: int, turns: int, wanted: int, blocks: int) -> int:
    """The turns of arrivals, in the order of arrival, of the one kind of entity that a plan is of; how many there are.

    Addresses: arrivals (count, ARRIVAL_WORDS) int64; active (count,) int64: bits of the slots that count, or 0 for all; turns,
    with room for two of each arrival and for TURNS_AHEAD more; wanted (count,) int64: the row of the blocks that takes an operation's
    vector, or -1; blocks: see `_block_of`, one for each slot of the kind. What is said there of a slot without entity is
    written at once.
    """
    state = _state(handle, 0)
    out, bits_of, wants, to = as_integers(turns), as_integers(active), as_integers(wanted), as_integers(blocks)
    kept, done = state.tables[_T_KEPT], 0
    lowest = lowest_bit(kept)
    for i in range(count):
        s = _looking_at(state, arrivals, i)
        before, before_bits = MISSING, 0
        counting = bits_of[i] if active != 0 else kept
        left = kept
        while left != 0:
            slot = lowest_bit(left)
            left = _without_lowest(left)
            key = _key(s, slot)
            if key == MISSING or (counting >> slot) & 1 == 0:
                if wants[i] >= 0:
                    block, width, first = _block_of(to, slot, lowest)
                    _emit_missing(s, slot, as_floats(block + 8 * (width * wants[i] - first)))
                continue
            bits = 1 << (slot - lowest)
            if key == before:  # a payment to oneself is one turn
                done -= 1
                bits |= before_bits
            out[done] = _turn(_entity_hash(key, s.tables[_slot_row(s, slot)]), i, bits)
            done += 1
            before, before_bits = key, bits
    return done


@njit(cache=True, error_model="numpy", nogil=True)
def replay_turns(
    handle: int, arrivals: int, numbers: int, wanted: int, turns: int, start: int, enough: int, count: int, blocks: int
) -> int:
    """Read and apply sorted turns from one on, entity by entity, until `enough` are done and an entity ends; the next one.

    Addresses as in `turns_of`, of a state that is used for nothing else; numbers (,) int64: of each arrival in the whole history,
    or 0 when its index is its number. Turns that are done become -1.
    """
    s, turn = _state(handle, 0), as_integers(turns)
    while start < min(enough, count):
        end, hashed = start + 1, turn[start] >> TURN_HASH
        while end < count and turn[end] >> TURN_HASH == hashed:
            end += 1
        while _replay_entity(s, handle, arrivals, numbers, wanted, turn, start, end, blocks):
            pass  # once more: another entity has the same bits of the hash
        start = end
    return start


@inlined
def _foresee_turn(arrivals: int, wants: Any, turn: Any, i: int) -> None:
    """Ask for the arrival of some turns later."""
    later = turn[i + TURNS_AHEAD]
    if later >= 0:
        index = _index_of(later)
        for word in range(0, ARRIVAL_WORDS, LANES):
            prefetch(as_integers(arrivals), ARRIVAL_WORDS * index + word)
        prefetch(wants, index)


@jit
def _replay_entity(
    state: State, handle: int, arrivals: int, numbers: int, wanted: int, turn: Any, start: int, end: int, blocks: int
) -> bool:
    """Replay the entity of the first turn that is not done; whether there are others'."""
    number_of, wants, lowest = as_integers(numbers), as_integers(wanted), lowest_bit(state.tables[_T_KEPT])
    vector, to = as_floats(as_integers(handle)[8]), as_integers(blocks)
    entity, has_others = MISSING, False
    for i in range(start, end):
        _foresee_turn(arrivals, wants, turn, i)
        if turn[i] < 0:
            continue
        index, slots = _index_of(turn[i]), (turn[i] & ((1 << TURN_BITS) - 1)) << lowest
        s = _looking_at(state, arrivals, index)
        slot = lowest_bit(slots)
        key = _key(s, slot)
        if entity == MISSING:
            entity = key
            _begin(s, key, slot, end - start)
        elif key != entity:
            has_others = True
            continue
        number = number_of[index] if numbers != 0 else index
        _forget_old(s, key, slot, end - start, number - s.tables[_T_RETAINED])
        _take_turn(s, slots, number, vector, to, lowest, wants[index])
        turn[i] = -1
    return has_others


@njit(cache=True, error_model="numpy", nogil=True)
def emit_own(handle: int, arrivals: int, count: int, evicted: int, wanted: int, matrix: int, width: int) -> None:
    """What operations say of themselves: into their rows of matrix (, width) float64.

    Addresses as in `turns_of`; evicted (count,) int64: the time of the arrival that was evicted last before each, or MISSING.
    """
    state, wants, times = _state(handle, 0), as_integers(wanted), as_integers(evicted)
    for i in range(count):
        if wants[i] >= 0:
            s = _looking_at(state, arrivals, i)
            _emit_own_ones(s, s.arrival[A_TIME], times[i], as_floats(matrix + 8 * width * wants[i]))


@njit(cache=True, error_model="numpy", nogil=True)
def lay(blocks: int, count: int, first: int, rows: int, matrix: int, width: int) -> None:
    """Lay rows of blocks side by side, from one row on, into a matrix (rows, width) float64.

    Addresses: blocks (count, LAID_WORDS) int64: of each the address of its values, words of a row, how many columns it has, and
    the address of their places in the matrix; matrix.
    """
    block, out = as_integers(blocks), as_floats(matrix)
    for i in range(rows):
        for at in range(0, LAID_WORDS * count, LAID_WORDS):
            values, place, begin = as_floats(block[at]), as_integers(block[at + 3]), block[at + 1] * (first + i)
            for column in range(block[at + 2]):
                out[i * width + place[column]] = values[begin + column]


@jit
def make_room(handle: int, entities: int, pairs: int) -> bool:
    """Double each hash table in which little room is left. False where its memory, so many places, is too short for that."""
    s = _state(handle, 0)
    meta = s.meta
    if not _has_room_for_entities(s):
        homes = 1 << (64 - meta[M_DIRECTORY_SHIFT])
        if 2 * homes + BEYOND > entities:
            return False
        meta[M_DIRECTORY_SHIFT] -= 1
        _double(s.directory, 1, homes, meta[M_DIRECTORY_SHIFT])
    if not _has_room_for_pairs(s):
        homes = 1 << (64 - meta[M_PAIRS_SHIFT])
        if 2 * homes + BEYOND > pairs:
            return False
        meta[M_PAIRS_SHIFT] -= 1
        _double(s.pairs, PAIR_WORDS, homes, meta[M_PAIRS_SHIFT])
    return True
