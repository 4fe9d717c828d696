"""The naive truth about features: plain loops over everything that arrived, straight from the declarations.

It shares no code with the kernel: no cursors, no accumulators, no hash tables; Python's own integers.
"""

import math
from collections.abc import Sequence

from features import language as say
from features.layout import MISSING, SLOTS, Column, Fact, Slot, Word

NAN = math.nan
ACCOUNTS = {Slot.SENDER, Slot.RECIPIENT}  # one entity whether it sends or receives
Row = Sequence[int]


class Oracle:
    """Feeds arrivals one after another; `vector` looks back over all that is retained."""

    def __init__(self, declarations: Sequence[say.Declaration], retained: int) -> None:
        self.declarations, self.retained = declarations, retained
        self.arrived: list[tuple[int, Row]] = []  # (time as counted, row)
        self.longest = max((d.over for d in _features(declarations) if d.over != say.RETAINED), default=0)

    def now(self, row: Row) -> int:
        return max([row[Word.TIME], *(time for time, _ in self.arrived[-1:])])

    def apply(self, row: Row) -> None:
        self.arrived.append((self.now(row), list(row)))

    def vector(self, row: Row) -> list[float]:
        now = self.now(row)
        kept = self.arrived[-self.retained :]
        return [self._value(d, row, now, kept) for d in self.declarations]

    def _value(self, declaration: say.Declaration, row: Row, now: int, kept: list[tuple[int, Row]]) -> float:
        if isinstance(declaration, say.Own):
            return self._own(declaration.of, row, now)
        if isinstance(declaration, say.Ratio):
            above = self._value(declaration.numerator, row, now, kept)
            below = self._value(declaration.denominator, row, now, kept)
            return NAN if math.isnan(above) or math.isnan(below) or below == 0 else above / below
        past = _past(kept, declaration.by, entity(row, declaration.by))
        return NAN if not past else _behaviour(declaration, row, now, past)

    def _own(self, of: str, row: Row, now: int) -> float:
        if of == "amount":
            return float(row[Word.AMOUNT])
        if of == "window_truncated":
            lost = self.arrived[: -self.retained]
            return float(bool(lost) and lost[-1][0] > now - self.longest)
        if of in ("hour", "weekday", "kind"):
            return float(value(row, Column[of.upper()]))
        return float(bool(row[Word.FACTS] & Fact[of.upper()]))


def _features(declarations: Sequence[say.Declaration]) -> list[say.Feature]:
    found = [d for d in declarations if isinstance(d, say.Feature)]
    return found + [part for d in declarations if isinstance(d, say.Ratio) for part in (d.numerator, d.denominator)]


def entity(row: Row, slot: Slot) -> object:
    """Whose row it is in a slot, or None."""
    if slot is not Slot.LIKENESS:
        key = row[Word.SENDER + slot]
        return None if key == MISSING else key
    if row[Word.RECIPIENT] == MISSING:
        return None
    return row[Word.RECIPIENT], row[Word.KIND], row[Word.AMOUNT].bit_length()


def value(row: Row, column: Column) -> object:
    if column < SLOTS:
        return entity(row, Slot(column))
    local = row[Word.TIME] + row[Word.ZONE_OFFSET]
    if column is Column.HOUR:
        return local // 3_600_000 % 24
    if column is Column.WEEKDAY:
        return (local // 86_400_000 + 3) % 7
    if column is Column.KIND:
        return row[Word.KIND]
    code = row[Word[column.name]]
    return None if code == MISSING else code


def _past(kept: list[tuple[int, Row]], by: Slot, who: object) -> list[tuple[int, Row, Fact]]:
    """Every retained arrival of an entity with its role; an account that pays itself is there twice."""
    if who is None:
        return []
    past = []
    for time, row in kept:
        for slot in Slot:
            if (slot is by or {slot, by} <= ACCOUNTS) and entity(row, slot) == who:
                role = Fact.RECEIVING if slot is Slot.RECIPIENT else Fact.SENDING
                past.append((time, row, Fact(row[Word.FACTS]) | role))
    return past


def _behaviour(feature: say.Feature, row: Row, now: int, past: list[tuple[int, Row, Fact]]) -> float:
    where, how = feature.where, feature.how
    counted = [
        (time, other)
        for time, other, facts in past
        if time > now - feature.over and facts & where.needs == where.needs and not facts & where.excludes
    ]
    amounts = [other[Word.AMOUNT] for _, other in counted]
    n, s = len(amounts), sum(amounts)
    spread = n * sum(a * a for a in amounts) - s * s
    root = math.sqrt(float(spread >> 64) * 2.0**64 + float(spread & (2**64 - 1)))
    own = row[Word.AMOUNT]
    match how:
        case say.Count():
            return float(n)
        case say.Sum():
            return float(s)
        case say.Mean():
            return s / n if n else NAN
        case say.Deviation():
            return root / n if n else NAN
        case say.ZScore():
            return float(own * n - s) / root if n and spread else NAN
        case say.OverMean():
            return float(own * n) / float(s) if n and s else NAN
        case say.Distinct(column):
            return float(len({value(other, column) for _, other in counted} - {None}))
        case say.SinceLast():
            return (now - counted[-1][0]) / 1000 if counted else NAN
        case say.SinceFirst():
            return (now - past[0][0]) / 1000
    return _of_the_same(how, value(row, how.column), [(t, value(o, how.column)) for t, o in counted], now)


def _of_the_same(how: say.Aggregate, mine: object, seen: list[tuple[int, object]], now: int) -> float:
    same = [time for time, other in seen if other == mine]
    if mine is None:
        return NAN
    match how:
        case say.IsNew():
            return float(not same)
        case say.SameShare():
            return len(same) / len(seen) if seen else NAN
        case say.SinceSame():
            return (now - same[-1]) / 1000 if same else NAN
    raise AssertionError(how)
