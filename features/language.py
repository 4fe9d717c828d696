"""What a feature declaration is, how its name is computed, and what a wrong one is told.

    Feature(by=CUSTOMER, how=Sum(), where=SENT & FOREIGN, over=days(1), serves=FraudCriterion.AMOUNT)
    -> customer_sent_foreign_amount_sum_1d

Missing is one value, NaN unless the declaration names another, and means one of: the entity was not given, it has no history,
or nothing is there to divide by. A count of an entity that has history is 0 when nothing matches; an entity without history
is missing, never zero.
"""

import re
from dataclasses import dataclass
from functools import reduce
from math import nan
from typing import ClassVar

from domain.criteria import FraudCriterion
from domain.errors import DeclarationError
from domain.instants import DAY, HOUR, MINUTE, SECOND
from features.layout import SMALL_COLUMNS, Column, Fact, Slot

NOTHING = Fact(0)
RETAINED = 2**62
"""A window as long as the log is kept: bounded by the operations retained, by nothing else."""
LONGEST_WINDOW = 30 * DAY
MAX_STEPS = 6
MAX_NTH = 32
_NAME = re.compile("[a-z][a-z0-9_]*")
_KINDS = reduce(Fact.__or__, (fact for fact in Fact if Fact.BANK_ACCOUNT <= fact <= Fact.OTHER))


def minutes(number: int) -> int:
    """A window in ms."""
    return number * MINUTE


def hours(number: int) -> int:
    """A window in ms."""
    return number * HOUR


def days(number: int) -> int:
    """A window in ms."""
    return number * DAY


# ---- which arrivals count --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    """What was seen of an operation when it arrived: its feature was above a limit. It stays with the operation.

    So later features can count "operations from a device that was new then". A mark's own filter has no marks.
    """

    name: str
    feature: "Feature"
    above: float

    def __post_init__(self) -> None:
        if not isinstance(self.feature, Feature):
            raise DeclarationError(f"mark {self.name}: {self.feature!r}; allowed: a Feature")
        if any(where.marks or where.unmarked for where in (self.feature.where, *_inner_filters(self.feature))):
            raise DeclarationError(
                f"mark {self.name}: its feature {self.feature.name} is made of marks; allowed: facts only"
            )


@dataclass(frozen=True)
class Where:
    """Which arrivals count: every fact and mark needed, none that is excluded. The name enters the feature's.

    `SENT & FOREIGN` needs both, `SENT & ~FOREIGN` the first without the second.
    """

    name: str
    needs: Fact = NOTHING
    excludes: Fact = NOTHING
    marks: tuple[Mark, ...] = ()
    unmarked: tuple[Mark, ...] = ()

    def __and__(self, other: "Where") -> "Where":
        return Where(
            f"{self.name}_{other.name}", self.needs | other.needs, self.excludes | other.excludes,
            self.marks + other.marks, self.unmarked + other.unmarked,
        )  # fmt: skip

    def __invert__(self) -> "Where":
        if self.needs.bit_count() + len(self.marks) != 1 or self.excludes or self.unmarked:
            raise DeclarationError(f"~{self.name}: only a filter of one fact or one mark can be turned round")
        return Where(f"not_{self.name}", NOTHING, self.needs, (), self.marks)

    def flaw(self, by: "Slot | Group") -> str:
        """Why no arrival of an entity can pass, or nothing."""
        if not self.needs:
            return "it needs no fact; name at least one, such as OPERATION"
        if self.needs & self.excludes or set(self.marks) & set(self.unmarked):
            return "it needs what it excludes"
        if (self.needs & _KINDS).bit_count() > 1:
            return "an arrival has one kind"
        if Fact.SENDING in self.needs and Fact.RECEIVING in self.needs:
            return "an entity sends or receives in one arrival"
        if Fact.RECEIVING in self.needs and by not in {Slot.SENDER, Slot.RECIPIENT}:
            return "only accounts (SENDER, RECIPIENT) receive"
        return ""


ANY = Where("")
"""Every arrival of the entity, of any kind: what SinceFirst and Steps look at."""


def fact(name: str, fact: Fact) -> Where:
    """A filter of one fact, to be combined with others."""
    return Where(name, fact)


def marked(name: str, feature: "Feature", above: float) -> Where:
    """A filter of operations whose feature was above a limit as of their own arrival."""
    return Where(name, marks=(Mark(name, feature, above),))


# ---- whose behaviour -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Operations alike: an entity whose key is several columns together; missing when one of them is."""

    name: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if self.name.upper() in Slot.__members__:
            raise DeclarationError(
                f"group {self.name}: an entity has this name; allowed any but {', '.join(map(entity_name, Slot))}"
            )
        if len(set(self.columns)) != len(self.columns) or not 2 <= len(self.columns) <= 4:
            raise DeclarationError(f"group {self.name}: {len(self.columns)} columns; allowed 2 to 4 different ones")


