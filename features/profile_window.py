"""Compiled: the window of a profile slides over each entity's operations, day by day, and is written where it is asked for.

Every field of a profile slides on its own: what entered since the last asked day is added, what left is taken away, in integers.
Distinct values and quantiles are exact: counts per value of the entity, and a Fenwick tree over the ranks of its amounts.
"""

from enum import IntEnum

import numpy as np
from numba import njit

from domain.money import MAX_REFERENCE_TYIYN
from features.layout import MISSING
from features.profile_kernel import Integers

jit = njit(cache=True, nogil=True)
DAY, KIND, AMOUNT, HOUR, WEEKDAY, FIRST_VALUE = range(6)
"""Columns of an operation: its local day, kind, amount, hour, weekday, then the words whose usual values are kept."""
_AMOUNT_BITS = 41
assert MAX_REFERENCE_TYIYN < 1 << _AMOUNT_BITS, "kind and amount are sorted as one integer"
_RING = 128  # more days than a profile covers


class Fill(IntEnum):
    """How a field is filled; each row of the table of fields is (Fill, first word, operands)."""

    ACTIVE_DAYS = 0
    OPERATIONS = 1
    HISTOGRAM = 2
    """column"""
    AMOUNTS = 3
    """0: all kinds together, else how many kinds"""
    USUAL = 4
    """column, values kept"""


_ACTIVE_DAYS, _OPERATIONS, _HISTOGRAM, _AMOUNTS = map(int, (Fill.ACTIVE_DAYS, Fill.OPERATIONS, Fill.HISTOGRAM, Fill.AMOUNTS))


@jit
def fill(
    fields: Integers,
    percents: Integers,
    entities: Integers,
    order: Integers,
    columns: Integers,
    asked: Integers,
    out: Integers,
) -> None:
    """Write the profile of each asked (entity, day) to out (asked, width) int64, which comes as zeros.

    fields (f, 5): Fill, first word, words, operands; entities (e, 4): from-to in the operations, from-to in `asked`;
    columns (c, n): the operations' values, by entity, then day; order (n,): the same operations by entity, then by the day from
    which they count; asked (m, 2), by entity, then day: how many of `order` have entered, how many operations have left.
    """
    for e in range(len(entities)):
        first, last, head, tail = entities[e, 0], entities[e, 1], entities[e, 2], entities[e, 3]
        when = asked[head:tail]
        for f in range(len(fields)):
            how, word, operand = fields[f, 0], fields[f, 1], fields[f, 3]
            part = out[head:tail, word : word + fields[f, 2]]
            if how == _ACTIVE_DAYS:
                _active_days(columns[DAY], first, order, when, part[:, 0])
            elif how == _OPERATIONS:
                part[:, 0] = when[:, 0] - when[:, 1]
            elif how == _HISTOGRAM:
                _histogram(columns[operand], first, order, when, part)
            elif how == _AMOUNTS:
                _quantiles(columns, first, last, operand, percents, order, when, part)
            else:
                _usual(columns[operand], first, last, fields[f, 4], order, when, part)


@jit
def _active_days(days: Integers, first: int, order: Integers, asked: Integers, out: Integers) -> None:
    counts = np.zeros(_RING, np.int64)
    entered = left = first
    active = 0
    for q in range(len(asked)):
        while entered < asked[q, 0]:
            slot = days[order[entered]] % _RING
            active += counts[slot] == 0
            counts[slot] += 1
            entered += 1
        while left < asked[q, 1]:
            slot = days[left] % _RING
            counts[slot] -= 1
            active -= counts[slot] == 0
            left += 1
        out[q] = active


@jit
def _histogram(bins: Integers, first: int, order: Integers, asked: Integers, out: Integers) -> None:
    entered = left = first
    for q in range(len(asked)):
        if q:
            out[q] += out[q - 1]
        while entered < asked[q, 0]:
            out[q, bins[order[entered]]] += 1
            entered += 1
        while left < asked[q, 1]:
            out[q, bins[left]] -= 1
            left += 1


