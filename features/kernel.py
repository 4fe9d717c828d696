"""The compiled step: one log of arrivals, cursors per window, integer accumulators, emit.

Everything is an int64 array, so that a state is a few buffers that are saved and loaded as they are.

log (rows, LOG_WORDS): one row an arrival, a ring of `capacity` rows; each row stands in up to eight chains, one per slot. A
node is row * 8 + slot; a chain links the nodes of one entity from oldest to newest.
pool: the entities' records one after another: header, a cursor per window (the oldest node still inside), accumulators.
pairs (slots, 3): (entity, family), value -> newest node and count over what is retained: novelty, habit, distinct counts.

Amortised O(1) per window and arrival: a cursor only moves forward. No capacity per entity. Reading copies the few records
that it needs and moves the copies, so reading is pure; batch moves the records themselves, by the same functions.
Integers throughout; the only floating-point operations are + - x / sqrt in `_emit` and what it calls, in a fixed order.
"""

import zlib
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.layout import MISSING, SLOTS, Column, Fact, Slot, Word, space_of
from features.plan import HEADER, Cell, Emit, Integers, Program

jit = njit(cache=True, error_model="numpy")
_space_of = njit(cache=False)(space_of)

# words of a log row: time, amount, facts, two words of marks (16 bits a slot), eight links, nine values
L_TIME, L_AMOUNT, L_FACTS, L_MARKS, L_LINK, L_VALUE = 0, 1, 2, 3, 5, 13
LOG_WORDS = L_VALUE + len(Column) - SLOTS
# words of a record's header
R_KEY, R_SPACE, R_HEAD, R_TAIL, R_NODES = range(HEADER)
# words of meta; from M_FREE on, one list of free records per space
M_APPENDED, M_LAST_TIME, M_EVICTED_TIME, M_ENTITIES, M_POOL, M_PAIRS, M_LIVE = range(7)
M_FREE = 7
META_WORDS = 16
NEVER = MISSING

_SENDING, _RECEIVING = int(Fact.SENDING), int(Fact.RECEIVING)
_C_COUNT, _C_SUM, _C_SQUARES, _C_DISTINCT, _C_LAST = map(int, Cell)
(_E_VALUE, _E_RATIO, _E_DEVIATION, _E_ZSCORE, _E_OVER_MEAN, _E_SINCE_LAST, _E_SINCE_FIRST, _E_IS_NEW, _E_SAME_SHARE,
 _E_SINCE_SAME, _E_AMOUNT, _E_COLUMN, _E_FACT, _E_TRUNCATED) = map(int, Emit)  # fmt: skip
_W_TIME, _W_OFFSET, _W_AMOUNT, _W_FACTS, _W_KIND = (
    int(word) for word in (Word.TIME, Word.ZONE_OFFSET, Word.AMOUNT, Word.FACTS, Word.KIND)
)
_W_KEY, _W_VALUE = int(Word.SENDER), int(Word.CATEGORY)
_LIKENESS, _RECIPIENT = int(Slot.LIKENESS), int(Slot.RECIPIENT)
_KIND, _HOUR, _WEEKDAY = int(Column.KIND), int(Column.HOUR), int(Column.WEEKDAY)
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_HALF = 20  # amounts are split at 20 bits: both halves of a bounded amount fit 21 bits


LAYOUT = zlib.crc32(
    repr([[*map(int, words), *words.__members__] for words in (Slot, Column, Fact, Word, Cell, Emit)]).encode()
)
"""Stands for every constant that the compiled code has taken from layout and plan."""


@jit
def compiled_layout() -> int:
    """LAYOUT as it was when the code was compiled: the compiler's cache does not notice changes in other files."""
    return LAYOUT


class State(NamedTuple):
    """The features' whole memory. entities: entity -> word of its record; directory: hash slots of entity keys, -1 empty."""

    meta: Integers
    log: Integers
    pool: Integers
    entities: Integers
    directory: Integers
    pairs: Integers


class Scratch(NamedTuple):
    """Room that a call reuses: copies of records, the slots' entities and bases, previous times per family."""

    records: Integers
    entities: Integers
    bases: Integers
    previous: Integers
    row: Integers