# ---- what is made of them --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Aggregate:
    """What a feature makes of the arrivals that count.

    meaning: a sentence for the catalogue, filled in by `features.wording`; nothing: what leaves it missing although the entity
    has history.
    """

    suffix: ClassVar[str]
    unit: ClassVar[str]
    meaning: ClassVar[str]
    nothing: ClassVar[str] = ""
    takes_window: ClassVar[bool] = True
    looks_at_any: ClassVar[bool] = False

    def flaw(self) -> str:
        """What is wrong with the aggregate's own parts, or nothing."""
        return ""

    @property
    def word(self) -> str:
        """What the aggregate adds to the feature's name."""
        column = getattr(self, "column", None)
        return self.suffix if column is None else f"{column.name.lower()}_{self.suffix}"


@dataclass(frozen=True)
class Count(Aggregate):
    """Arrivals in the window."""

    suffix, unit, meaning = "count", "arrivals", "number of {what}"


@dataclass(frozen=True)
class Sum(Aggregate):
    """Sum of the amounts in the window, tyiyn."""

    suffix, unit, meaning = "amount_sum", "tyiyn", "sum of the amounts of {what}"


@dataclass(frozen=True)
class Mean(Aggregate):
    """Mean amount in the window, tyiyn."""

    suffix, unit, meaning = "amount_mean", "tyiyn", "mean amount of {what}"
    nothing = "none in the window"


@dataclass(frozen=True)
class Max(Aggregate):
    """Largest amount in the window, tyiyn."""

    suffix, unit, meaning = "amount_max", "tyiyn", "largest amount of {what}"
    nothing = "none in the window"


@dataclass(frozen=True)
class Min(Aggregate):
    """Smallest amount in the window, tyiyn."""

    suffix, unit, meaning = "amount_min", "tyiyn", "smallest amount of {what}"
    nothing = "none in the window"


@dataclass(frozen=True)
class Deviation(Aggregate):
    """Population standard deviation of the amounts in the window, tyiyn."""

    suffix, unit, meaning = "amount_deviation", "tyiyn", "standard deviation of the amounts of {what}"
    nothing = "none in the window"


@dataclass(frozen=True)
class ZScore(Aggregate):
    """How many standard deviations the operation's own amount lies above the window's mean."""

    suffix, unit = "amount_zscore", "standard deviations"
    meaning = "how far the operation's amount lies above the mean amount of {what}"
    nothing = "no two different amounts in the window"


@dataclass(frozen=True)
class OverMean(Aggregate):
    """The operation's own amount divided by the window's mean."""

    suffix, unit, meaning = "amount_over_mean", "ratio", "the operation's amount divided by the mean amount of {what}"
    nothing = "none in the window, or all amounts 0"


@dataclass(frozen=True)
class OverMax(Aggregate):
    """The operation's own amount divided by the window's largest."""

    suffix, unit, meaning = "amount_over_max", "ratio", "the operation's amount divided by the largest amount of {what}"
    nothing = "none in the window, or all amounts 0"


@dataclass(frozen=True)
class Share(Aggregate):
    """Share of the arrivals that also pass a narrower filter."""

    of: Where
    unit, meaning = "share", "of the {what}: the share that is {of}"
    nothing = "none in the window"
    suffix = "share"

    @property
    def word(self) -> str:
        """`of_share`."""
        return f"{self.of.name}_share"


