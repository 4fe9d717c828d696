"""What a daily profile is made of, what a profile feature is, and what a wrong one is told.

A profile is a fixed-width row of int64: counts, amounts in tyiyn and 64-bit keys, so that it is exact, the same in every store,
and read without decoding. A feature compares an operation with the profile of its customer, recipient or device:

    ProfileFeature(Whose.CUSTOMER, HourShare(around=1), Criterion.TIME) -> customer_profile_hour_around_1_share_90d

Missing is NaN and means: the entity was not given or has no profile of that day, the operation has no such value, or nothing is
there to divide by. It is never zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from domain.criteria import FraudCriterion
from domain.errors import DeclarationError
from features.arrivals import KIND_CODES
from features.layout import Column, Word
from features.profile_kernel import STEP_WORDS, Step
from features.wording import COLUMNS

PROFILE_DAYS = 90
"""Local days that a profile covers, its own included."""


class Whose(IntEnum):
    """Whose habit a profile is."""

    CUSTOMER = 0
    RECIPIENT = 1
    DEVICE = 2

    @property
    def word(self) -> Word:
        """The word of a row that holds the entity's key."""
        return Word[self.name]


class Bins(IntEnum):
    """Histograms of operations: by hour of the local day, by weekday (Monday 0), by kind."""

    HOUR = 0
    WEEKDAY = 1
    KIND = 2


BINS = {Bins.HOUR: 24, Bins.WEEKDAY: 7, Bins.KIND: len(KIND_CODES)}
PERCENTS = (50, 90, 99)
"""The amount quantiles of a profile: the smallest amount that at least so many percent of the operations do not exceed."""


# ---- what a profile holds --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ActiveDays:
    """Days of the window with an operation: one word."""

    name = "active_days"
    width = 1


@dataclass(frozen=True)
class Operations:
    """Operations in the window: one word."""

    name = "operations"
    width = 1


@dataclass(frozen=True)
class Histogram:
    """Operations per bin."""

    by: Bins

    @property
    def name(self) -> str:
        """`hours`, `weekdays`, `kinds`."""
        return f"{self.by.name.lower()}s"

    @property
    def width(self) -> int:
        """A word a bin."""
        return BINS[self.by]


@dataclass(frozen=True)
class Amounts:
    """Amount quantiles (PERCENTS), tyiyn; of each kind one after another when `of_kind`, MISSING for a kind without operations."""

    of_kind: bool = False

    @property
    def name(self) -> str:
        """`amounts` or `amounts_of_kind`."""
        return "amounts_of_kind" if self.of_kind else "amounts"

    @property
    def width(self) -> int:
        """A word a quantile."""
        return len(PERCENTS) * (len(KIND_CODES) if self.of_kind else 1)


@dataclass(frozen=True)
class Usual:
    """The most frequent values of a word: how many operations gave one, how many different, then keys, then their counts.

    Most frequent first, ties by the smaller key; places that are left over hold MISSING and 0.
    """

    of: Word
    keep: int

    @property
    def name(self) -> str:
        """`usual_recipients` for Word.RECIPIENT."""
        return f"usual_{self.of.name.lower()}"

    @property
    def width(self) -> int:
        """Two words and two for each value kept."""
        return 2 + 2 * self.keep


Field = ActiveDays | Operations | Histogram | Amounts | Usual


class Layout:
    """Where each field of a profile stands in its packed row of int64."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = tuple(fields)
        ends = np.cumsum([field.width for field in self.fields]).tolist()
        self.width: int = ends[-1]
        self.offsets: dict[str, int] = {f.name: end - f.width for f, end in zip(self.fields, ends, strict=True)}

    def field(self, name: str, place: str) -> Field:
        """The field of a name; DeclarationError names the place that asked for one that the profile does not hold."""
        found = next((field for field in self.fields if field.name == name), None)
        if found is None:
            raise DeclarationError(f"{place}: this profile holds {', '.join(self.offsets)}, not {name}")
        return found


# ---- how a profile is compared with an operation ---------------------------------------------------------------------


@dataclass(frozen=True)
class Habit:
    """A count that the profile holds, as it is: ActiveDays or Operations."""

    of: ActiveDays | Operations


@dataclass(frozen=True)
class PerActiveDay:
    """Operations per day with an operation."""


@dataclass(frozen=True)
class Different:
    """How many different values of a word the window held."""

    of: Word


@dataclass(frozen=True)
class Share:
    """Share of the entity's operations in the operation's own bin, and in the bins at most `around` from it (hours go round)."""

    by: Bins
    around: int = 0


@dataclass(frozen=True)
class OverQuantile:
    """The operation's amount divided by the amount quantile, of all operations or of those of its kind."""

    percent: int
    of_kind: bool = False


