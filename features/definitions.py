"""EVERY feature, declared once.

From here come the batch matrix, the online vector, the Feast registration, the catalogue and the names in a bundle's manifest.
"""

from domain.criteria import FraudCriterion as Criterion
from features.language import (
    ANY,
    Aggregate,
    Changed,
    Count,
    Declaration,
    Deviation,
    Distance,
    Distinct,
    Entropy,
    Feature,
    Group,
    IsLater,
    IsNew,
    Max,
    Mean,
    OverMax,
    OverMean,
    Own,
    Pace,
    Ratio,
    SameCount,
    SameShare,
    Share,
    SinceEarliest,
    SinceFirst,
    SinceLast,
    SinceNth,
    SinceSame,
    Speed,
    Steps,
    Sum,
    Where,
    ZScore,
    days,
    fact,
    hours,
    marked,
    minutes,
)  # fmt: skip
from features.layout import Column, Fact, Slot

RETAINED_ARRIVALS = 2**22
"""How many operations, events and outcomes the log keeps; beyond it `operation_window_truncated` says what is lost."""

# ---- which arrivals count --------------------------------------------------------------------------------------------

SENT = Where("sent", Fact.OPERATION | Fact.SENDING)
RECEIVED = Where("received", Fact.OPERATION | Fact.RECEIVING)
CASHED = Where("cashed", Fact.OPERATION | Fact.SENDING | Fact.CASH_WITHDRAWAL)
TOPPED_UP = Where("topped_up", Fact.OPERATION | Fact.SENDING | Fact.TOP_UP)
FRAUD_SENT = Where("fraud_known_sent", Fact.FRAUD_KNOWN | Fact.SENDING)
FRAUD_RECEIVED = Where("fraud_known_received", Fact.FRAUD_KNOWN | Fact.RECEIVING)
GENUINE_SENT = Where("genuine_known_sent", Fact.GENUINE_KNOWN | Fact.SENDING)
GENUINE_RECEIVED = Where("genuine_known_received", Fact.GENUINE_KNOWN | Fact.RECEIVING)
LOGIN_SUCCEEDED = Where("login_succeeded", Fact.LOGIN_SUCCEEDED)
LOGIN_FAILED = Where("login_failed", Fact.LOGIN_FAILED)
CONTACT_CHANGED = Where("contact_changed", Fact.CONTACT_CHANGED)
DEVICE_ENROLLED = Where("device_enrolled", Fact.DEVICE_ENROLLED)
LOGIN_METHOD_CHANGED = Where("login_method_changed", Fact.LOGIN_METHOD_CHANGED)
AUTHORISATION_CHANGED = Where("authorisation_method_changed", Fact.AUTHORISATION_METHOD_CHANGED)
RETURNED = Where("returned", Fact.OPERATION_RETURNED)
CANCELLED = Where("cancelled", Fact.OPERATION_CANCELLED)

TOP_UP, VIRTUAL_ASSET = fact("top_up", Fact.TOP_UP), fact("virtual_asset", Fact.VIRTUAL_ASSET_TRANSFER)
FOREIGN, VPN, NIGHT = fact("foreign", Fact.FOREIGN), fact("vpn", Fact.VPN), fact("night", Fact.NIGHT)
OTHER_INSTITUTION = fact("other_institution", Fact.OTHER_INSTITUTION)

NEW_DEVICE = marked("new_device", Feature(Slot.CUSTOMER, IsNew(Column.DEVICE), SENT), 0)
NEW_RECIPIENT = marked("new_recipient", Feature(Slot.CUSTOMER, IsNew(Column.RECIPIENT), SENT), 0)
LARGE = marked("large", Feature(Slot.CUSTOMER, OverMean(), SENT, days(30)), 3)
UNUSUAL = marked("unusual", Feature(Slot.CUSTOMER, OverMean(), GENUINE_SENT), 3)
TO_SUSPICIOUS = marked("to_suspicious", Feature(Slot.RECIPIENT, Count(), FRAUD_RECEIVED), 0)
FROM_SUSPICIOUS = marked("from_suspicious", Feature(Slot.SENDER, Count(), FRAUD_RECEIVED), 0)