@dataclass(frozen=True)
class Pace(Aggregate):
    """Arrivals a day in the window divided by arrivals a day in a longer one: 1 is the entity's own habit."""

    habit: int
    suffix, unit = "pace", "ratio"
    meaning = "number a day of {what}, divided by the number a day of the last {habit}: 1 is the habit"
    nothing = "none within the habit"

    @property
    def word(self) -> str:
        """`pace_against_30d`."""
        return f"pace_against_{window_word(self.habit)}_in"

    def flaw(self) -> str:
        """A habit is a window too."""
        return "" if MINUTE <= self.habit <= LONGEST_WINDOW else f"habit of {self.habit} ms; allowed 1 minute to 30 days"


@dataclass(frozen=True)
class Distinct(Aggregate):
    """Number of different values of a column in the window."""

    column: Column
    suffix, unit, meaning = "distinct", "values", "number of different {columns} among {what}"


@dataclass(frozen=True)
class SameShare(Aggregate):
    """Share of the arrivals that have the operation's own value of the column; windows for small columns alone."""

    column: Column
    suffix, unit, meaning = "same_share", "share", "of the {what}: the share with the operation's own {column}"

    @property
    def takes_window(self) -> bool:  # type: ignore[override]
        """Whether the column's values are counted within windows."""
        return self.column in SMALL_COLUMNS

    @property
    def nothing(self) -> str:  # type: ignore[override]
        """A small column always has a value."""
        return "none in the window" if self.takes_window else "the operation has no {column}, or there are none"


@dataclass(frozen=True)
class SameCount(Aggregate):
    """Number of retained arrivals that have the operation's own value of the column."""

    column: Column
    takes_window = False
    suffix, unit, meaning = "same_count", "arrivals", "number of {what}, with the operation's own {column}"
    nothing = "the operation has no {column}"


@dataclass(frozen=True)
class Entropy(Aggregate):
    """Entropy of a small column's values in the window: 0 for one habit, log2 of the number of values for none."""

    column: Column
    suffix, unit, meaning = "entropy", "bits", "entropy of the {column} among {what}: 0 when it is always the same"
    nothing = "none in the window"

    def flaw(self) -> str:
        """Only small columns are tallied."""
        allowed = ", ".join(column.name for column in SMALL_COLUMNS)
        return "" if self.column in SMALL_COLUMNS else f"entropy of {self.column.name}; allowed {allowed}"


@dataclass(frozen=True)
class SinceLast(Aggregate):
    """Seconds since the last arrival that counts, as far as it is retained."""

    takes_window = False
    suffix, unit, meaning = "seconds_since_last", "s", "seconds since the last of the {what}"
    nothing = "none is retained"


@dataclass(frozen=True)
class SinceFirst(Aggregate):
    """Seconds since the first retained arrival of the entity, of any kind: how long it is known."""

    takes_window, looks_at_any = False, True
    suffix, unit, meaning = "seconds_since_first", "s", "seconds since the first of the {what}"


@dataclass(frozen=True)
class SinceEarliest(Aggregate):
    """Seconds since the first retained arrival that counts: how long something has been going on."""

    takes_window = False
    suffix, unit, meaning = "seconds_since_first", "s", "seconds since the first of the {what}"
    nothing = "none is retained"


@dataclass(frozen=True)
class IsLater(Aggregate):
    """1 when the last arrival that counts came after the last that passes another filter, else 0: which of two was the case last."""

    than: Where
    takes_window = False
    unit, meaning = "0 or 1", "1 when the last of the {what} came after the last of the {than}, else 0"
    nothing = "neither is retained"
    suffix = "is_later"

    @property
    def word(self) -> str:
        """`is_later_than_other`."""
        return f"is_later_than_{self.than.name}"


@dataclass(frozen=True)
class SinceNth(Aggregate):
    """Seconds since the n-th last arrival that counts: small in a burst."""

    n: int
    takes_window = False
    suffix, unit, meaning = "seconds_since_nth", "s", "seconds since the {n} last of the {what}"
    nothing = "fewer are retained"

    @property
    def word(self) -> str:
        """`seconds_since_5th`."""
        return f"seconds_since_{self.nth}_last"

    @property
    def nth(self) -> str:
        """`5th`."""
        ending = {1: "st", 2: "nd", 3: "rd"}.get(self.n if self.n < 20 else self.n % 10, "th")
        return f"{self.n}{ending}"

    def flaw(self) -> str:
        """A few times are kept, not all."""
        return "" if 2 <= self.n <= MAX_NTH else f"n of {self.n}; allowed 2 to {MAX_NTH}, and SinceLast for the last"


