"""EVERY profile and profile feature, declared once, and the days on which profiles count.

A profile of local day D covers the operations of the PROFILE_DAYS local days up to and including D, as far as they had arrived
SETTLED_MS after the end of D, and counts from PROFILE_LAG_MS after the end of D for one day, until that of D + 1: an instant has
one profile, whoever reads it when. Batch and online read them by `packed_profiles.Profiles`, so they give the same bits. Days are
taken as 24 hours long: Bishkek has not shifted its clock since 2005.
"""

import hashlib
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from domain import instants
from domain.criteria import FraudCriterion as Criterion
from features.arrivals import ENCODING, ZONE
from features.layout import Word
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
    Usual,
    UsualShare,
    Whose,
    steps,
)

Integers = NDArray[np.int64]

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


def settled_day(known_until: int) -> int:
    """The newest local day of which a profile can be made when all that arrived before an instant (ms) is known."""
    local = instants.from_ms(known_until - SETTLED_MS).astimezone(ZONE)
    return day_of(local.date()) - 1


def known_from(day: int) -> int:
    """The instant in ms from which operations read the profile of a local day."""
    return end_of(day) + PROFILE_LAG_MS


def due_day(time: int, zone_offset: int) -> int:
    """The local day whose profile an operation of a time (ms) reads."""
    return (time + zone_offset - PROFILE_LAG_MS) // instants.DAY - 1


def due_days(rows: Integers) -> Integers:
    """Rows (n, WORDS) -> (n,) the local day whose profile each operation reads."""
    local: Integers = rows[:, Word.TIME] + rows[:, Word.ZONE_OFFSET]
    return (local - PROFILE_LAG_MS) // instants.DAY - 1