# ---- hashing ---------------------------------------------------------------------------------------------------------


@jit
def _mixed(x: int) -> int:
    """splitmix64's finaliser: spreads keys over hash slots."""
    z = np.uint64(x) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return int(np.int64(z ^ (z >> np.uint64(31))))


@jit
def _lies_between(home: int, gap: int, place: int) -> bool:
    """Whether `home` lies cyclically in (gap, place]: then the entry at `place` must not move into the gap."""
    if gap <= place:
        return gap < home <= place
    return home > gap or home <= place


# ---- entities --------------------------------------------------------------------------------------------------------


@jit
def _entity_home(key: int, space: int, mask: int) -> int:
    return _mixed(key ^ (space << 56)) & mask


@jit
def _find_entity(pool: Integers, entities: Integers, index: Integers, key: int, space: int) -> int:
    """The entity of a key, or -1."""
    if key == MISSING:
        return -1
    mask = index.size - 1
    place = _entity_home(key, space, mask)
    while True:
        entity = index[place]
        if entity < 0:
            return -1
        base = entities[entity]
        if pool[base + R_KEY] == key and pool[base + R_SPACE] == space:
            return entity
        place = (place + 1) & mask


@jit
def _index_entity(pool: Integers, entities: Integers, index: Integers, entity: int) -> None:
    base = entities[entity]
    mask = index.size - 1
    place = _entity_home(pool[base + R_KEY], pool[base + R_SPACE], mask)
    while index[place] >= 0:
        place = (place + 1) & mask
    index[place] = entity


@jit
def _new_entity(
    spaces: Integers,
    groups: Integers,
    meta: Integers,
    pool: Integers,
    entities: Integers,
    index: Integers,
    key: int,
    space: int,
) -> int:
    """A record for a key, from the space's free list or from the end of the pool; room is ensured by the caller."""
    stride = spaces[space, 0]
    entity = meta[M_FREE + space]
    if entity >= 0:
        base = entities[entity]
        meta[M_FREE + space] = pool[base + R_HEAD]
    else:
        entity = meta[M_ENTITIES]
        base = meta[M_POOL]
        entities[entity] = base
        meta[M_ENTITIES] += 1
        meta[M_POOL] += stride
    pool[base : base + stride] = 0
    pool[base + R_KEY] = key
    pool[base + R_SPACE] = space
    pool[base + R_HEAD] = -1
    pool[base + R_TAIL] = -1
    for group in range(spaces[space, 1], spaces[space, 2]):
        pool[base + groups[group, 1]] = -1
    _index_entity(pool, entities, index, entity)
    meta[M_LIVE] += 1
    return entity


@jit
def _forget_entity(meta: Integers, pool: Integers, entities: Integers, index: Integers, entity: int) -> None:
    """An entity of which nothing is retained has no history: its key leaves the index, its record is free."""
    base = entities[entity]
    key, space = pool[base + R_KEY], pool[base + R_SPACE]
    mask = index.size - 1
    place = _entity_home(key, space, mask)
    while index[place] != entity:
        place = (place + 1) & mask
    gap = place
    while True:
        place = (place + 1) & mask
        other = index[place]
        if other < 0:
            break
        other_base = entities[other]
        home = _entity_home(pool[other_base + R_KEY], pool[other_base + R_SPACE], mask)
        if not _lies_between(home, gap, place):
            index[gap] = other
            gap = place
    index[gap] = -1
    pool[base + R_HEAD] = meta[M_FREE + space]
    meta[M_FREE + space] = entity
    meta[M_LIVE] -= 1


# ---- pairs of an entity's family and a value -------------------------------------------------------------------------


@jit
def _pair_home(tag: int, value: int, mask: int) -> int:
    return _mixed(_mixed(tag) ^ value) & mask


@jit
def _find_pair(pairs: Integers, tag: int, value: int) -> int:
    """The hash slot of a pair, or of the empty slot where it would stand."""
    mask = pairs.shape[0] - 1
    place = _pair_home(tag, value, mask)
    while pairs[place, 0] >= 0 and not (pairs[place, 0] == tag and pairs[place, 1] == value):
        place = (place + 1) & mask
    return place


