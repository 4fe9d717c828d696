"""EVERY profile and profile feature, declared once, and the one function that compares operations with profiles.

A profile of local day D covers the operations of the PROFILE_DAYS local days up to and including D, as far as they had arrived
SETTLED_MS after the end of D, and counts from PROFILE_LAG_MS after the end of D for one day, until that of D + 1. Batch and online
call the same `compare` on the same integers, so they give the same bits (a time has one profile, whoever reads it when).
"""

import hashlib
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numba import njit
from numpy.typing import NDArray

from domain import instants
from domain.criteria import FraudCriterion as Criterion
from features.arrivals import ENCODING, ZONE
from features.layout import MISSING, Word
from features.profile_language import (
    PERCENTS,
    PROFILE_DAYS,
    ActiveDays,
    Amounts,
    Bins,
    Different,
    Habit,
    Histogram,
    Layout,
    Operations,
    OverQuantile,
    PerActiveDay,
    ProfileFeature,
    Share,
    Step,
    Usual,
    UsualShare,
    Whose,
    steps,
)

Integers = NDArray[np.int64]
Packed = tuple[Integers, Integers, Integers]
"""One array for each of Whose, in its order."""

SETTLED_MS = 1 * instants.HOUR
"""How long after the end of its day a profile still waits for operations that arrive late; later ones count from the next day's."""
PROFILE_LAG_MS = 3 * instants.HOUR
"""How long after the end of its day a profile begins to count: the time to compute and distribute it."""

LAYOUTS = {
    Whose.CUSTOMER: Layout((
        ActiveDays(), Operations(), Histogram(Bins.HOUR), Histogram(Bins.WEEKDAY), Histogram(Bins.KIND),
        Amounts(), Amounts(of_kind=True),
        Usual(Word.RECIPIENT, 16), Usual(Word.COUNTRY, 4), Usual(Word.RECIPIENT_COUNTRY, 4), Usual(Word.FUNDING, 8),
        Usual(Word.DEVICE, 8),
    )),
    Whose.RECIPIENT: Layout((
        ActiveDays(), Operations(), Histogram(Bins.HOUR), Histogram(Bins.KIND), Amounts(), Usual(Word.CUSTOMER, 16),
    )),
    Whose.DEVICE: Layout((ActiveDays(), Operations(), Usual(Word.CUSTOMER, 4), Usual(Word.COUNTRY, 4))),
}  # fmt: skip
"""What a profile holds, by whose it is."""

