"""What a feature declaration is, how its name is computed, and what a wrong one is told.

    Feature(by=CUSTOMER, how=Sum(), over=days(1), where=SENT, serves=FraudCriterion.AMOUNT)
    -> customer_sent_amount_sum_1d

Missing is one value, NaN, and means one of: the entity was not given, it has no history, or nothing is there to divide by.
A count of an entity that has history is 0 when nothing matches; an entity without history is missing, never zero.
"""

from dataclasses import dataclass

from domain.criteria import FraudCriterion
from domain.errors import DeclarationError
from domain.instants import DAY, HOUR, MINUTE, SECOND
from features.layout import Column, Fact, Slot

NOTHING = Fact(0)
RETAINED = 2**62
"""A window as long as the log is kept: bounded by the operations retained, by nothing else."""
LONGEST_WINDOW = 30 * DAY


def minutes(number: int) -> int:
    """A window in ms."""
    return number * MINUTE


def hours(number: int) -> int:
    """A window in ms."""
    return number * HOUR


def days(number: int) -> int:
    """A window in ms."""
    return number * DAY


@dataclass(frozen=True)
class Where:
    """Which arrivals count: every fact of `needs`, none of `excludes`. The name enters the feature's."""

    name: str
    needs: Fact
    excludes: Fact = NOTHING


ANY = Where("", NOTHING)
"""Every arrival of the entity, of any kind: what SinceFirst looks at."""


@dataclass(frozen=True)
class Count:
    """Arrivals in the window."""


@dataclass(frozen=True)
class Sum:
    """Sum of the amounts in the window, tyiyn."""


@dataclass(frozen=True)
class Mean:
    """Mean amount in the window, tyiyn."""


@dataclass(frozen=True)
class Deviation:
    """Population standard deviation of the amounts in the window, tyiyn."""


@dataclass(frozen=True)
class ZScore:
    """How many standard deviations the operation's own amount lies above the window's mean."""


@dataclass(frozen=True)
class OverMean:
    """The operation's own amount divided by the window's mean."""


@dataclass(frozen=True)
class Distinct:
    """Number of different values of a column in the window."""

    column: Column


@dataclass(frozen=True)
class SinceLast:
    """Seconds since the last arrival that counts, as far as it is retained."""


@dataclass(frozen=True)
class SinceFirst:
    """Seconds since the first retained arrival of the entity, of any kind."""


@dataclass(frozen=True)
class IsNew:
    """1 when no retained arrival of the entity has the operation's own value of the column, else 0."""

    column: Column


@dataclass(frozen=True)
class SameShare:
    """Share of the entity's retained arrivals that have the operation's own value of the column."""

    column: Column


@dataclass(frozen=True)
class SinceSame:
    """Seconds since the last retained arrival of the entity with the operation's own value of the column."""

    column: Column


Aggregate = (
    Count | Sum | Mean | Deviation | ZScore | OverMean | Distinct | SinceLast | SinceFirst | IsNew | SameShare | SinceSame
)

_SUFFIX: dict[type[Aggregate], str] = {
    Count: "count", Sum: "amount_sum", Mean: "amount_mean", Deviation: "amount_deviation", ZScore: "amount_zscore",
    OverMean: "amount_over_mean", Distinct: "distinct", SinceLast: "seconds_since_last", SinceFirst: "seconds_since_first",
    IsNew: "is_new", SameShare: "same_share", SinceSame: "seconds_since_same",
}  # fmt: skip
_WINDOWLESS = (SinceLast, SinceFirst, IsNew, SameShare, SinceSame)
_UNIT: dict[type[Aggregate], str] = {
    Count: "arrivals", Sum: "tyiyn", Mean: "tyiyn", Deviation: "tyiyn", ZScore: "standard deviations", OverMean: "ratio",
    Distinct: "values", SinceLast: "s", SinceFirst: "s", IsNew: "0 or 1", SameShare: "share", SinceSame: "s",
}  # fmt: skip


@dataclass(frozen=True)
class Feature:
    """One behavioural feature, declared once.

    by: whose behaviour; how: the aggregate; where: which arrivals count; over: the window (t - over, t] in ms of event time
    over what arrived before, exact to the operation, or RETAINED; serves: the criterion of para. 15 that it is evidence for.
    """

    by: Slot
    how: Aggregate
    where: Where
    over: int = RETAINED
    serves: FraudCriterion = FraudCriterion.POLICY

    def __post_init__(self) -> None:
        if isinstance(self.how, _WINDOWLESS) and self.over != RETAINED:
            raise DeclarationError(f"{self.name}: {type(self.how).__name__} takes no window; leave `over` out")
        if self.over != RETAINED and not MINUTE <= self.over <= LONGEST_WINDOW:
            raise DeclarationError(f"{self.name}: window of {self.over} ms; allowed 1 minute to 30 days, or RETAINED")
        if isinstance(self.how, SinceFirst) != (self.where == ANY):
            raise DeclarationError(
                f"{self.name}: where=ANY is for SinceFirst, which looks at every arrival, and for it alone"
            )
        if self.where != ANY and (not self.where.needs or self.where.needs & self.where.excludes):
            raise DeclarationError(f"{self.name}: where={self.where} can never hold; `needs` and `excludes` must differ")

    @property
    def name(self) -> str:
        """Computed from the parts: entity, filter, column, aggregate, window."""
        column = getattr(self.how, "column", None)
        parts = [
            self.by.name.lower(),
            self.where.name,
            "" if column is None else column.name.lower(),
            _SUFFIX[type(self.how)],
        ]
        if not isinstance(self.how, _WINDOWLESS):
            parts.append(window_word(self.over))
        return "_".join(part for part in parts if part)

    @property
    def unit(self) -> str:
        """The unit of the value."""
        return _UNIT[type(self.how)]


@dataclass(frozen=True)
class Ratio:
    """One feature divided by another: a share, a pace against one's own longer habit, what goes out of what came in.

    Both are a Count or a Sum; missing where the denominator is 0 or missing.
    """

    numerator: Feature
    denominator: Feature
    serves: FraudCriterion = FraudCriterion.POLICY

    def __post_init__(self) -> None:
        for part in (self.numerator, self.denominator):
            if not isinstance(part.how, Count | Sum):
                raise DeclarationError(
                    f"{self.name}: {part.name} is a {type(part.how).__name__}; a ratio is of Count or Sum"
                )

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
        return {"amount": "tyiyn", "hour": "hour of day", "weekday": "day of week", "kind": "code"}.get(self.of, "0 or 1")


OWN_VALUES = ("amount", "hour", "weekday", "kind", "foreign", "vpn", "device_given", "window_truncated")

Declaration = Feature | Ratio | Own


def window_word(window: int) -> str:
    """`30m`, `1h`, `7d`, or `retained`."""
    if window == RETAINED:
        return "retained"
    for unit, letter in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")):
        if window % unit == 0:
            return f"{window // unit}{letter}"
    return f"{window}ms"