@jit
def _forget_pair(pairs: Integers, gap: int) -> None:
    mask = pairs.shape[0] - 1
    place = gap
    while True:
        place = (place + 1) & mask
        if pairs[place, 0] < 0:
            break
        if not _lies_between(_pair_home(pairs[place, 0], pairs[place, 1], mask), gap, place):
            pairs[gap, 0], pairs[gap, 1], pairs[gap, 2] = pairs[place, 0], pairs[place, 1], pairs[place, 2]
            gap = place
    pairs[gap, 0] = -1


# ---- windows ---------------------------------------------------------------------------------------------------------


@jit
def _passes(facts: int, needs: int, excludes: int) -> bool:
    return (facts & needs) == needs and (facts & excludes) == 0


@jit
def _facts_at(log: Integers, node: int) -> int:
    """The facts of a node's row, with the role that its slot plays in it."""
    return log[node >> 3, L_FACTS] | (_RECEIVING if (node & 7) == _RECIPIENT else _SENDING)


@jit
def _is_marked(log: Integers, node: int, bit: int) -> bool:
    """Whether the node is the newest of its (entity, value) pair in the family of the bit."""
    slot = node & 7
    return (log[node >> 3, L_MARKS + (slot >> 2)] >> (((slot & 3) << 4) + bit)) & 1 == 1


@jit
def _set_mark(log: Integers, node: int, bit: int, marked: bool) -> None:
    slot = node & 7
    mask = np.int64(1) << np.int64(((slot & 3) << 4) + bit)
    if marked:
        log[node >> 3, L_MARKS + (slot >> 2)] |= mask
    else:
        log[node >> 3, L_MARKS + (slot >> 2)] &= ~mask


@jit
def _next_of(log: Integers, node: int) -> int:
    return (log[node >> 3, L_LINK + (node & 7)] & 0xFFFFFFFF) - 1


@jit
def _entity_of(log: Integers, node: int) -> int:
    return (log[node >> 3, L_LINK + (node & 7)] >> 32) - 1


@jit
def add_square(records: Integers, word: int, amount: int, sign: int) -> None:
    """Add (sign 1) or take away (-1) amount squared, in three words of 64 bits that never overflow.

    amount = high * 2^20 + low; the words hold the sums of high * high, high * low and low * low.
    """
    high, low = amount >> _HALF, amount & ((1 << _HALF) - 1)
    records[word] += sign * high * high
    records[word + 1] += sign * high * low
    records[word + 2] += sign * low * low


@jit
def _leave(groups: Integers, cells: Integers, log: Integers, records: Integers, base: int, group: int, node: int) -> None:
    """Take a node that leaves a window out of the window's accumulators."""
    facts = _facts_at(log, node)
    amount = log[node >> 3, L_AMOUNT]
    for c in range(groups[group, 2], groups[group, 3]):
        if not _passes(facts, cells[c, 1], cells[c, 2]):
            continue
        kind, word = cells[c, 0], base + cells[c, 3]
        if kind == _C_COUNT:
            records[word] -= 1
        elif kind == _C_SUM:
            records[word] -= amount
        elif kind == _C_SQUARES:
            add_square(records, word, amount, -1)
        elif kind == _C_DISTINCT and _is_marked(log, node, cells[c, 4]):
            records[word] -= 1


@jit
def _advance(
    spaces: Integers, groups: Integers, cells: Integers, log: Integers, records: Integers, base: int, space: int, now: int
) -> None:
    """Move every cursor of a record to the oldest node inside (now - window, now]."""
    for group in range(spaces[space, 1], spaces[space, 2]):
        edge = now - groups[group, 0]
        cursor = base + groups[group, 1]
        node = records[cursor]
        while node >= 0 and log[node >> 3, L_TIME] <= edge:
            _leave(groups, cells, log, records, base, group, node)
            node = _next_of(log, node)
        records[cursor] = node


