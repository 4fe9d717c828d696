"""Daily profiles of a history: Polars lays out operations and asked days by entity, a compiled window fills the profiles.

Two uses of one function: every entity that was active within the window of given days (`of_days`, for the stores), and the
profiles that operations themselves read (`values`, for training).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tqdm import tqdm

from domain import instants
from features import profile_kernel as kernel
from features import profile_window as window
from features.arrivals import KIND_CODES
from features.layout import MISSING, Fact, Word
from features.packed_profiles import PackedProfiles
from features.profile_kernel import Integers
from features.profile_language import (
    PERCENTS,
    PROFILE_DAYS,
    ActiveDays,
    Amounts,
    Bins,
    Field,
    Histogram,
    Layout,
    Operations,
    Usual,
    Whose,
)
from features.profile_window import Fill
from features.profiles import LAYOUTS, PROFILE_NAMES, ROW_WORDS, SETTLED_MS, STEPS, due_days, settled_day

BLOCK = 1 << 16
"""Profiles that are filled at a time: what memory a computation takes beyond its result."""
_BIN_COLUMN = {Bins.HOUR: window.HOUR, Bins.WEEKDAY: window.WEEKDAY, Bins.KIND: window.KIND}


_DAY_BITS = 20


@dataclass(frozen=True)
class Block:
    """Profiles of some entities as they were asked for: keys (m,), local days (m,), rows (m, width)."""

    whose: Whose
    keys: Integers
    days: Integers
    rows: Integers

    @property
    def is_empty(self) -> NDArray[np.bool_]:
        """(m,): no operation, so no profile."""
        empty: NDArray[np.bool_] = self.rows[:, LAYOUTS[self.whose].offsets["operations"]] == 0
        return empty


@dataclass(frozen=True)
class Habits:
    """The operations of a history as profiles see them.

    frame: one row an operation, in order of arrival: `day` (its local day), `from_day` (the first day for whose profile it had
    arrived), `due` (the day whose profile it reads), `hour`, `weekday`, and the words of its row by their names;
    settled_day: the newest local day of which a profile can be made, None for an empty history.
    """

    frame: pl.DataFrame
    settled_day: int | None

    @classmethod
    def of(cls, rows: Integers, now: datetime | None = None) -> "Habits":
        """rows (n, WORDS): every arrival in order of arrival; operations are taken, the others tell how late it was.

        now: that nothing else has arrived until then; by default it is known until the last arrival.
        """
        arrived = np.maximum.accumulate(rows[:, Word.TIME])  # an operation that comes late came when the one before it did
        settled = (arrived + rows[:, Word.ZONE_OFFSET] - SETTLED_MS) // instants.DAY
        is_operation = rows[:, Word.FACTS] & int(Fact.OPERATION) != 0
        rows, from_day = rows[is_operation], settled[is_operation]
        local = rows[:, Word.TIME] + rows[:, Word.ZONE_OFFSET]
        day = local // instants.DAY
        columns = {
            "day": day, "from_day": np.maximum(day, from_day), "due": due_days(rows), "hour": local // instants.HOUR % 24,
            "weekday": (day + 3) % 7, **{word.name: rows[:, word] for word in Word},
        }  # fmt: skip
        known_until = [int(arrived[-1])] if len(arrived) else []
        known_until += [] if now is None else [instants.to_ms(now)]
        return cls(pl.DataFrame(columns), settled_day(max(known_until)) if len(arrived) else None)

    def of_days(self, whose: Whose, days: Sequence[int]) -> PackedProfiles:
        """The profiles of every entity with an operation in the window, of each of the given local days."""
        return self.of_pairs(whose, self.active(whose, days))

    def active(self, whose: Whose, days: Sequence[int]) -> pl.DataFrame:
        """Pairs (`key`, `day`), ascending: every entity with an operation in the window of any of the days, on each of them."""
        seen = self.frame.lazy().filter(
            pl.col(whose.name) != MISSING, pl.col("from_day") <= max(days), pl.col("day") > min(days) - PROFILE_DAYS
        )
        keys = seen.select(key=pl.col(whose.name)).unique().sort("key")
        on_days = pl.LazyFrame({"day": sorted(days)}, {"day": pl.Int64})
        return keys.join(on_days, how="cross", maintain_order="left_right").collect()

    def of_pairs(self, whose: Whose, asked: pl.DataFrame) -> PackedProfiles:
        """The profiles of asked pairs (`key`, `day`), different and ascending; none for a pair without operations."""
        blocks = list(self.blocks(whose, asked))
        if not blocks:
            return PackedProfiles.none(whose)
        full = [~block.is_empty for block in blocks]
        keys, days, rows = (
            np.concatenate([getattr(block, name)[kept] for block, kept in zip(blocks, full, strict=True)])
            for name in ("keys", "days", "rows")
        )
        return PackedProfiles(whose, keys, days, rows)

    def blocks(self, whose: Whose, asked: pl.DataFrame) -> Iterator[Block]:
        """The profiles of asked pairs (`key`, `day`), different and ascending, some entities at a time, zeros without operations."""
        if asked.is_empty():
            return
        operations, keys = self._counted(whose, asked), asked["key"].unique().sort().to_numpy()
        fields, columns = _fields(LAYOUTS[whose]), _columns(operations, LAYOUTS[whose])
        who, asker = np.searchsorted(keys, operations["key"].to_numpy()), np.searchsorted(keys, asked["key"].to_numpy())
        from_days, days = operations["from_day"].to_numpy(), asked["day"].to_numpy()
        order = np.lexsort((from_days, who))
        entered = np.searchsorted(_by_day(who[order], from_days[order]), _by_day(asker, days), "right")
        left = np.searchsorted(_by_day(who, operations["day"].to_numpy()), _by_day(asker, days - PROFILE_DAYS), "right")
        when = np.column_stack([entered, left])
        ends = np.arange(1, len(keys) + 1)
        of_operations, of_asked = (np.concatenate([[0], np.searchsorted(of, ends)]) for of in (who, asker))
        entities = np.column_stack([of_operations[:-1], of_operations[1:], of_asked[:-1], of_asked[1:]])
        for first, last in _cut(of_asked):
            pairs = slice(of_asked[first], of_asked[last])
            some = entities[first:last] - [0, 0, pairs.start, pairs.start]
            out = np.zeros((pairs.stop - pairs.start, LAYOUTS[whose].width), np.int64)
            window.fill(fields, np.array(PERCENTS), some, order, columns, when[pairs], out)
            yield Block(whose, asked["key"].to_numpy()[pairs], days[pairs], out)

    def _counted(self, whose: Whose, asked: pl.DataFrame) -> pl.DataFrame:
        """The operations that can count in an asked profile: `key` and the rest, ascending by key, then day, then arrival."""
        first, last = asked["day"].min(), asked["day"].max()
        counted = self.frame.lazy().filter(
            pl.col(whose.name) != MISSING,
            pl.col("from_day") <= last,
            pl.col("from_day") < pl.col("day") + PROFILE_DAYS,
            pl.col("day") > first - PROFILE_DAYS,  # type: ignore[operator]
        )
        known = counted.with_columns(key=pl.col(whose.name)).join(asked.lazy().select("key").unique(), on="key", how="semi")
        return known.sort("key", "day", maintain_order=True).collect()


def values(
    rows: Integers,
    out: NDArray[np.float64] | None = None,
    wanted: Integers | None = None,
    days_behind: Integers | None = None,
) -> NDArray[np.float64]:
    """Every arrival in order (n, WORDS) -> (operations, len(PROFILE_NAMES)) float64: each by the profiles due at its time.

    out, wanted (n,): as for `Engine.replay`, the values of row i go to out[wanted[i]], none where it is negative. The profiles are
    made where they are read and not kept. days_behind (n,): by the profiles of so many days before the due ones. Progress is
    shown on long histories.
    """
    is_operation = rows[:, Word.FACTS] & int(Fact.OPERATION) != 0
    wanted = np.where(is_operation, np.cumsum(is_operation) - 1, -1) if wanted is None else wanted
    if out is None:
        out = np.empty((int((wanted >= 0).sum()), len(PROFILE_NAMES)), np.float64)
    habits, rows, wanted = Habits.of(rows), rows[is_operation], wanted[is_operation]
    if days_behind is not None:
        habits = replace(habits, frame=habits.frame.with_columns(due=pl.col("due") - days_behind[is_operation]))
    out[wanted[wanted >= 0]] = np.nan
    reads = sum(int(((wanted >= 0) & (rows[:, whose.word] != MISSING)).sum()) for whose in Whose)
    with tqdm(total=reads, desc="profiles", unit="read", unit_scale=True, delay=2, mininterval=1) as progress:
        for whose in Whose:
            for places, part in _read(habits, whose, rows, wanted):
                out[np.ix_(wanted[places], STEPS[:, 0] == whose)] = part
                progress.update(len(places))
    return out


def _read(habits: Habits, whose: Whose, rows: Integers, wanted: Integers) -> Iterator[tuple[Integers, NDArray[np.float64]]]:
    """Places of wanted operations, and their values of the features of one kind of entity."""
    table = STEPS[STEPS[:, 0] == whose]
    given = habits.frame.with_row_index("place").filter((wanted >= 0) & (rows[:, whose.word] != MISSING))
    reading = given.select("place", key=pl.col(whose.name), day=pl.col("due")).sort("key", "day", maintain_order=True)
    asked = reading.select("key", "day").unique(maintain_order=True)
    of_asked = reading.select(pl.struct("key", "day").rle_id().cast(pl.Int64)).to_series().to_numpy()
    done = 0
    for block in habits.blocks(whose, asked):
        mine = slice(*np.searchsorted(of_asked, [done, done + len(block.keys)]))
        places = reading["place"].to_numpy()[mine].astype(np.int64)
        index = np.where(block.is_empty, -1, np.arange(len(block.keys)))[of_asked[mine] - done]
        part = np.empty((len(places), len(table)), np.float64)
        kernel.compare(table, ROW_WORDS, rows[places], np.repeat(index[:, None], len(Whose), 1), (block.rows,) * 3, part)
        yield places, part
        done += len(block.keys)


def _by_day(who: Integers, days: Integers) -> Integers:
    """One integer that ascends by entity, then day."""
    return who << _DAY_BITS | days


def _cut(of_asked: Integers) -> Iterator[tuple[int, int]]:
    """Runs of entities with at most BLOCK asked profiles, or of one entity; of_asked (entities + 1,): where each one's begin."""
    first = 0
    while first < len(of_asked) - 1:
        last = max(first + 1, int(np.searchsorted(of_asked, of_asked[first] + BLOCK, "right")) - 1)
        yield first, last
        first = last


