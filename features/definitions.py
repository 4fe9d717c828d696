"""EVERY feature, declared once. From here come the batch matrix, the online vector and the names in a bundle's manifest."""

from domain.criteria import FraudCriterion as Criterion
from features.language import (
    ANY,
    Count,
    Declaration,
    Deviation,
    Distinct,
    Feature,
    IsNew,
    Mean,
    OverMean,
    Own,
    Ratio,
    SameShare,
    SinceFirst,
    SinceLast,
    SinceSame,
    Sum,
    Where,
    ZScore,
    days,
    hours,
)
from features.layout import Column, Fact, Slot

RETAINED_ARRIVALS = 2**22
"""How many operations, events and outcomes the log keeps; beyond it `operation_window_truncated` says what is lost."""

SENT = Where("sent", Fact.OPERATION | Fact.SENDING)
RECEIVED = Where("received", Fact.OPERATION | Fact.RECEIVING)
CASHED = Where("cashed", Fact.OPERATION | Fact.SENDING | Fact.CASH)
TOPPED_UP = Where("topped_up", Fact.OPERATION | Fact.SENDING | Fact.TOP_UP)
FRAUD_SENT = Where("fraud_known_sent", Fact.FRAUD_KNOWN | Fact.SENDING)
FRAUD_RECEIVED = Where("fraud_known_received", Fact.FRAUD_KNOWN | Fact.RECEIVING)
GENUINE_SENT = Where("genuine_known_sent", Fact.GENUINE_KNOWN | Fact.SENDING)
GENUINE_RECEIVED = Where("genuine_known_received", Fact.GENUINE_KNOWN | Fact.RECEIVING)
LOGIN_FAILED = Where("login_failed", Fact.LOGIN_FAILED)
CONTACT_CHANGED = Where("contact_changed", Fact.CONTACT_CHANGED)
DEVICE_ENROLLED = Where("device_enrolled", Fact.DEVICE_ENROLLED)
LOGIN_METHOD_CHANGED = Where("login_method_changed", Fact.LOGIN_METHOD_CHANGED)
AUTHORISATION_CHANGED = Where("authorisation_method_changed", Fact.AUTHORISATION_METHOD_CHANGED)
RETURNED = Where("returned", Fact.OPERATION_RETURNED)
CANCELLED = Where("cancelled", Fact.OPERATION_CANCELLED)


def _windows(
    by: Slot, how: Count | Sum | Mean | Distinct, where: Where, serves: Criterion, *windows: int
) -> list[Declaration]:
    return [Feature(by, how, where, window, serves) for window in windows]


def _known(by: Slot, fraud: Where, genuine: Where) -> list[Declaration]:
    """What is known of an entity's past by now: frauds, their share of what is known, the age of the last (R68)."""
    serves = Criterion.SUSPICIOUS_RECIPIENT
    frauds = Feature(by, Count(), fraud, serves=serves)
    return [
        Feature(by, Count(), fraud, days(7), serves),
        Feature(by, Count(), fraud, days(30), serves),
        frauds,
        Feature(by, Count(), genuine, days(30), serves),
        Ratio(Feature(by, Count(), fraud, days(30), serves), Feature(by, Count(), genuine, days(30), serves), serves),
        Ratio(frauds, Feature(by, Count(), genuine, serves=serves), serves),
        Feature(by, SinceLast(), fraud, serves=serves),
        Feature(by, SinceLast(), genuine, serves=serves),
    ]