@jit
def _enter(
    spaces: Integers,
    groups: Integers,
    cells: Integers,
    log: Integers,
    records: Integers,
    base: int,
    space: int,
    node: int,
    previous: Integers,
) -> None:
    """Add a new node to every window's accumulators; previous: time of the pair's last node per family bit."""
    facts = _facts_at(log, node)
    time, amount = log[node >> 3, L_TIME], log[node >> 3, L_AMOUNT]
    for group in range(spaces[space, 1], spaces[space, 2]):
        cursor = base + groups[group, 1]
        if records[cursor] < 0:
            records[cursor] = node
        edge = time - groups[group, 0]
        for c in range(groups[group, 2], groups[group, 3]):
            if not _passes(facts, cells[c, 1], cells[c, 2]):
                continue
            kind, word = cells[c, 0], base + cells[c, 3]
            if kind == _C_COUNT:
                records[word] += 1
            elif kind == _C_SUM:
                records[word] += amount
            elif kind == _C_SQUARES:
                add_square(records, word, amount, 1)
            elif kind == _C_LAST:
                records[word] = time
            elif kind == _C_DISTINCT and previous[cells[c, 4]] <= edge:
                records[word] += 1


# ---- arrival ---------------------------------------------------------------------------------------------------------


@jit
def _value_of(log: Integers, row: int, column: int) -> int:
    """The value of a column in a log row, MISSING if it was not given."""
    if column < SLOTS:
        entity = (log[row, L_LINK + column] >> 32) - 1
        return entity if entity >= 0 else MISSING
    return log[row, L_VALUE + column - SLOTS]


@jit
def _follow(
    spaces: Integers,
    families: Integers,
    meta: Integers,
    log: Integers,
    pairs: Integers,
    node: int,
    entity: int,
    space: int,
    previous: Integers,
) -> None:
    """Make the node the newest of its pairs, and note when each pair was last seen before."""
    facts = _facts_at(log, node)
    for f in range(spaces[space, 3], spaces[space, 4]):
        bit = families[f, 3]
        previous[bit] = 2**63 - 1  # no value: not counted as distinct
        if not _passes(facts, families[f, 1], families[f, 2]):
            continue
        value = _value_of(log, node >> 3, families[f, 0])
        if value == MISSING:
            continue
        tag = (entity << 4) | bit
        place = _find_pair(pairs, tag, value)
        if pairs[place, 0] < 0:
            previous[bit] = NEVER
            pairs[place, 0], pairs[place, 1], pairs[place, 2] = tag, value, 0
            meta[M_PAIRS] += 1
        else:
            last = pairs[place, 2] >> 32
            previous[bit] = log[last >> 3, L_TIME]
            _set_mark(log, last, bit, False)
        pairs[place, 2] = (node << 32) | ((pairs[place, 2] & 0xFFFFFFFF) + 1)
        _set_mark(log, node, bit, True)


@jit
def _unfollow(
    spaces: Integers, families: Integers, meta: Integers, log: Integers, pairs: Integers, node: int, entity: int, space: int
) -> None:
    """Take an evicted node out of its pairs; a pair of which nothing is retained is forgotten."""
    facts = _facts_at(log, node)
    for f in range(spaces[space, 3], spaces[space, 4]):
        if not _passes(facts, families[f, 1], families[f, 2]):
            continue
        value = _value_of(log, node >> 3, families[f, 0])
        if value == MISSING:
            continue
        place = _find_pair(pairs, (entity << 4) | families[f, 3], value)
        pairs[place, 2] -= 1
        if pairs[place, 2] & 0xFFFFFFFF == 0:
            _forget_pair(pairs, place)
            meta[M_PAIRS] -= 1


@jit
def _evict(program: Program, state: State, row: int) -> None:
    """Take the oldest arrival out of every window, chain and pair that still holds it."""
    spaces, groups, cells, families, _, _ = program
    meta, log, pool, entities, index, pairs = state
    for slot in range(SLOTS):
        node = row * SLOTS + slot
        entity = _entity_of(log, node)
        if entity < 0:
            continue
        base = entities[entity]
        space = pool[base + R_SPACE]
        for group in range(spaces[space, 1], spaces[space, 2]):
            cursor = base + groups[group, 1]
            if pool[cursor] == node:
                _leave(groups, cells, log, pool, base, group, node)
                pool[cursor] = _next_of(log, node)
        _unfollow(spaces, families, meta, log, pairs, node, entity, space)
        pool[base + R_HEAD] = _next_of(log, node)
        pool[base + R_NODES] -= 1
    for slot in range(SLOTS):
        # only now: another slot's pair may have named this entity as its value
        entity = _entity_of(log, row * SLOTS + slot)
        if entity >= 0 and pool[entities[entity] + R_NODES] == 0:
            key, space = pool[entities[entity] + R_KEY], pool[entities[entity] + R_SPACE]
            if _find_entity(pool, entities, index, key, space) == entity:  # not yet by an earlier slot
                _forget_entity(meta, pool, entities, index, entity)
    meta[M_EVICTED_TIME] = log[row, L_TIME]