def _columns(operations: pl.DataFrame, layout: Layout) -> Integers:
    """The columns of `profile_window`, then those whose usual values the layout keeps: (c, n) int64."""
    usual = [field.of.name for field in layout.fields if isinstance(field, Usual)]
    names = ["day", "KIND", "AMOUNT", "hour", "weekday", *usual]
    return np.stack([operations[name].to_numpy() for name in names])


def _fields(layout: Layout) -> Integers:
    """The table that `profile_window.fill` reads."""
    usual = [field for field in layout.fields if isinstance(field, Usual)]
    rows = [(_how(field, usual), layout.offsets[field.name], field.width) for field in layout.fields]
    return np.array([(how[0], first, width, *how[1:], *[0] * (3 - len(how))) for how, first, width in rows], np.int64)


def _how(field: Field, usual: Sequence[Usual]) -> tuple[int, ...]:
    match field:
        case ActiveDays():
            return (Fill.ACTIVE_DAYS,)
        case Operations():
            return (Fill.OPERATIONS,)
        case Histogram(by):
            return Fill.HISTOGRAM, _BIN_COLUMN[by]
        case Amounts(of_kind):
            return Fill.AMOUNTS, len(KIND_CODES) if of_kind else 0
        case Usual():
            return Fill.USUAL, window.FIRST_VALUE + usual.index(field), field.keep