@dataclass(frozen=True)
class UsualShare:
    """Share of the operation's own value among those that gave one; 0 when it is none of the most frequent."""

    of: Word


Comparison = Habit | PerActiveDay | Different | Share | OverQuantile | UsualShare


@dataclass(frozen=True)
class ProfileFeature:
    """One comparison of an operation with a profile, declared once; its name, unit and meaning follow from the parts.

    serves: the criterion of para. 15 that it is evidence for.
    """

    whose: Whose
    how: Comparison
    serves: FraudCriterion = FraudCriterion.POLICY

    @property
    def name(self) -> str:
        """`customer_profile_hour_share_90d`."""
        return f"{self.whose.name.lower()}_profile_{self._words[0]}_{PROFILE_DAYS}d"

    @property
    def unit(self) -> str:
        """The unit of the value."""
        return self._words[1]

    @property
    def meaning(self) -> str:
        """One sentence for the catalogue and for Feast."""
        return f"{self._words[2]}, over {PROFILE_DAYS} days of the {self.whose.name.lower()}'s operations"

    @property
    def window(self) -> str:
        """For the catalogue."""
        return f"{PROFILE_DAYS} local days"

    @property
    def absence(self) -> str:
        """For the catalogue: when it is missing."""
        return f"NaN: {self.whose.name.lower()} not given or without a profile of the day; the operation has no such value"

    @property
    def _words(self) -> tuple[str, str, str]:
        match self.how:
            case Habit(ActiveDays()):
                return "active_days", "days", "number of days with an operation"
            case Habit():
                return "operations", "operations", "number of operations"
            case PerActiveDay():
                return "operations_per_active_day", "operations a day", "operations per day that had one"
            case Different(of):
                return f"{of.name.lower()}_distinct", "values", f"number of different {COLUMNS[Column[of.name]][1]}"
            case Share(by, around):
                bin_, near = by.name.lower(), f"_around_{around}" if around else ""
                return (
                    f"{bin_}{near}_share",
                    "share",
                    f"share in the operation's own {bin_}" + f", or at most {around} aside" * bool(around),
                )
            case OverQuantile(percent, of_kind):
                kind = ("_of_kind", " of the operation's kind") if of_kind else ("", "")
                return (
                    f"amount_over_p{percent}{kind[0]}",
                    "ratio",
                    f"the amount divided by that which {percent}% of the operations{kind[1]} do not exceed",
                )
            case UsualShare(of):
                return (
                    f"{of.name.lower()}_share",
                    "share",
                    f"share with the operation's own {COLUMNS[Column[of.name]][0]}, 0 for none of the usual",
                )


# ---- declarations -> the table that the compiled comparison reads ----------------------------------------------------


def steps(features: Sequence[ProfileFeature], layouts: dict[Whose, Layout]) -> NDArray[np.int64]:
    """The table (features, STEP_WORDS) int64; DeclarationError for a feature that its profile cannot give, or one said twice."""
    names = [feature.name for feature in features]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DeclarationError(f"declared twice: {', '.join(twice)}")
    table = np.zeros((len(features), STEP_WORDS), np.int64)
    for row, feature in zip(table, features, strict=True):
        step = _step(feature, layouts[feature.whose])
        row[: 1 + len(step)] = [feature.whose, *step]
    return table


def _step(feature: ProfileFeature, layout: Layout) -> tuple[int, ...]:
    def word(name: str) -> int:
        layout.field(name, feature.name)
        return layout.offsets[name]

    match feature.how:
        case Habit(of):
            return Step.VALUE, word(of.name)
        case PerActiveDay():
            return Step.RATIO, word("operations"), word("active_days")
        case Different(of):
            return Step.VALUE, word(Usual(of, 0).name) + 1
        case Share(by, around):
            if not 0 <= 2 * around < BINS[by]:
                raise DeclarationError(f"{feature.name}: around={around}, allowed 0 to {(BINS[by] - 1) // 2}")
            return Step.SHARE, word(Histogram(by).name), BINS[by], by, around, word("operations")
        case OverQuantile(percent, of_kind):
            if percent not in PERCENTS:
                raise DeclarationError(f"{feature.name}: quantile of {percent}%, allowed {', '.join(map(str, PERCENTS))}")
            first = word(Amounts(of_kind).name)
            return Step.OVER, first + PERCENTS.index(percent), len(PERCENTS) if of_kind else 0
        case UsualShare(of):
            field = layout.field(Usual(of, 0).name, feature.name)
            assert isinstance(field, Usual), "its name says so"
            return Step.USUAL, word(field.name), field.keep, of