# ---- operations alike (R60, R69) -------------------------------------------------------------------------------------

ALIKE = Group("alike", (Column.RECIPIENT, Column.KIND, Column.BAND))
ALIKE_SHIFTED = Group("alike_shifted", (Column.RECIPIENT, Column.KIND, Column.SHIFTED_BAND))
"""Bands half an octave further: amounts within 40% of each other share one band or the other, so no edge hides them."""
CORRIDOR = Group("corridor", (Column.KIND, Column.RECIPIENT_COUNTRY))
SENDER_ALIKE = Group("sender_alike", (Column.SENDER, Column.BAND))


def _over(by: Slot | Group, how: Aggregate, where: Where, serves: Criterion, *windows: int) -> list[Declaration]:
    return [Feature(by, how, where, window, serves) for window in windows]


def _ever(by: Slot | Group, where: Where, serves: Criterion, *hows: Aggregate) -> list[Declaration]:
    return [Feature(by, how, where, serves=serves) for how in hows]


def _ratio(by: Slot, how: Count | Sum, above: Where, below: Where, over: int, serves: Criterion) -> Ratio:
    return Ratio(Feature(by, how, above, over), Feature(by, how, below, over), serves)


def _known(by: Slot, fraud: Where, genuine: Where) -> list[Declaration]:
    """What is known of an entity's past by now (R68).

    Frauds and how large they were, their share of what is known, the age of the last two and of the first: one may be a single
    customer's loss that has nothing to do with the entity, two are less often so.
    """
    serves = Criterion.SUSPICIOUS_RECIPIENT
    return [
        *_over(by, Count(), fraud, serves, days(7), days(30)),
        *_over(by, Mean(), fraud, serves, days(7)),
        Feature(by, Count(), fraud, serves=serves),
        Feature(by, Count(), genuine, days(30), serves),
        _ratio(by, Count(), fraud, genuine, days(30), serves),
        _ratio(by, Count(), fraud, genuine, days(7), serves),
        Ratio(Feature(by, Count(), fraud), Feature(by, Count(), genuine), serves),
        *_ever(by, fraud, serves, SinceLast(), SinceNth(2), SinceEarliest(), IsLater(genuine)),
        *_ever(by, genuine, serves, SinceLast()),
    ]


