"""Profiles of a history answer to plain loops, and cost what the days that are asked cost."""

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import instants
from features import profile_days
from features.layout import MISSING, WORDS, Fact, Word
from features.packed_profiles import Profiles
from features.profile_days import Habits, values
from features.profile_language import (
    PERCENTS,
    PROFILE_DAYS,
    ActiveDays,
    Bins,
    Different,
    Habit,
    OverQuantile,
    PerActiveDay,
    ProfileFeature,
    Share,
    Usual,
    UsualShare,
    Whose,
)
from features.profiles import LAYOUTS, PROFILE_FEATURES, PROFILE_LAG_MS, PROFILE_NAMES, SETTLED_MS, due_days

START = 1_750_000_000_000
OFFSET = 6 * instants.HOUR
STEPS = (
    0,
    1,
    60_000,
    instants.HOUR,
    5 * instants.HOUR,
    instants.DAY,
    3 * instants.DAY,
    40 * instants.DAY,
    91 * instants.DAY,
)
LATE = (0, 0, 0, instants.HOUR, instants.DAY, 89 * instants.DAY, 100 * instants.DAY)


@st.composite
def arrivals(draw: st.DrawFn) -> np.ndarray:
    """Small crowded histories over months: ties, late operations, missing parties, events in between, heavy repetition."""
    rows, now = [], START
    for _ in range(draw(st.integers(1, 60))):
        now += draw(st.sampled_from(STEPS))
        row = [draw(st.sampled_from((MISSING, -1, 0, 1, 2))) for _ in range(WORDS)]
        row[Word.TIME] = now - draw(st.sampled_from(LATE))
        row[Word.ZONE_OFFSET] = OFFSET
        row[Word.FACTS] = int(Fact.OPERATION if draw(st.integers(0, 4)) else Fact.LOGIN_FAILED)
        row[Word.AMOUNT] = draw(st.sampled_from((0, 1, 99, 10_000, 10**12)))
        row[Word.KIND] = draw(st.integers(0, 9))
        rows.append(row)
    return np.array(rows, np.int64)


# ---- the naive truth: plain loops, straight from the declarations ---------------------------------------------------


def naive(rows: np.ndarray) -> list[list[float]]:
    arrived, found = [], []
    clock = -math.inf
    for row in rows.tolist():
        clock = max(clock, row[Word.TIME])
        arrived.append((clock, row))
    for row in rows.tolist():
        if row[Word.FACTS] & Fact.OPERATION:
            found.append([naive_value(feature, row, arrived) for feature in PROFILE_FEATURES])
    return found


def local_day(row: list[int]) -> int:
    return (row[Word.TIME] + OFFSET) // instants.DAY


def past(whose: Whose, row: list[int], arrived: list[tuple[float, list[int]]]) -> list[list[int]]:
    due = (row[Word.TIME] + OFFSET - PROFILE_LAG_MS) // instants.DAY - 1
    settled = (due + 1) * instants.DAY - OFFSET + SETTLED_MS
    return [
        other
        for clock, other in arrived
        if other[Word.FACTS] & Fact.OPERATION
        and other[whose.word] == row[whose.word] != MISSING
        and due - PROFILE_DAYS < local_day(other) <= due
        and clock < settled
    ]


def bin_of(by: Bins, row: list[int]) -> int:
    local = row[Word.TIME] + OFFSET
    return {
        Bins.HOUR: local // instants.HOUR % 24,
        Bins.WEEKDAY: (local // instants.DAY + 3) % 7,
        Bins.KIND: row[Word.KIND],
    }[by]


def naive_value(feature: ProfileFeature, row: list[int], arrived: list[tuple[float, list[int]]]) -> float:
    seen = past(feature.whose, row, arrived)
    if not seen:
        return math.nan
    days = len({local_day(other) for other in seen})
    match feature.how:
        case Habit(ActiveDays()):
            return float(days)
        case Habit():
            return float(len(seen))
        case PerActiveDay():
            return len(seen) / days
        case Different(of):
            return float(len({other[of] for other in seen} - {MISSING}))
        case Share(by, around):
            size = {Bins.HOUR: 24, Bins.WEEKDAY: 7, Bins.KIND: 10}[by]
            near = {(bin_of(by, row) + aside) % size for aside in range(-around, around + 1)}
            return sum(bin_of(by, other) in near for other in seen) / len(seen)
        case OverQuantile(percent, of_kind):
            amounts = sorted(o[Word.AMOUNT] for o in seen if not of_kind or o[Word.KIND] == row[Word.KIND])
            quantile = next((a for i, a in enumerate(amounts, 1) if 100 * i >= percent * len(amounts)), 0)
            return row[Word.AMOUNT] / quantile if quantile else math.nan
        case UsualShare(of):
            counts = Counter(other[of] for other in seen if other[of] != MISSING)
            keep = next(f.keep for f in LAYOUTS[feature.whose].fields if isinstance(f, Usual) and f.of is of)
            usual = dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:keep])
            given = row[of] != MISSING and counts.total()
            return usual.get(row[of], 0) / counts.total() if given else math.nan