PROFILE_FEATURES: tuple[ProfileFeature, ...] = (
    # R59: how much is usual
    ProfileFeature(Whose.CUSTOMER, Habit(ActiveDays()), Criterion.FREQUENCY),
    ProfileFeature(Whose.CUSTOMER, PerActiveDay(), Criterion.FREQUENCY),
    # R61: amount and kind against habit
    ProfileFeature(Whose.CUSTOMER, OverQuantile(50), Criterion.AMOUNT),
    ProfileFeature(Whose.CUSTOMER, OverQuantile(90), Criterion.AMOUNT),
    ProfileFeature(Whose.CUSTOMER, OverQuantile(99), Criterion.AMOUNT),
    ProfileFeature(Whose.CUSTOMER, OverQuantile(50, of_kind=True), Criterion.AMOUNT),
    ProfileFeature(Whose.CUSTOMER, OverQuantile(90, of_kind=True), Criterion.AMOUNT),
    ProfileFeature(Whose.CUSTOMER, OverQuantile(99, of_kind=True), Criterion.AMOUNT),
    ProfileFeature(Whose.CUSTOMER, Share(Bins.KIND), Criterion.AMOUNT),
    # R63: hour and weekday against habit
    ProfileFeature(Whose.CUSTOMER, Share(Bins.HOUR), Criterion.TIME),
    ProfileFeature(Whose.CUSTOMER, Share(Bins.HOUR, around=1), Criterion.TIME),
    ProfileFeature(Whose.CUSTOMER, Share(Bins.WEEKDAY), Criterion.TIME),
    # R62: country and device against habit
    ProfileFeature(Whose.CUSTOMER, UsualShare(Word.COUNTRY), Criterion.DEVICE),
    ProfileFeature(Whose.CUSTOMER, UsualShare(Word.DEVICE), Criterion.DEVICE),
    ProfileFeature(Whose.CUSTOMER, Different(Word.DEVICE), Criterion.DEVICE),
    # R69: to whom it usually goes, and where to
    ProfileFeature(Whose.CUSTOMER, UsualShare(Word.RECIPIENT), Criterion.SPLITTING),
    ProfileFeature(Whose.CUSTOMER, Different(Word.RECIPIENT), Criterion.SPLITTING),
    ProfileFeature(Whose.CUSTOMER, UsualShare(Word.RECIPIENT_COUNTRY), Criterion.SPLITTING),
    # R70: where money usually comes from
    ProfileFeature(Whose.CUSTOMER, UsualShare(Word.FUNDING), Criterion.ATYPICAL_SOURCE),
    # R68, R72, R73: what is usual for the recipient
    ProfileFeature(Whose.RECIPIENT, Habit(ActiveDays()), Criterion.SUSPICIOUS_RECIPIENT),
    ProfileFeature(Whose.RECIPIENT, PerActiveDay(), Criterion.PASS_THROUGH),
    ProfileFeature(Whose.RECIPIENT, Different(Word.CUSTOMER), Criterion.COLLECTING),
    ProfileFeature(Whose.RECIPIENT, UsualShare(Word.CUSTOMER), Criterion.SUSPICIOUS_RECIPIENT),
    ProfileFeature(Whose.RECIPIENT, OverQuantile(50), Criterion.AMOUNT),
    ProfileFeature(Whose.RECIPIENT, OverQuantile(90), Criterion.AMOUNT),
    ProfileFeature(Whose.RECIPIENT, Share(Bins.HOUR), Criterion.TIME),
    ProfileFeature(Whose.RECIPIENT, Share(Bins.KIND), Criterion.AMOUNT),
    # R62: how the device is used
    ProfileFeature(Whose.DEVICE, Habit(ActiveDays()), Criterion.DEVICE),
    ProfileFeature(Whose.DEVICE, Different(Word.CUSTOMER), Criterion.DEVICE),
    ProfileFeature(Whose.DEVICE, UsualShare(Word.CUSTOMER), Criterion.DEVICE),
    ProfileFeature(Whose.DEVICE, UsualShare(Word.COUNTRY), Criterion.DEVICE),
)
"""In the order of the vector's columns, behind those of `definitions.DEFINITIONS`."""

PROFILE_NAMES = tuple(feature.name for feature in PROFILE_FEATURES)
PROFILES_HASH = hashlib.sha256(
    repr((
        PROFILE_FEATURES, [(whose.name, layout.fields) for whose, layout in LAYOUTS.items()],
        PROFILE_DAYS, PERCENTS, SETTLED_MS, PROFILE_LAG_MS, ENCODING,
    )).encode()
).hexdigest()  # fmt: skip
"""Stands for every declaration, the layout and what a row means: profiles with another one are computed again."""

STEPS = steps(PROFILE_FEATURES, LAYOUTS)
ROW_WORDS = np.array([Word.TIME, Word.ZONE_OFFSET, Word.AMOUNT, Word.KIND, *(whose.word for whose in Whose)], np.int64)
"""Where a row has what is compared. Handed over as data: the compiler's cache would not notice a change of layout.py."""


# ---- the days of a profile -------------------------------------------------------------------------------------------


def day_of(local: date) -> int:
    """A local day as its number since 1970-01-01."""
    return (local - date(1970, 1, 1)).days


def date_of(day: int) -> date:
    """The inverse of `day_of`."""
    return date(1970, 1, 1) + timedelta(days=day)


def end_of(day: int) -> int:
    """The instant in ms at which a local day ends."""
    midnight = datetime.combine(date_of(day + 1), datetime.min.time(), ZONE)
    return instants.to_ms(midnight.astimezone(UTC))


def known_from(day: int) -> int:
    """The instant in ms from which operations read the profile of a local day."""
    return end_of(day) + PROFILE_LAG_MS