@jit
def _key_of(row: Integers, slot: int) -> int:
    """The entity key of a slot; LIKENESS is recipient, kind and amount band (powers of two) mixed into one."""
    if slot != _LIKENESS:
        return row[_W_KEY + slot]
    if row[_W_KEY + _RECIPIENT] == MISSING:
        return MISSING
    band, amount = 0, row[_W_AMOUNT]
    while amount > 0:
        amount >>= 1
        band += 1
    return _mixed(_mixed(row[_W_KEY + _RECIPIENT]) ^ ((row[_W_KIND] << 8) | band))


@jit
def _own_value(row: Integers, column: int) -> int:
    """The value of a column from LIKENESS upwards in an input row; hour and weekday in the operator's zone."""
    if column == _KIND:
        return row[_W_KIND]
    if column == _HOUR:
        return ((row[_W_TIME] + row[_W_OFFSET]) // _HOUR_MS) % 24
    if column == _WEEKDAY:
        return ((row[_W_TIME] + row[_W_OFFSET]) // _DAY_MS + 3) % 7
    return row[_W_VALUE + column - SLOTS]


@jit
def _log_row(log: Integers, place: int, row: Integers, now: int) -> None:
    """Write an arrival's facts and values; its links follow."""
    log[place, L_TIME], log[place, L_AMOUNT], log[place, L_FACTS] = now, row[_W_AMOUNT], row[_W_FACTS]
    log[place, L_MARKS] = log[place, L_MARKS + 1] = 0
    for column in range(SLOTS, SLOTS + LOG_WORDS - L_VALUE):
        log[place, L_VALUE + column - SLOTS] = _own_value(row, column)


@jit
def apply(program: Program, state: State, row: Integers, scratch: Scratch) -> None:
    """Append one arrival and bring every accumulator it touches up to date. Room is ensured by the caller.

    An arrival that is late counts at the time of the last one: time never runs back in the log.
    """
    spaces, groups, cells, families, _, limits = program
    meta, log, pool, entities, index, pairs = state
    now = max(row[_W_TIME], meta[M_LAST_TIME])
    place = meta[M_APPENDED] % limits[0]
    if meta[M_APPENDED] >= limits[0]:
        _evict(program, state, place)
    _log_row(log, place, row, now)
    for slot in range(SLOTS):
        key, space = _key_of(row, slot), _space_of(slot)
        entity = _find_entity(pool, entities, index, key, space)
        if entity < 0 and key != MISSING:
            entity = _new_entity(spaces, groups, meta, pool, entities, index, key, space)
        log[place, L_LINK + slot] = (entity + 1) << 32
    for slot in range(SLOTS):
        node = place * SLOTS + slot
        entity = _entity_of(log, node)
        if entity >= 0:
            base, space = entities[entity], _space_of(slot)
            _advance(spaces, groups, cells, log, pool, base, space, now)
            _chain(log, pool, base, node)
            _follow(spaces, families, meta, log, pairs, node, entity, space, scratch.previous)
            _enter(spaces, groups, cells, log, pool, base, space, node, scratch.previous)
    meta[M_APPENDED] += 1
    meta[M_LAST_TIME] = now


@jit
def _chain(log: Integers, pool: Integers, base: int, node: int) -> None:
    """Append a node to the chain of an entity."""
    tail = pool[base + R_TAIL]
    if pool[base + R_NODES] == 0:
        pool[base + R_HEAD] = node
    else:
        log[tail >> 3, L_LINK + (tail & 7)] |= node + 1
    pool[base + R_TAIL] = node
    pool[base + R_NODES] += 1


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
def spread(records: Integers, count: int, total: int, squares: int) -> float:
    """count * sum of squares - sum * sum, exact in 128 bits, then rounded: float(high) * 2^64 + float(low)."""
    n: Any = np.uint64(records[count])
    s: Any = np.uint64(records[total])
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
    square_upper, square_lower = _product(s, s)
    borrow = np.uint64(1) if lower < square_lower else np.uint64(0)
    return np.float64(upper - square_upper - borrow) * 18446744073709551616.0 + np.float64(lower - square_lower)


@jit
def _emit_pair(
    log: Integers, pairs: Integers, emit: int, value: int, is_entity: bool, tag: int, now: int, total: int
) -> float:
    """What the entity's past says about the operation's own value of a column."""
    if value == MISSING:
        return np.nan
    place = 0
    known = False
    if not (is_entity and value < 0):
        place = _find_pair(pairs, tag, value)
        known = pairs[place, 0] >= 0
    if emit == _E_IS_NEW:
        return 0.0 if known else 1.0
    if emit == _E_SINCE_SAME:
        return (now - log[(pairs[place, 2] >> 32) >> 3, L_TIME]) / 1000.0 if known else np.nan
    if total == 0:
        return np.nan
    return np.float64(pairs[place, 2] & 0xFFFFFFFF) / np.float64(total) if known else 0.0


@jit
def _emit_amounts(records: Integers, emit: int, amount: int, base: int, count: int, total: int, squares: int) -> float:
    """Features of the amounts in a window of at least one arrival; count, total, squares: words of the accumulators."""
    n, s = records[base + count], records[base + total]
    if emit == _E_OVER_MEAN:
        return np.float64(amount * n) / np.float64(s) if s != 0 else np.nan
    deviation = np.sqrt(spread(records, base + count, base + total, base + squares))
    if emit == _E_DEVIATION:
        return deviation / np.float64(n)
    return np.float64(amount * n - s) / deviation if deviation != 0.0 else np.nan


@jit
def _emit_own(emit: int, of: int, row: Integers, evicted: int, edge: int) -> float:
    """Features of the operation itself, and whether the longest window has lost arrivals."""
    if emit == _E_AMOUNT:
        return np.float64(row[_W_AMOUNT])
    if emit == _E_COLUMN:
        return np.float64(_own_value(row, of))
    if emit == _E_FACT:
        return 1.0 if row[_W_FACTS] & of != 0 else 0.0
    return 1.0 if evicted > edge else 0.0


@jit
def _emit(emits: Integers, limits: Integers, meta: Integers, log: Integers, pairs: Integers, records: Integers, slots: Integers,
          bases: Integers, row: Integers, now: int, vector: NDArray[np.float64]) -> None:  # fmt: skip
    """Every feature of an operation; NaN is missing. bases: where each slot's record begins in `records`, or -1."""
    for f in range(emits.shape[0]):
        emit, slot, a, b, c = emits[f, 0], emits[f, 1], emits[f, 2], emits[f, 3], emits[f, 4]
        if emit >= _E_AMOUNT:
            vector[f] = _emit_own(emit, slot, row, meta[M_EVICTED_TIME], now - limits[1])
            continue
        vector[f] = np.nan
        base = bases[slot]
        if base < 0:
            continue
        if emit == _E_VALUE:
            vector[f] = np.float64(records[base + a])
        elif emit == _E_RATIO:
            other = bases[b]
            if other >= 0 and records[other + c] != 0:
                vector[f] = np.float64(records[base + a]) / np.float64(records[other + c])
        elif emit == _E_SINCE_FIRST:
            vector[f] = (now - log[records[base + R_HEAD] >> 3, L_TIME]) / 1000.0
        elif emit == _E_IS_NEW or emit == _E_SINCE_SAME or emit == _E_SAME_SHARE:
            value = _own_value(row, a) if a >= SLOTS else (slots[a] if _key_of(row, a) != MISSING else MISSING)
            total = records[base + c] if emit == _E_SAME_SHARE else 0
            vector[f] = _emit_pair(log, pairs, emit, value, a < SLOTS, (slots[slot] << 4) | b, now, total)
        elif records[base + a] == 0:
            continue
        elif emit == _E_SINCE_LAST:
            vector[f] = (now - records[base + b]) / 1000.0
        else:
            vector[f] = _emit_amounts(records, emit, row[_W_AMOUNT], base, a, b, c)


@jit
def read(program: Program, state: State, row: Integers, scratch: Scratch, vector: NDArray[np.float64]) -> None:
    """Emit the vector of an operation as of now, before it arrives. Changes nothing but `scratch` and `vector`."""
    spaces, groups, cells, _, emits, limits = program
    meta, log, pool, entities, index, pairs = state
    copies, slots, bases, _, _ = scratch
    now = max(row[_W_TIME], meta[M_LAST_TIME])
    for slot in range(SLOTS):
        space = _space_of(slot)
        slots[slot] = entity = _find_entity(pool, entities, index, _key_of(row, slot), space)
        bases[slot] = -1
        if entity >= 0:
            bases[slot] = copy = slot * limits[2]
            for word in range(spaces[space, 0]):
                copies[copy + word] = pool[entities[entity] + word]
            _advance(spaces, groups, cells, log, copies, copy, space, now)
    _emit(emits, limits, meta, log, pairs, copies, slots, bases, row, now, vector)


@jit
def _read_in_place(program: Program, state: State, row: Integers, scratch: Scratch, vector: NDArray[np.float64]) -> None:
    """As `read`, but the records' own cursors move: for an operation whose arrival follows at once."""
    spaces, groups, cells, _, emits, limits = program
    meta, log, pool, entities, index, pairs = state
    _, slots, bases, _, _ = scratch
    now = max(row[_W_TIME], meta[M_LAST_TIME])
    for slot in range(SLOTS):
        space = _space_of(slot)
        slots[slot] = entity = _find_entity(pool, entities, index, _key_of(row, slot), space)
        bases[slot] = -1
        if entity >= 0:
            bases[slot] = entities[entity]
            _advance(spaces, groups, cells, log, pool, entities[entity], space, now)
    _emit(emits, limits, meta, log, pairs, pool, slots, bases, row, now, vector)


@jit
def has_room(program: Program, state: State) -> bool:
    """Whether one more arrival is sure to fit without growing."""
    meta = state.meta
    appended, capacity = meta[M_APPENDED], program.limits[0]
    return (
        (appended >= capacity or appended < state.log.shape[0])
        and meta[M_ENTITIES] + SLOTS <= state.entities.size
        and 2 * (meta[M_LIVE] + SLOTS) <= state.directory.size
        and meta[M_POOL] + SLOTS * program.limits[2] <= state.pool.size
        and 5 * (meta[M_PAIRS] + SLOTS * 16) <= 3 * state.pairs.shape[0]
    )


@jit
def replay(program: Program, state: State, rows: Integers, scratch: Scratch, matrix: NDArray[np.float64],
           wanted: NDArray[np.int64], start: int) -> int:  # fmt: skip
    """Read and apply rows in order until the end or until there is no room; the index of the first row not applied.

    rows (n, WORDS); wanted (n,): the matrix row that takes the vector of an operation, or -1 for arrivals without one.
    """
    for i in range(start, rows.shape[0]):
        if not has_room(program, state):
            return i
        if wanted[i] >= 0:
            _read_in_place(program, state, rows[i], scratch, matrix[wanted[i]])
        apply(program, state, rows[i], scratch)
    return rows.shape[0]


@jit
def reindex_entities(state: State) -> None:
    """Fill the empty directory of a grown state with every live entity."""
    meta, _, pool, entities, directory, _ = state
    for entity in range(meta[M_ENTITIES]):
        if pool[entities[entity] + R_NODES] > 0:
            _index_entity(pool, entities, directory, entity)


@jit
def reindex_pairs(pairs: Integers, old_pairs: Integers) -> None:
    """Fill an empty, longer table with every pair of the old one."""
    for i in range(old_pairs.shape[0]):
        if old_pairs[i, 0] >= 0:
            place = _find_pair(pairs, old_pairs[i, 0], old_pairs[i, 1])
            for word in range(3):
                pairs[place, word] = old_pairs[i, word]