# ---- claims ----------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(rows=arrivals())
def test_every_profile_feature_equals_the_naive_one(rows: np.ndarray) -> None:
    seen, wanted = values(rows), np.array(naive(rows)).reshape(-1, len(PROFILE_NAMES))
    for column, name in enumerate(PROFILE_NAMES):
        np.testing.assert_array_equal(seen[:, column], wanted[:, column], name)


@settings(max_examples=60, deadline=None)
@given(rows=arrivals())
def test_profiles_of_whole_days_give_what_the_asked_ones_give(rows: np.ndarray) -> None:
    habits = Habits.of(rows)
    operations = rows[rows[:, Word.FACTS] & int(Fact.OPERATION) != 0]
    if not len(operations):
        return
    days = sorted(set(due_days(operations).tolist()))
    customer, recipient, device = (habits.of_days(whose, days) for whose in Whose)
    assert Profiles(customer, recipient, device).values(operations).tobytes() == values(rows).tobytes()


@settings(max_examples=60, deadline=None)
@given(rows=arrivals(), cut=st.integers(0, 60))
def test_what_arrives_later_changes_no_profile_that_was_read(rows: np.ndarray, cut: int) -> None:
    earlier = values(rows[:cut]) if cut else np.empty((0, len(PROFILE_NAMES)))
    assert values(rows)[: len(earlier)].tobytes() == earlier.tobytes()


def test_wanted_rows_go_where_they_are_wanted_and_the_others_nowhere() -> None:
    rows = crowd(500)
    wanted = np.where(np.arange(500) >= 300, np.arange(500) - 300, -1)
    wide = np.zeros((200, 3 + len(PROFILE_NAMES)))
    values(rows, wide[:, 3:], wanted)
    assert wide[:, 3:].tobytes() == values(rows)[300:].tobytes()
    assert not wide[:, :3].any()


def test_small_blocks_give_the_same_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = crowd(3000)
    whole = values(rows)
    monkeypatch.setattr(profile_days, "BLOCK", 7)
    assert values(rows).tobytes() == whole.tobytes()
    assert not np.isnan(whole).all(0).any(), "every feature had something to say"


def test_usual_values_are_the_most_frequent_ties_by_the_smaller_key() -> None:
    rows = crowd(400)
    rows[:, Word.CUSTOMER], rows[:, Word.RECIPIENT] = 1, np.arange(400) % 40
    rows[:100, Word.RECIPIENT] = 39
    habits = Habits.of(rows)
    profile = habits.of_days(Whose.CUSTOMER, [int(due_days(rows[-1:])[0])])
    first = LAYOUTS[Whose.CUSTOMER].offsets["usual_recipient"]
    assert profile.rows[0, first + 2 : first + 6].tolist() == [39, 20, 21, 22]
    assert profile.rows[0, first + 18 : first + 22].tolist() == [107, 8, 8, 8]


def test_a_profile_holds_exact_quantiles() -> None:
    rows = crowd(1000)
    rows[:, Word.CUSTOMER] = 1
    profile = Habits.of(rows).of_days(Whose.CUSTOMER, [int(due_days(rows[-1:])[0])])
    counted = np.sort(rows[: int(profile.rows[0, 1]), Word.AMOUNT])
    wanted = [counted[math.ceil(len(counted) * percent / 100) - 1] for percent in PERCENTS]
    first = LAYOUTS[Whose.CUSTOMER].offsets["amounts"]
    assert profile.rows[0, first : first + 3].tolist() == wanted


def test_a_day_is_settled_an_hour_after_its_end() -> None:
    rows = crowd(10)
    last = int(rows[-1, Word.TIME])
    day = (last + OFFSET) // instants.DAY
    end = (day + 1) * instants.DAY - OFFSET
    assert Habits.of(rows).settled_day in (day - 1, day - 2)
    assert Habits.of(rows, instants.from_ms(end + SETTLED_MS - 1)).settled_day == day - 1
    assert Habits.of(rows, instants.from_ms(end + SETTLED_MS)).settled_day == day


def test_no_history_has_no_profiles() -> None:
    nothing = np.zeros((0, WORDS), np.int64)
    assert values(nothing).shape == (0, len(PROFILE_NAMES))
    assert Habits.of(nothing).settled_day is None
    assert len(Habits.of(crowd(10)).of_pairs(Whose.DEVICE, pl.DataFrame(schema={"key": pl.Int64, "day": pl.Int64}))) == 0


def crowd(count: int) -> np.ndarray:
    """Operations over 80 days, none late."""
    random = np.random.default_rng(3)
    rows = random.integers(0, 9, (count, WORDS))
    rows[:, Word.TIME] = START + np.arange(count) * (80 * instants.DAY // count)
    rows[:, Word.ZONE_OFFSET] = OFFSET
    rows[:, Word.FACTS] = int(Fact.OPERATION)
    rows[:, Word.AMOUNT] = random.integers(1, 10**6, count)
    return rows