DEFINITIONS: tuple[Declaration, ...] = (
    # the operation itself
    Own("amount", Criterion.AMOUNT),
    Own("kind"),
    Own("hour", Criterion.TIME),
    Own("weekday", Criterion.TIME),
    Own("night", Criterion.TIME),
    Own("foreign", Criterion.DEVICE),
    Own("vpn", Criterion.DEVICE),
    Own("device_given", Criterion.DEVICE),
    Own("other_institution", Criterion.PASS_THROUGH),
    Own("window_truncated"),
    # R59: a sudden rise of operations initiated or received
    *_over(Slot.CUSTOMER, Count(), SENT, Criterion.FREQUENCY, minutes(10), hours(1), days(1), days(7), days(30)),
    *_over(Slot.RECIPIENT, Count(), RECEIVED, Criterion.FREQUENCY, minutes(10), hours(1), days(1), days(7), days(30)),
    *_over(Slot.CUSTOMER, Pace(days(30)), SENT, Criterion.FREQUENCY, hours(1), days(1)),
    *_over(Slot.RECIPIENT, Pace(days(30)), RECEIVED, Criterion.FREQUENCY, hours(1), days(1)),
    *_ever(Slot.CUSTOMER, SENT, Criterion.FREQUENCY, SinceLast(), SinceNth(5)),
    *_ever(Slot.RECIPIENT, RECEIVED, Criterion.FREQUENCY, SinceLast(), SinceNth(5)),
    Feature(Slot.CUSTOMER, SinceFirst(), ANY, serves=Criterion.FREQUENCY),
    Feature(Slot.RECIPIENT, SinceFirst(), ANY, serves=Criterion.FREQUENCY),
    # R60: operations alike by sum, recipient and type, of many customers
    *_over(ALIKE, Count(), SENT, Criterion.GROUP, hours(1), days(1)),
    *_over(ALIKE, Distinct(Column.CUSTOMER), SENT, Criterion.GROUP, hours(1), days(1), days(7)),
    *_over(ALIKE, Pace(days(7)), SENT, Criterion.GROUP, hours(1)),
    *_over(ALIKE_SHIFTED, Distinct(Column.CUSTOMER), SENT, Criterion.GROUP, hours(1), days(1)),
    *_over(CORRIDOR, Pace(days(7)), SENT, Criterion.GROUP, hours(1)),
    # R61: amount and category against habit
    *_over(Slot.CUSTOMER, Sum(), SENT, Criterion.AMOUNT, hours(1), days(1), days(7), days(30)),
    *_over(Slot.CUSTOMER, Mean(), SENT, Criterion.AMOUNT, days(1), days(7), days(30)),
    *_over(Slot.CUSTOMER, Max(), SENT, Criterion.AMOUNT, days(1), days(7), days(30)),
    Feature(Slot.CUSTOMER, Deviation(), SENT, days(30), Criterion.AMOUNT),
    Feature(Slot.CUSTOMER, ZScore(), SENT, days(30), Criterion.AMOUNT),
    *_over(Slot.CUSTOMER, OverMean(), SENT, Criterion.AMOUNT, days(7), days(30)),
    Feature(Slot.CUSTOMER, OverMax(), SENT, days(30), Criterion.AMOUNT),
    *_ever(Slot.CUSTOMER, GENUINE_SENT, Criterion.AMOUNT, Mean(), ZScore(), OverMean(), OverMax()),
    *_over(Slot.CUSTOMER, Share(UNUSUAL), SENT, Criterion.AMOUNT, days(7)),
    *_ever(Slot.CUSTOMER, SENT & UNUSUAL, Criterion.AMOUNT, SinceLast()),
    Feature(Slot.RECIPIENT, Mean(), RECEIVED, days(7), Criterion.AMOUNT),
    Feature(Slot.RECIPIENT, OverMean(), RECEIVED, days(7), Criterion.AMOUNT),
    Feature(Slot.RECIPIENT, ZScore(), RECEIVED, days(30), Criterion.AMOUNT),
    *_ever(Slot.RECIPIENT, GENUINE_RECEIVED, Criterion.AMOUNT, OverMean()),
    *_ever(Slot.CUSTOMER, SENT, Criterion.AMOUNT, IsNew(Column.CATEGORY), SameShare(Column.CATEGORY)),
    *_over(Slot.CUSTOMER, SameShare(Column.KIND), SENT, Criterion.AMOUNT, days(30)),
    *_over(Slot.CUSTOMER, SameShare(Column.BAND), SENT, Criterion.AMOUNT, days(30)),
    *_over(Slot.CUSTOMER, Share(FOREIGN), SENT, Criterion.AMOUNT, days(30)),
    # R62: device, address and place
    *_ever(Slot.CUSTOMER, SENT, Criterion.DEVICE, IsNew(Column.DEVICE), SameShare(Column.DEVICE), SinceSame(Column.DEVICE)),
    *_ever(Slot.CUSTOMER, SENT, Criterion.DEVICE, IsNew(Column.ADDRESS), SameShare(Column.ADDRESS)),
    *_ever(Slot.CUSTOMER, SENT, Criterion.DEVICE, IsNew(Column.COUNTRY), Changed(Column.COUNTRY), Distance(), Speed()),
    *_over(Slot.CUSTOMER, Distinct(Column.DEVICE), SENT, Criterion.DEVICE, days(1), days(7)),
    *_over(Slot.CUSTOMER, Distinct(Column.COUNTRY), SENT, Criterion.DEVICE, days(7)),
    *_over(Slot.CUSTOMER, Share(VPN), SENT, Criterion.DEVICE, days(30)),
    *_over(Slot.CUSTOMER, Count(), SENT & NEW_DEVICE, Criterion.DEVICE, days(1)),
    *_ever(Slot.CUSTOMER, SENT & NEW_DEVICE, Criterion.DEVICE, SinceLast()),
    *_ever(Slot.CUSTOMER, DEVICE_ENROLLED, Criterion.DEVICE, SinceLast()),
    *_over(Slot.DEVICE, Count(), SENT, Criterion.DEVICE, hours(1)),
    *_over(Slot.DEVICE, Distinct(Column.CUSTOMER), SENT, Criterion.DEVICE, days(1), days(30)),
    *_over(Slot.ADDRESS, Distinct(Column.CUSTOMER), SENT, Criterion.DEVICE, hours(1), days(1)),
    Feature(Slot.DEVICE, SinceFirst(), ANY, serves=Criterion.DEVICE),
    # R63: hour and weekday against habit
    *_over(Slot.CUSTOMER, SameShare(Column.HOUR), SENT, Criterion.TIME, days(30)),
    *_over(Slot.CUSTOMER, SameShare(Column.WEEKDAY), SENT, Criterion.TIME, days(30)),
    *_over(Slot.CUSTOMER, Entropy(Column.HOUR), SENT, Criterion.TIME, days(30)),
    *_over(Slot.CUSTOMER, Share(NIGHT), SENT, Criterion.TIME, days(30)),
    # R64: failed log-ins
    *_over(Slot.CUSTOMER, Count(), LOGIN_FAILED, Criterion.FAILED_LOGINS, minutes(10), hours(1), days(1)),
    *_ever(Slot.CUSTOMER, LOGIN_FAILED, Criterion.FAILED_LOGINS, SinceLast()),
    _ratio(Slot.CUSTOMER, Count(), LOGIN_FAILED, LOGIN_SUCCEEDED, days(7), Criterion.FAILED_LOGINS),
    *_over(Slot.DEVICE, Count(), LOGIN_FAILED, Criterion.FAILED_LOGINS, hours(1)),
    *_over(Slot.ADDRESS, Count(), LOGIN_FAILED, Criterion.FAILED_LOGINS, hours(1)),
    *_over(Slot.ADDRESS, Distinct(Column.CUSTOMER), LOGIN_FAILED, Criterion.FAILED_LOGINS, hours(1)),
    # R65: contact changes, above all before large operations
    *_over(Slot.CUSTOMER, Count(), CONTACT_CHANGED, Criterion.CONTACT_CHANGES, days(1), days(7), days(30)),
    *_ever(Slot.CUSTOMER, CONTACT_CHANGED, Criterion.CONTACT_CHANGES, SinceLast()),
    Feature(
        Slot.CUSTOMER, Steps("contact_then_large", (CONTACT_CHANGED, SENT & LARGE)), ANY, days(3), Criterion.CONTACT_CHANGES
    ),
    # R66: steps of known schemes, in order
    Feature(
        Slot.CUSTOMER,
        Steps("takeover", (LOGIN_FAILED, LOGIN_SUCCEEDED, CONTACT_CHANGED, SENT & NEW_RECIPIENT)),
        ANY,
        days(3),
        Criterion.KNOWN_SCHEME,
    ),
    Feature(
        Slot.CUSTOMER,
        Steps("new_device_takeover", (DEVICE_ENROLLED, AUTHORISATION_CHANGED, SENT & NEW_RECIPIENT)),
        ANY,
        days(3),
        Criterion.KNOWN_SCHEME,
    ),
    Feature(
        Slot.CUSTOMER,
        Steps("growing_investment", (SENT & NEW_RECIPIENT, SENT & LARGE, SENT & LARGE)),
        ANY,
        days(30),
        Criterion.KNOWN_SCHEME,
    ),
    Feature(
        Slot.SENDER, Steps("collect_and_cash", (RECEIVED, RECEIVED, RECEIVED, CASHED)), ANY, days(1), Criterion.KNOWN_SCHEME
    ),
    Feature(Slot.RECIPIENT, Steps("mule", (RECEIVED, SENT, RECEIVED, SENT)), ANY, days(1), Criterion.KNOWN_SCHEME),
    # R67: returns and cancellations
    *_over(Slot.CUSTOMER, Count(), RETURNED, Criterion.RETURNS, days(1), days(7), days(30)),
    *_over(Slot.CUSTOMER, Count(), CANCELLED, Criterion.RETURNS, days(1), days(7)),
    _ratio(Slot.CUSTOMER, Count(), RETURNED, SENT, days(30), Criterion.RETURNS),
    # R68: what is known of recipient, customer and device by now, one and two steps away
    *_known(Slot.RECIPIENT, FRAUD_RECEIVED, GENUINE_RECEIVED),
    *_over(Slot.CUSTOMER, Count(), FRAUD_SENT, Criterion.SUSPICIOUS_RECIPIENT, days(30)),
    *_over(Slot.CUSTOMER, Count(), GENUINE_SENT, Criterion.SUSPICIOUS_RECIPIENT, days(30)),
    *_ever(Slot.CUSTOMER, FRAUD_SENT, Criterion.SUSPICIOUS_RECIPIENT, SinceLast(), SinceEarliest()),
    *_over(Slot.DEVICE, Count(), FRAUD_SENT, Criterion.SUSPICIOUS_RECIPIENT, days(30)),
    *_over(Slot.DEVICE, Count(), GENUINE_SENT, Criterion.SUSPICIOUS_RECIPIENT, days(30)),
    *_ever(Slot.DEVICE, FRAUD_SENT, Criterion.SUSPICIOUS_RECIPIENT, SinceLast()),
    *_over(Slot.CUSTOMER, Count(), SENT & TO_SUSPICIOUS, Criterion.SUSPICIOUS_RECIPIENT, days(30)),
    *_over(Slot.RECIPIENT, Count(), SENT & TO_SUSPICIOUS, Criterion.SUSPICIOUS_RECIPIENT, days(30)),
    *_over(Slot.RECIPIENT, Count(), FRAUD_SENT, Criterion.SUSPICIOUS_RECIPIENT, days(30)),
    *_over(Slot.SENDER, Count(), RECEIVED & FROM_SUSPICIOUS, Criterion.SUSPICIOUS_RECIPIENT, days(30)),
    *_ever(Slot.CUSTOMER, SENT, Criterion.SUSPICIOUS_RECIPIENT, IsNew(Column.RECIPIENT), SinceSame(Column.RECIPIENT)),
    *_ever(Slot.CUSTOMER, SENT, Criterion.SUSPICIOUS_RECIPIENT, SameCount(Column.RECIPIENT)),
    # R69: splitting and spreading to many recipients
    *_over(Slot.SENDER, Distinct(Column.RECIPIENT), SENT, Criterion.SPLITTING, hours(1), days(1), days(7)),
    *_over(Slot.SENDER, Pace(days(30)), SENT, Criterion.SPLITTING, hours(1)),
    *_over(Slot.CUSTOMER, Count(), SENT & NEW_RECIPIENT, Criterion.SPLITTING, hours(1), days(1)),
    *_over(SENDER_ALIKE, Count(), SENT, Criterion.SPLITTING, hours(1), days(1)),
    *_over(SENDER_ALIKE, Distinct(Column.RECIPIENT), SENT, Criterion.SPLITTING, days(1)),
    # R70: sources of top-ups
    *_ever(Slot.CUSTOMER, TOPPED_UP, Criterion.ATYPICAL_SOURCE, IsNew(Column.FUNDING), SameShare(Column.FUNDING)),
    *_over(Slot.CUSTOMER, Distinct(Column.FUNDING), TOPPED_UP, Criterion.ATYPICAL_SOURCE, days(7)),
    *_ever(Slot.RECIPIENT, RECEIVED, Criterion.ATYPICAL_SOURCE, IsNew(Column.FUNDING)),
    # R71: changed ways of logging in and authorising
    *_ever(Slot.CUSTOMER, LOGIN_METHOD_CHANGED, Criterion.AUTHORISATION_CHANGE, SinceLast()),
    *_ever(Slot.CUSTOMER, AUTHORISATION_CHANGED, Criterion.AUTHORISATION_CHANGE, SinceLast()),
    *_ever(Slot.CUSTOMER, SENT, Criterion.AUTHORISATION_CHANGE, IsNew(Column.LOGIN_METHOD), Changed(Column.LOGIN_METHOD)),
    *_ever(Slot.CUSTOMER, SENT, Criterion.AUTHORISATION_CHANGE, IsNew(Column.AUTHORISATION_METHOD)),
    *_ever(Slot.CUSTOMER, SENT, Criterion.AUTHORISATION_CHANGE, Changed(Column.AUTHORISATION_METHOD)),
    *_ever(Slot.CUSTOMER, SENT, Criterion.AUTHORISATION_CHANGE, SameShare(Column.AUTHORISATION_METHOD)),
    # R72: money that comes in and goes on
    *_over(Slot.SENDER, Sum(), RECEIVED, Criterion.PASS_THROUGH, hours(1), days(1)),
    _ratio(Slot.SENDER, Sum(), SENT, RECEIVED, hours(1), Criterion.PASS_THROUGH),
    _ratio(Slot.SENDER, Sum(), SENT, RECEIVED, days(1), Criterion.PASS_THROUGH),
    _ratio(Slot.SENDER, Sum(), SENT & OTHER_INSTITUTION, RECEIVED, days(1), Criterion.PASS_THROUGH),
    _ratio(Slot.RECIPIENT, Sum(), SENT, RECEIVED, days(7), Criterion.PASS_THROUGH),
    *_over(Slot.SENDER, OverMax(), RECEIVED, Criterion.PASS_THROUGH, days(1)),
    *_ever(Slot.SENDER, RECEIVED, Criterion.PASS_THROUGH, SinceLast()),
    *_over(Slot.RECIPIENT, Sum(), SENT, Criterion.PASS_THROUGH, days(1)),
    *_ever(Slot.RECIPIENT, SENT, Criterion.PASS_THROUGH, SinceLast()),
    # R73: many payers and tools, then withdrawal
    *_over(Slot.SENDER, Distinct(Column.CUSTOMER), RECEIVED, Criterion.COLLECTING, days(1), days(7)),
    *_over(Slot.SENDER, Distinct(Column.FUNDING), RECEIVED, Criterion.COLLECTING, days(7)),
    *_over(Slot.RECIPIENT, Distinct(Column.CUSTOMER), RECEIVED, Criterion.COLLECTING, hours(1), days(1), days(7)),
    *_over(Slot.RECIPIENT, Distinct(Column.FUNDING), RECEIVED, Criterion.COLLECTING, days(7)),
    *_over(Slot.RECIPIENT, Share(TOP_UP), RECEIVED, Criterion.COLLECTING, days(7)),
    *_over(Slot.SENDER, Sum(), CASHED, Criterion.COLLECTING, days(1)),
    _ratio(Slot.SENDER, Sum(), CASHED, RECEIVED, days(7), Criterion.COLLECTING),
    _ratio(Slot.RECIPIENT, Sum(), CASHED, RECEIVED, days(7), Criterion.COLLECTING),
    # R15, R74: agents, employees, virtual assets
    *_over(Slot.CUSTOMER, Share(VIRTUAL_ASSET), SENT, Criterion.POLICY, days(30)),
    *_over(Slot.AGENT, Count(), SENT, Criterion.POLICY, hours(1), days(1)),
    *_over(Slot.EMPLOYEE, Count(), SENT, Criterion.POLICY, hours(1), days(1)),
    *_over(Slot.AGENT, Distinct(Column.CUSTOMER), SENT, Criterion.POLICY, days(1)),
    *_over(Slot.AGENT, Sum(), CASHED, Criterion.POLICY, days(1)),
    *_over(Slot.AGENT, Count(), FRAUD_SENT, Criterion.POLICY, days(30)),
    *_over(Slot.EMPLOYEE, Distinct(Column.CUSTOMER), SENT, Criterion.POLICY, days(1)),
    *_over(Slot.EMPLOYEE, Count(), CONTACT_CHANGED, Criterion.POLICY, days(1)),
)
