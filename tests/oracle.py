"""The naive truth about features: plain loops over everything that arrived, straight from the declarations.

It shares no code with the kernel: no cursors, no accumulators, no hash tables; Python's own integers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from features import language as say
from features.layout import MISSING, NIGHT_ENDS, Column, Fact, Slot, Word

NAN = math.nan
ACCOUNTS = (Slot.SENDER, Slot.RECIPIENT)  # one entity whether it sends or receives
Row = Sequence[int]


class Oracle:
    """Feeds arrivals one after another; `vector` looks back over all that is retained."""

    def __init__(self, declarations: Sequence[say.Declaration], retained: int) -> None:
        self.declarations, self.retained = declarations, retained
        self.arrived: list[Arrival] = []
        windows = [w for d in _features(declarations) for w in (d.over, getattr(d.how, "habit", 0))]
        self.longest = max([w for w in windows if w != say.RETAINED], default=0)

    def now(self, row: Row) -> int:
        return max([row[Word.TIME], *(arrival.time for arrival in self.arrived[-1:])])

    def apply(self, row: Row) -> None:
        marks = frozenset(
            mark.name
            for mark in _marks(self.declarations)
            if row[Word.FACTS] & Fact.OPERATION and self._value(mark.feature, row) > mark.above
        )
        self.arrived.append(Arrival(self.now(row), list(row), marks))

    def vector(self, row: Row) -> list[float]:
        return [self._value(d, row) for d in self.declarations]

    def _value(self, declaration: say.Declaration, row: Row) -> float:
        now, kept = self.now(row), self.arrived[-self.retained :]
        if isinstance(declaration, say.Own):
            return self._own(declaration.of, row, now)
        if isinstance(declaration, say.Ratio):
            above, below = self._value(declaration.numerator, row), self._value(declaration.denominator, row)
            found = NAN if math.isnan(above) or math.isnan(below) or below == 0 else above / below
        else:
            past = _past(kept, declaration.by, entity(row, declaration.by))
            found = NAN if not past else _behaviour(declaration, row, now, past)
        return declaration.missing if math.isnan(found) else found

    def _own(self, of: str, row: Row, now: int) -> float:
        if of == "amount":
            return float(row[Word.AMOUNT])
        if of == "window_truncated":
            lost = self.arrived[: -self.retained]
            return float(bool(lost) and lost[-1].time > now - self.longest)
        if of in ("hour", "weekday", "kind"):
            return float(value(row, Column[of.upper()]))  # type: ignore[arg-type]
        return float(bool(facts_of(row) & Fact[of.upper()]))


@dataclass(frozen=True)
class Arrival:
    """What arrived, at the time as counted, with the marks that it got then; its role in the past of an entity."""

    time: int
    row: Row
    marks: frozenset[str]
    role: Fact = say.NOTHING

    def passes(self, where: say.Where) -> bool:
        facts = facts_of(self.row) | self.role
        return (
            facts & where.needs == where.needs
            and not facts & where.excludes
            and all(mark.name in self.marks for mark in where.marks)
            and not any(mark.name in self.marks for mark in where.unmarked)
        )


def _features(declarations: Sequence[say.Declaration]) -> list[say.Feature]:
    found = [d for d in declarations if isinstance(d, say.Feature)]
    found += [part for d in declarations if isinstance(d, say.Ratio) for part in (d.numerator, d.denominator)]
    return found + [mark.feature for mark in _marks(found)]


def _marks(declarations: Sequence[say.Declaration]) -> list[say.Mark]:
    found = []
    for d in declarations:
        for feature in (d.numerator, d.denominator) if isinstance(d, say.Ratio) else (d,):
            if isinstance(feature, say.Feature):
                inner = getattr(feature.how, "steps", ()) + ((feature.how.of,) if isinstance(feature.how, say.Share) else ())
                inner += (feature.how.than,) if isinstance(feature.how, say.IsLater) else ()
                found += [mark for where in (feature.where, *inner) for mark in where.marks + where.unmarked]
    return found


def facts_of(row: Row) -> Fact:
    night = Fact.NIGHT if value(row, Column.HOUR) < NIGHT_ENDS else Fact(0)  # type: ignore[operator]
    return Fact(row[Word.FACTS]) | night


def entity(row: Row, by: Slot | say.Group) -> object:
    """Whose row it is in a slot, or None."""
    if isinstance(by, say.Group):
        values = tuple(value(row, column) for column in by.columns)
        return None if None in values else values
    key = row[Word.SENDER + by]
    return None if key == MISSING else key


def value(row: Row, column: Column) -> object:
    local = row[Word.TIME] + row[Word.ZONE_OFFSET]
    match column:
        case Column.HOUR:
            return local // 3_600_000 % 24
        case Column.WEEKDAY:
            return (local // 86_400_000 + 3) % 7
        case Column.KIND:
            return row[Word.KIND]
        case Column.BAND:
            return row[Word.AMOUNT].bit_length()
        case Column.SHIFTED_BAND:
            return (row[Word.AMOUNT] * 181 // 128).bit_length()
    code = row[Word[column.name]]
    return None if code == MISSING else code


def _past(kept: list[Arrival], by: Slot | say.Group, who: object) -> list[Arrival]:
    """Every retained arrival of an entity with its role; an account that pays itself is there twice."""
    if who is None:
        return []
    slots = ACCOUNTS if by in ACCOUNTS else [by]
    return [
        replace(arrival, role=Fact.RECEIVING if slot is Slot.RECIPIENT else Fact.SENDING)
        for arrival in kept
        for slot in slots
        if entity(arrival.row, slot) == who
    ]


def _behaviour(feature: say.Feature, row: Row, now: int, past: list[Arrival]) -> float:
    where, how = feature.where, feature.how
    counted = [arrival for arrival in past if arrival.time > now - feature.over and arrival.passes(where)]
    ever = [arrival for arrival in past if arrival.passes(where)]
    amounts = [arrival.row[Word.AMOUNT] for arrival in counted]
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
        case say.Max():
            return float(max(amounts)) if n else NAN
        case say.Min():
            return float(min(amounts)) if n else NAN
        case say.Deviation():
            return root / n if n else NAN
        case say.ZScore():
            return float(own * n - s) / root if n and spread else NAN
        case say.OverMean():
            return float(own * n) / float(s) if n and s else NAN
        case say.OverMax():
            return own / max(amounts) if n and max(amounts) else NAN
        case say.Share(of):
            return sum(arrival.passes(of) for arrival in counted) / n if n else NAN
        case say.Pace(habit):
            long = sum(arrival.time > now - habit for arrival in ever)
            return float(n * habit) / float(long * feature.over) if long else NAN
        case say.Distinct(column):
            return float(len({value(arrival.row, column) for arrival in counted} - {None}))
        case say.Entropy(column):
            return _entropy([value(arrival.row, column) for arrival in counted])
        case say.SinceLast():
            return (now - counted[-1].time) / 1000 if counted else NAN
        case say.IsLater(than):
            order = [id(arrival.row) for arrival in past]  # a payment to oneself is there twice, and came once
            places = [[order.index(id(a.row)) for a in past if a.passes(each)] for each in (where, than)]
            return float(max(places[0], default=-1) > max(places[1], default=-1)) if places[0] or places[1] else NAN
        case say.SinceEarliest():
            return (now - counted[0].time) / 1000 if counted else NAN
        case say.SinceNth(nth):
            return (now - counted[-nth].time) / 1000 if n >= nth else NAN
        case say.SinceFirst():
            return (now - past[0].time) / 1000
        case say.Steps(_, steps):
            return float(_steps_gone(steps, past, now - feature.over))
        case say.Distance() | say.Speed():
            return _travel(how, row, now, [arrival for arrival in counted if facts_of(arrival.row) & Fact.LOCATED])
        case say.Changed(column):
            given = [value(arrival.row, column) for arrival in counted if value(arrival.row, column) is not None]
            return float(value(row, column) != given[-1]) if given and value(row, column) is not None else NAN
    return _of_the_same(how, value(row, how.column), [(a.time, value(a.row, how.column)) for a in counted], now)  # type: ignore[attr-defined]


def _entropy(values: list[object]) -> float:
    if not values:
        return NAN
    shares = [values.count(each) / len(values) for each in set(values)]
    return -sum(share * math.log2(share) for share in shares)


def _steps_gone(steps: tuple[say.Where, ...], past: list[Arrival], edge: int) -> int:
    """How many steps can be found in order, the first of them after the edge: by trying every beginning."""
    best = 0
    for i, first in enumerate(past):
        if first.time > edge and first.passes(steps[0]):
            gone = 1
            for arrival in past[i + 1 :]:
                if gone < len(steps) and arrival.passes(steps[gone]):
                    gone += 1
            best = max(best, gone)
    return best


def _travel(how: say.Aggregate, row: Row, now: int, located: list[Arrival]) -> float:
    here = row[Word.LATITUDE], row[Word.LONGITUDE]
    if not located or MISSING in here:
        return NAN
    there = located[-1].row[Word.LATITUDE], located[-1].row[Word.LONGITUDE]
    a, b = (
        (
            math.cos(math.radians(x / 1e6)) * math.cos(math.radians(y / 1e6)),
            math.cos(math.radians(x / 1e6)) * math.sin(math.radians(y / 1e6)),
            math.sin(math.radians(x / 1e6)),
        )
        for x, y in (here, there)
    )
    distance = 6371.0 * math.dist(a, b)
    hours = max(60_000, now - located[-1].time) / 3_600_000
    return distance if isinstance(how, say.Distance) else distance / hours


def _of_the_same(how: say.Aggregate, mine: object, seen: list[tuple[int, object]], now: int) -> float:
    same = [time for time, other in seen if other == mine]
    if mine is None:
        return NAN
    match how:
        case say.IsNew():
            return float(not same)
        case say.SameCount():
            return float(len(same))
        case say.SameShare():
            return len(same) / len(seen) if seen else NAN
        case say.SinceSame():
            return (now - same[-1]) / 1000 if same else NAN
    raise AssertionError(how)