@dataclass(frozen=True)
class IsNew(Aggregate):
    """1 when no retained arrival of the entity has the operation's own value of the column, else 0."""

    column: Column
    takes_window = False
    suffix, unit, meaning = "is_new", "0 or 1", "1 when the operation's {column} was never seen among the {what}, else 0"
    nothing = "the operation has no {column}"


@dataclass(frozen=True)
class SinceSame(Aggregate):
    """Seconds since the last retained arrival of the entity with the operation's own value of the column."""

    column: Column
    takes_window = False
    suffix, unit = "seconds_since_same", "s"
    meaning = "seconds since the operation's own {column} was last seen among the {what}"
    nothing = "the operation has no {column}, or it was never seen"


@dataclass(frozen=True)
class Changed(Aggregate):
    """1 when the operation's own value of the column differs from the last one given, else 0."""

    column: Column
    takes_window = False
    suffix, unit = "changed", "0 or 1"
    meaning = "1 when the operation's {column} is not that of the last of the {what} that had one, else 0"
    nothing = "the operation has no {column}, or none before had one"


@dataclass(frozen=True)
class Distance(Aggregate):
    """Kilometres from where the entity's last located arrival that counts was, along the sphere's chord."""

    takes_window = False
    suffix, unit, meaning = "distance", "km", "distance from the place of the last of the {what} with a known place"
    nothing = "the place of either is not known"


@dataclass(frozen=True)
class Speed(Aggregate):
    """That distance divided by the time since: what nobody can travel is not one person. Less than a minute counts as one."""

    takes_window = False
    suffix, unit = "speed", "km/h"
    meaning = "speed needed from the place of the last of the {what} with a known place"
    nothing = "the place of either is not known"


@dataclass(frozen=True)
class Steps(Aggregate):
    """How many steps of a known scheme the entity has gone through, in order, the first of them within the window."""

    scheme: str
    steps: tuple[Where, ...]
    looks_at_any = True
    suffix, unit = "steps", "steps"
    meaning = "how many steps of the scheme *{scheme}* were gone through in order: {steps}; the first of them {window}"

    @property
    def word(self) -> str:
        """`takeover_steps`."""
        return f"{self.scheme}_steps"

    def flaw(self) -> str:
        """A scheme has an order."""
        return "" if 2 <= len(self.steps) <= MAX_STEPS else f"{len(self.steps)} steps; allowed 2 to {MAX_STEPS}"


AGGREGATES: tuple[type[Aggregate], ...] = (
    Count, Sum, Mean, Max, Min, Deviation, ZScore, OverMean, OverMax, Share, Pace, Distinct, SameShare, SameCount, Entropy,
    SinceLast, SinceFirst, SinceEarliest, IsLater, SinceNth, IsNew, SinceSame, Changed, Distance, Speed, Steps,
)  # fmt: skip