DEFINITIONS: tuple[Declaration, ...] = (
    # the operation itself
    Own("amount", Criterion.AMOUNT),
    Own("kind"),
    Own("hour", Criterion.TIME),
    Own("weekday", Criterion.TIME),
    Own("foreign", Criterion.DEVICE),
    Own("vpn", Criterion.DEVICE),
    Own("device_given", Criterion.DEVICE),
    Own("window_truncated"),
    # R59: a sudden rise of operations initiated or received
    *_windows(Slot.CUSTOMER, Count(), SENT, Criterion.FREQUENCY, hours(1), days(1), days(7), days(30)),
    *_windows(Slot.RECIPIENT, Count(), RECEIVED, Criterion.FREQUENCY, hours(1), days(1), days(7), days(30)),
    *[
        Ratio(Feature(by, Count(), where, days(1)), Feature(by, Count(), where, days(30)), Criterion.FREQUENCY)
        for by, where in ((Slot.CUSTOMER, SENT), (Slot.RECIPIENT, RECEIVED))
    ],
    Feature(Slot.CUSTOMER, SinceFirst(), ANY, serves=Criterion.FREQUENCY),
    Feature(Slot.CUSTOMER, SinceLast(), SENT, serves=Criterion.FREQUENCY),
    Feature(Slot.RECIPIENT, SinceFirst(), ANY, serves=Criterion.FREQUENCY),
    # R60: operations alike by sum, recipient and type, of many customers
    *_windows(Slot.LIKENESS, Count(), SENT, Criterion.GROUP, hours(1), days(1)),
    *_windows(Slot.LIKENESS, Distinct(Column.CUSTOMER), SENT, Criterion.GROUP, hours(1), days(1), days(7)),
    # R61: amount and category against habit
    *_windows(Slot.CUSTOMER, Sum(), SENT, Criterion.AMOUNT, hours(1), days(1), days(7), days(30)),
    *_windows(Slot.CUSTOMER, Mean(), SENT, Criterion.AMOUNT, days(1), days(7), days(30)),
    Feature(Slot.CUSTOMER, Deviation(), SENT, days(30), Criterion.AMOUNT),
    Feature(Slot.CUSTOMER, ZScore(), SENT, days(30), Criterion.AMOUNT),
    Feature(Slot.CUSTOMER, OverMean(), SENT, days(30), Criterion.AMOUNT),
    Feature(Slot.CUSTOMER, Mean(), GENUINE_SENT, serves=Criterion.AMOUNT),
    Feature(Slot.CUSTOMER, ZScore(), GENUINE_SENT, serves=Criterion.AMOUNT),
    Feature(Slot.CUSTOMER, OverMean(), GENUINE_SENT, serves=Criterion.AMOUNT),
    Feature(Slot.RECIPIENT, Mean(), RECEIVED, days(7), Criterion.AMOUNT),
    Feature(Slot.RECIPIENT, OverMean(), RECEIVED, days(7), Criterion.AMOUNT),
    Feature(Slot.CUSTOMER, IsNew(Column.CATEGORY), SENT, serves=Criterion.AMOUNT),
    Feature(Slot.CUSTOMER, SameShare(Column.CATEGORY), SENT, serves=Criterion.AMOUNT),
    Feature(Slot.CUSTOMER, SameShare(Column.KIND), SENT, serves=Criterion.AMOUNT),
    # R62: device, address and place
    Feature(Slot.CUSTOMER, IsNew(Column.DEVICE), SENT, serves=Criterion.DEVICE),
    Feature(Slot.CUSTOMER, SameShare(Column.DEVICE), SENT, serves=Criterion.DEVICE),
    Feature(Slot.CUSTOMER, IsNew(Column.ADDRESS), SENT, serves=Criterion.DEVICE),
    Feature(Slot.CUSTOMER, IsNew(Column.COUNTRY), SENT, serves=Criterion.DEVICE),
    Feature(Slot.CUSTOMER, Distinct(Column.DEVICE), SENT, days(7), Criterion.DEVICE),
    *_windows(Slot.DEVICE, Distinct(Column.CUSTOMER), SENT, Criterion.DEVICE, days(1), days(30)),
    *_windows(Slot.ADDRESS, Distinct(Column.CUSTOMER), SENT, Criterion.DEVICE, hours(1), days(1)),
    Feature(Slot.DEVICE, SinceFirst(), ANY, serves=Criterion.DEVICE),
    Feature(Slot.CUSTOMER, SinceLast(), DEVICE_ENROLLED, serves=Criterion.DEVICE),
    # R63: hour and weekday against habit
    Feature(Slot.CUSTOMER, SameShare(Column.HOUR), SENT, serves=Criterion.TIME),
    Feature(Slot.CUSTOMER, SameShare(Column.WEEKDAY), SENT, serves=Criterion.TIME),
    # R64: failed log-ins
    *_windows(Slot.CUSTOMER, Count(), LOGIN_FAILED, Criterion.FAILED_LOGINS, hours(1), days(1)),
    Feature(Slot.ADDRESS, Count(), LOGIN_FAILED, hours(1), Criterion.FAILED_LOGINS),
    # R65: contact changes, above all before large operations
    *_windows(Slot.CUSTOMER, Count(), CONTACT_CHANGED, Criterion.CONTACT_CHANGES, days(1), days(30)),
    Feature(Slot.CUSTOMER, SinceLast(), CONTACT_CHANGED, serves=Criterion.CONTACT_CHANGES),
    # R67: returns and cancellations
    *_windows(Slot.CUSTOMER, Count(), RETURNED, Criterion.RETURNS, days(7), days(30)),
    Feature(Slot.CUSTOMER, Count(), CANCELLED, days(7), Criterion.RETURNS),
    # R68: what is known of recipient, customer and device by now
    *_known(Slot.RECIPIENT, FRAUD_RECEIVED, GENUINE_RECEIVED),
    Feature(Slot.CUSTOMER, Count(), FRAUD_SENT, days(30), Criterion.SUSPICIOUS_RECIPIENT),
    Feature(Slot.CUSTOMER, SinceLast(), FRAUD_SENT, serves=Criterion.SUSPICIOUS_RECIPIENT),
    Feature(Slot.DEVICE, Count(), FRAUD_SENT, days(30), Criterion.SUSPICIOUS_RECIPIENT),
    Feature(Slot.CUSTOMER, IsNew(Column.RECIPIENT), SENT, serves=Criterion.SUSPICIOUS_RECIPIENT),
    Feature(Slot.CUSTOMER, SinceSame(Column.RECIPIENT), SENT, serves=Criterion.SUSPICIOUS_RECIPIENT),
    # R69: splitting and spreading to many recipients
    *_windows(Slot.SENDER, Distinct(Column.RECIPIENT), SENT, Criterion.SPLITTING, hours(1), days(1), days(7)),
    Ratio(Feature(Slot.SENDER, Count(), SENT, hours(1)), Feature(Slot.SENDER, Count(), SENT, days(30)), Criterion.SPLITTING),
    # R70: sources of top-ups
    Feature(Slot.CUSTOMER, IsNew(Column.FUNDING), TOPPED_UP, serves=Criterion.ATYPICAL_SOURCE),
    Feature(Slot.CUSTOMER, SameShare(Column.FUNDING), TOPPED_UP, serves=Criterion.ATYPICAL_SOURCE),
    Feature(Slot.RECIPIENT, IsNew(Column.FUNDING), RECEIVED, serves=Criterion.ATYPICAL_SOURCE),
    # R71: changed ways of logging in and authorising
    Feature(Slot.CUSTOMER, SinceLast(), LOGIN_METHOD_CHANGED, serves=Criterion.AUTHORISATION_CHANGE),
    Feature(Slot.CUSTOMER, SinceLast(), AUTHORISATION_CHANGED, serves=Criterion.AUTHORISATION_CHANGE),
    Feature(Slot.CUSTOMER, IsNew(Column.LOGIN_METHOD), SENT, serves=Criterion.AUTHORISATION_CHANGE),
    Feature(Slot.CUSTOMER, IsNew(Column.AUTHORISATION_METHOD), SENT, serves=Criterion.AUTHORISATION_CHANGE),
    # R72: money that comes in and goes on
    *_windows(Slot.SENDER, Sum(), RECEIVED, Criterion.PASS_THROUGH, hours(1), days(1)),
    *[
        Ratio(
            Feature(Slot.SENDER, Sum(), SENT, window), Feature(Slot.SENDER, Sum(), RECEIVED, window), Criterion.PASS_THROUGH
        )
        for window in (hours(1), days(1))
    ],
    Feature(Slot.SENDER, SinceLast(), RECEIVED, serves=Criterion.PASS_THROUGH),
    Feature(Slot.RECIPIENT, Sum(), SENT, days(1), Criterion.PASS_THROUGH),
    # R73: many payers and tools, then withdrawal
    *_windows(Slot.SENDER, Distinct(Column.CUSTOMER), RECEIVED, Criterion.COLLECTING, days(1), days(7)),
    *_windows(Slot.RECIPIENT, Distinct(Column.CUSTOMER), RECEIVED, Criterion.COLLECTING, hours(1), days(1), days(7)),
    Feature(Slot.RECIPIENT, Distinct(Column.FUNDING), RECEIVED, days(7), Criterion.COLLECTING),
    Feature(Slot.SENDER, Sum(), CASHED, days(1), Criterion.COLLECTING),
    # R15: agents and employees
    *_windows(Slot.AGENT, Count(), SENT, Criterion.POLICY, hours(1), days(1)),
    *_windows(Slot.EMPLOYEE, Count(), SENT, Criterion.POLICY, hours(1), days(1)),
    Feature(Slot.AGENT, Distinct(Column.CUSTOMER), SENT, days(1), Criterion.POLICY),
    Feature(Slot.AGENT, Sum(), CASHED, days(1), Criterion.POLICY),
    Feature(Slot.EMPLOYEE, Distinct(Column.CUSTOMER), SENT, days(1), Criterion.POLICY),
    Feature(Slot.EMPLOYEE, Count(), CONTACT_CHANGED, days(1), Criterion.POLICY),
)