@jit
def _usual(values: Integers, first: int, last: int, keep: int, order: Integers, asked: Integers, out: Integers) -> None:
    known, ids = _numbered(values[first:last])
    counts = np.zeros(len(known), np.int64)
    given = different = 0
    entered = left = first
    for q in range(len(asked)):
        while entered < asked[q, 0]:
            place = ids[order[entered] - first]
            if known[place] != MISSING:
                different += counts[place] == 0
                counts[place] += 1
                given += 1
            entered += 1
        while left < asked[q, 1]:
            place = ids[left - first]
            if known[place] != MISSING:
                counts[place] -= 1
                different -= counts[place] == 0
                given -= 1
            left += 1
        out[q, 0] = given
        out[q, 1] = different
        _most_frequent(known, counts, out[q, 2 : 2 + keep], out[q, 2 + keep :])


@jit
def _numbered(values: Integers) -> tuple[Integers, Integers]:
    """The different values, ascending, and for each value its place among them."""
    by_value = np.argsort(values)
    ids = np.zeros(len(values), np.int64)
    known = np.zeros(len(values), np.int64)
    count = 0
    for rank in range(len(values)):
        value = values[by_value[rank]]
        if count == 0 or known[count - 1] != value:
            known[count] = value
            count += 1
        ids[by_value[rank]] = count - 1
    return known[:count], ids


@jit
def _most_frequent(known: Integers, counts: Integers, keys: Integers, most: Integers) -> None:
    """The keys with the highest counts, highest first, ties by the smaller key; what is left over is MISSING and 0."""
    keys[:] = MISSING
    most[:] = 0
    for place in range(len(known)):
        at = len(keys)
        while at > 0 and counts[place] > most[at - 1]:
            at -= 1
        if at < len(keys):
            keys[at + 1 :] = keys[at:-1].copy()
            most[at + 1 :] = most[at:-1].copy()
            keys[at] = known[place]
            most[at] = counts[place]


@jit
def _quantiles(
    columns: Integers, first: int, last: int, kinds: int, percents: Integers, order: Integers, asked: Integers, out: Integers
) -> None:
    amounts = columns[AMOUNT, first:last]
    groups = columns[KIND, first:last] if kinds else np.zeros(last - first, np.int64)
    by_rank = np.argsort(groups << _AMOUNT_BITS | amounts)
    ranks = np.zeros(len(by_rank), np.int64)
    ranks[by_rank] = np.arange(len(by_rank))
    tree = np.zeros(len(by_rank) + 1, np.int64)
    counts = np.zeros(max(kinds, 1), np.int64)
    entered = left = first
    for q in range(len(asked)):
        while entered < asked[q, 0]:
            place = order[entered] - first
            _add(tree, ranks[place], 1)
            counts[groups[place]] += 1
            entered += 1
        while left < asked[q, 1]:
            _add(tree, ranks[left - first], -1)
            counts[groups[left - first]] -= 1
            left += 1
        before = 0
        for group in range(len(counts)):
            for p in range(len(percents)):
                nth = (percents[p] * counts[group] + 99) // 100
                value = amounts[by_rank[_nth(tree, before + nth)]] if nth else MISSING
                out[q, group * len(percents) + p] = value
            before += counts[group]


@jit
def _add(tree: Integers, rank: int, change: int) -> None:
    place = rank + 1
    while place < len(tree):
        tree[place] += change
        place += place & -place


@jit
def _nth(tree: Integers, nth: int) -> int:
    """The rank of the nth, from 1, that is counted."""
    step = 1
    while 2 * step < len(tree):
        step *= 2
    place = 0
    while step:
        if place + step < len(tree) and tree[place + step] < nth:
            place += step
            nth -= tree[place]
        step //= 2
    return place