def due_days(rows: Integers) -> Integers:
    """Rows (n, WORDS) -> (n,) the local day whose profile each operation reads."""
    local: Integers = rows[:, Word.TIME] + rows[:, Word.ZONE_OFFSET]
    return (local - PROFILE_LAG_MS) // instants.DAY - 1


# ---- compiled: rows and profiles -> values ---------------------------------------------------------------------------

jit = njit(cache=True, error_model="numpy")
_WHOSE, _STEP, _A, _B, _C, _D, _E = range(7)
_TIME, _OFFSET, _AMOUNT, _KIND = range(4)
_VALUE, _RATIO, _SHARE, _OVER = map(int, (Step.VALUE, Step.RATIO, Step.SHARE, Step.OVER))
_HOUR_MS, _DAY_MS = instants.HOUR, instants.DAY


@jit
def compare(
    table: Integers, words: Integers, rows: Integers, index: Integers, packed: Packed, out: NDArray[np.float64]
) -> None:
    """Compare operations with profiles: out (n, features) float64 is written.

    table: STEPS; words: ROW_WORDS; rows (n, WORDS); index (n, 3): the profile of each row in each of `packed`, -1 for none.
    """
    for i in range(len(rows)):
        for f in range(len(table)):
            whose = table[f, _WHOSE]
            place = index[i, whose]
            out[i, f] = np.nan if place < 0 else _value(table[f], words, rows[i], packed[whose][place])


@jit
def _value(step: Integers, words: Integers, row: Integers, profile: Integers) -> float:
    if step[_STEP] == _VALUE:
        return float(profile[step[_A]])
    if step[_STEP] == _RATIO:
        return _over(profile[step[_A]], profile[step[_B]])
    if step[_STEP] == _SHARE:
        return _share(step, words, row, profile)
    if step[_STEP] == _OVER:
        return _over(row[words[_AMOUNT]], profile[step[_A] + step[_B] * row[words[_KIND]]])
    return _usual(step, row, profile)


@jit
def _over(above: int, below: int) -> float:
    return float(above) / float(below) if below > 0 else np.nan  # MISSING is below 0


@jit
def _share(step: Integers, words: Integers, row: Integers, profile: Integers) -> float:
    bins, around, local = step[_B], step[_D], row[words[_TIME]] + row[words[_OFFSET]]
    own = row[words[_KIND]]
    if step[_C] == 0:
        own = local // _HOUR_MS % 24
    elif step[_C] == 1:
        own = (local // _DAY_MS + 3) % 7
    inside = 0
    for near in range(own - around, own + around + 1):
        inside += profile[step[_A] + near % bins]
    return _over(inside, profile[step[_E]])


@jit
def _usual(step: Integers, row: Integers, profile: Integers) -> float:
    first, keep, own = step[_A], step[_B], row[step[_C]]
    if own == MISSING:
        return np.nan
    for place in range(first + 2, first + 2 + keep):
        if profile[place] == own:
            return _over(profile[place + keep], profile[first])
    return _over(0, profile[first])


@jit
def locate(words: Integers, lag: int, rows: Integers, keys: Packed, days: Packed, index: Integers) -> None:
    """Find the profile of each row's customer, recipient and device that is due at its time; index (n, 3) is written, -1 for none.

    keys, days: of the packed profiles, in ascending order of (key, day).
    """
    for i in range(len(rows)):
        due = (rows[i, words[_TIME]] + rows[i, words[_OFFSET]] - lag) // _DAY_MS - 1
        for whose in range(3):
            index[i, whose] = place_of(rows[i, words[4 + whose]], due, keys[whose], days[whose])


@jit
def place_of(key: int, day: int, keys: Integers, days: Integers) -> int:
    """The place of (key, day) in arrays that ascend by key, then day; -1 when it is not there. A key of MISSING is nobody."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key or (keys[middle] == key and days[middle] < day):
            low = middle + 1
        else:
            high = middle
    found = low < len(keys) and keys[low] == key and days[low] == day and key != MISSING
    return low if found else -1