# ---- declarations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Feature:
    """One behavioural feature, declared once.

    by: whose behaviour; how: the aggregate; where: which arrivals count; over: the window (t - over, t] in ms of event time
    over what arrived before, exact to the operation, or RETAINED; serves: the criterion of para. 15 that it is evidence for;
    missing: the value where there is none.
    """

    by: Slot | Group
    how: Aggregate
    where: Where
    over: int = RETAINED
    serves: FraudCriterion = FraudCriterion.POLICY
    missing: float = nan

    def __post_init__(self) -> None:
        what = type(self.how).__name__
        if flaw := self.how.flaw():
            raise DeclarationError(f"{self.name}: {what}: {flaw}")
        if not self.how.takes_window and self.over != RETAINED:
            raise DeclarationError(f"{self.name}: {what} takes no window; leave `over` out")
        if self.over != RETAINED and not MINUTE <= self.over <= LONGEST_WINDOW:
            raise DeclarationError(f"{self.name}: window of {self.over} ms; allowed 1 minute to 30 days, or RETAINED")
        if isinstance(self.how, Pace) and self.over >= self.how.habit:
            raise DeclarationError(
                f"{self.name}: a window of {self.over} ms; allowed a shorter one than the habit it is held against"
            )
        if self.how.looks_at_any != (self.where == ANY):
            looking = ", ".join(each.__name__ for each in AGGREGATES if each.looks_at_any)
            raise DeclarationError(
                f"{self.name}: where=ANY is for {looking}, which look at every arrival, and for them alone"
            )
        filters = (self.where, *_inner_filters(self))
        for where in filters:
            if where != ANY and (flaw := where.flaw(self.by)):
                raise DeclarationError(f"{self.name}: where={where.name} can never hold: {flaw}")
        if not _NAME.fullmatch(self.name):
            raise DeclarationError(f"{self.name!r}: a name is made of a-z, 0-9 and _; rename the filter, group or scheme")

    @property
    def name(self) -> str:
        """Computed from the parts: entity, filter, column, aggregate, window."""
        parts = [entity_name(self.by), self.where.name, self.how.word]
        if self.how.takes_window:
            parts.append(window_word(self.over))
        return "_".join(part for part in parts if part)

    @property
    def unit(self) -> str:
        """The unit of the value."""
        return self.how.unit


def _inner_filters(feature: Feature) -> tuple[Where, ...]:
    """Filters that an aggregate has of its own; a share's narrows the feature's."""
    match feature.how:
        case Share(of):
            return (feature.where & of,)
        case IsLater(than):
            return (than,)
        case Steps(_, steps):
            return steps
    return ()


@dataclass(frozen=True)
class Ratio:
    """One feature divided by another of the same entity: what goes out of what came in, frauds of what is known.

    Both are a Count or a Sum; missing where the denominator is 0 or missing.
    """

    numerator: Feature
    denominator: Feature
    serves: FraudCriterion = FraudCriterion.POLICY
    missing: float = nan

    def __post_init__(self) -> None:
        for part in (self.numerator, self.denominator):
            if not isinstance(part.how, Count | Sum):
                raise DeclarationError(
                    f"{self.name}: {part.name} is a {type(part.how).__name__}; a ratio is of Count or Sum"
                )
        if self.numerator.by != self.denominator.by:
            raise DeclarationError(f"{self.name}: of two entities; a ratio is of one, or it could not be computed by entity")

    @property
    def name(self) -> str:
        """`numerator_per_denominator`."""
        return f"{self.numerator.name}_per_{self.denominator.name}"

    @property
    def unit(self) -> str:
        """The unit of the value."""
        return "ratio"


@dataclass(frozen=True)
class Own:
    """A value of the operation itself: AMOUNT in tyiyn, HOUR (0-23), WEEKDAY (Monday 0), KIND, or a fact as 0 or 1."""

    of: str
    serves: FraudCriterion = FraudCriterion.POLICY
    missing: float = nan

    def __post_init__(self) -> None:
        if self.of not in OWN_VALUES:
            raise DeclarationError(f"Own({self.of!r}): allowed {', '.join(OWN_VALUES)}")

    @property
    def name(self) -> str:
        """`operation_` and what it is."""
        return f"operation_{self.of}"

    @property
    def unit(self) -> str:
        """The unit of the value."""
        return OWN_VALUES[self.of]


OWN_VALUES = {
    "amount": "tyiyn", "hour": "hour of day", "weekday": "day of week", "kind": "code",
    "foreign": "0 or 1", "vpn": "0 or 1", "device_given": "0 or 1", "located": "0 or 1", "other_institution": "0 or 1",
    "night": "0 or 1", "window_truncated": "0 or 1",
}  # fmt: skip
"""Values of the operation itself, and their units."""

Declaration = Feature | Ratio | Own


def entity_name(by: Slot | Group) -> str:
    """How a name begins."""
    return by.name.lower()


def window_word(window: int) -> str:
    """`30m`, `1h`, `7d`, or `retained`."""
    if window == RETAINED:
        return "retained"
    for unit, letter in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")):
        if window % unit == 0:
            return f"{window // unit}{letter}"
    return f"{window}ms"
