"""The fraud criteria of para. 15 as small stories: what each feature sees, and what it must not take for it (R59-R73)."""

import itertools
import math
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import Struct

from domain.criteria import FraudCriterion
from domain.events import Event, EventType, Outcome, OutcomeSource, Verdict
from domain.money import Money
from domain.operation import Access, Device, Funding, Kind, Operation, Party
from features.arrivals import row_of_event, row_of_operation, row_of_outcome
from features.definitions import DEFINITIONS
from features.engine import Engine
from features.plan import Plan

PLAN = Plan(DEFINITIONS, 1 << 10)
NOW = datetime(2025, 6, 16, 6, tzinfo=UTC)
"""A Monday, noon in Bishkek."""
NUMBERS = itertools.count()
AYSULUU = Party(customer_id="aysuluu", wallet="w-aysuluu")
BAKYT = Party(customer_id="bakyt", wallet="w-bakyt")
SHOP = Party(account="shop")
PHONE, CARD = Funding(instrument="card", source="bank one"), Funding(instrument="terminal", source="kiosk 7")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def paid(
    sender: Party = AYSULUU,
    recipient: Party = SHOP,
    som: int = 1_000,
    at: datetime = NOW,
    kind: Kind = Kind.E_WALLET,
    **more: object,
) -> Operation:
    """An operation; by default Aysuluu pays the shop 1,000 som now."""
    return Operation(f"op-{next(NUMBERS)}", at, kind, Money(som * 100, "KGS"), sender, recipient, **more)  # type: ignore[arg-type]


def happened(what: EventType, at: datetime, to: Party = AYSULUU) -> Event:
    return Event(f"e-{next(NUMBERS)}", at, what, to)


def known(operation: Operation, verdict: Verdict, at: datetime) -> Outcome:
    return Outcome(f"o-{next(NUMBERS)}", operation.operation_id, verdict, at, OutcomeSource.LAW_ENFORCEMENT)


def seen(operation: Operation, *before: Struct) -> dict[str, float]:
    """The features of an operation after what arrived before it."""
    engine, rows = Engine(PLAN), {}
    for record in before:
        if isinstance(record, Operation):
            rows[record.operation_id] = row_of_operation(record)
            engine.apply(rows[record.operation_id])
        elif isinstance(record, Event):
            engine.apply(row_of_event(record))
        elif isinstance(record, Outcome):
            engine.apply(row_of_outcome(record, rows[record.operation_id]))
    return dict(zip(PLAN.names, engine.read(row_of_operation(operation)).tolist(), strict=True))


def payers(count: int) -> list[Party]:
    return [Party(customer_id=f"c{i}", wallet=f"w{i}") for i in range(count)]


def test_every_criterion_that_a_feature_serves_is_told_twice() -> None:
    """Once as the regulation says it, once as what it does not mean."""
    served = {declaration.serves for declaration in DEFINITIONS} - {FraudCriterion.POLICY}
    for criterion in served:
        told = [name for name in globals() if name.startswith(f"test_{criterion.value.lower()}_")]
        assert len(told) >= 2, criterion


# ---- R59: frequency --------------------------------------------------------------------------------------------------


def test_r59_a_sudden_rise_of_initiated_operations_is_seen() -> None:
    habit = [paid(at=ago(days=day)) for day in range(29, 1, -1)]
    burst = [paid(at=ago(minutes=minute)) for minute in range(56, 0, -2)]
    vector = seen(paid(), *habit, *burst)
    assert vector["customer_sent_count_1h"] == vector["customer_sent_count_1d"] == 28
    assert vector["customer_sent_count_1d_per_customer_sent_count_30d"] == 0.5


def test_r59_a_sudden_rise_of_received_operations_is_seen() -> None:
    burst = [paid(payer, BAKYT, at=ago(minutes=50 - i)) for i, payer in enumerate(payers(9))]
    vector = seen(paid(recipient=BAKYT), *burst)
    assert vector["recipient_received_count_1h"] == 9
    assert vector["recipient_received_count_1d_per_recipient_received_count_30d"] == 1


def test_r59_as_many_operations_at_the_usual_pace_are_no_rise() -> None:
    habit = [paid(at=ago(days=day)) for day in range(29, 0, -1)]
    vector = seen(paid(), *habit)
    assert vector["customer_sent_count_1h"] == 0
    assert vector["customer_sent_count_1d_per_customer_sent_count_30d"] == 0  # a day ago to the millisecond is outside


def test_r59_a_customer_without_history_is_missing_and_not_calm() -> None:
    vector = seen(paid(BAKYT), *[paid(at=ago(minutes=5)) for _ in range(9)])
    assert math.isnan(vector["customer_sent_count_1h"]) and math.isnan(vector["customer_sent_seconds_since_last"])


# ---- R60: group ------------------------------------------------------------------------------------------------------


def test_r60_many_customers_acting_alike_are_seen() -> None:
    alike = [paid(payer, SHOP, 700 + 20 * i, ago(minutes=30 - i)) for i, payer in enumerate(payers(12))]
    vector = seen(paid(som=900), *alike)
    assert vector["likeness_sent_customer_distinct_1h"] == vector["likeness_sent_count_1h"] == 12


@pytest.mark.parametrize(
    ("other", "distinct"),
    [
        ({"sender": AYSULUU}, 1),  # one customer
        ({"som": 50_000}, math.nan),  # another sum
        ({"recipient": BAKYT}, math.nan),  # another recipient
        ({"kind": Kind.CASH_WITHDRAWAL}, math.nan),  # another type
    ],
)
def test_r60_operations_of_one_customer_or_unlike_ones_are_no_group(other: dict[str, object], distinct: float) -> None:
    before = [paid(**{"sender": payer, "at": ago(minutes=30)} | other) for payer in payers(12)]
    assert seen(paid(), *before)["likeness_sent_customer_distinct_1h"] == pytest.approx(distinct, nan_ok=True)


# ---- R61: amount and category ----------------------------------------------------------------------------------------


def test_r61_an_amount_that_is_not_typical_for_the_customer_is_seen() -> None:
    habit = [paid(som=1_000 + 10 * (day % 3), at=ago(days=day)) for day in range(20, 0, -1)]
    vector = seen(paid(som=90_000), *habit)
    assert vector["customer_sent_amount_zscore_30d"] > 1_000 and vector["customer_sent_amount_over_mean_30d"] > 80


def test_r61_an_amount_against_those_known_to_be_genuine_is_seen() -> None:
    habit = [paid(at=ago(days=40)), paid(at=ago(days=39))]
    vector = seen(paid(som=5_000), *habit, *[known(one, Verdict.LEGITIMATE, ago(days=33)) for one in habit])
    assert vector["customer_genuine_known_sent_amount_over_mean_retained"] == 5


def test_r61_an_unusual_category_is_seen() -> None:
    vector = seen(paid(category="7995"), *[paid(category="5411", at=ago(days=1)) for _ in range(4)])
    assert (vector["customer_sent_category_is_new"], vector["customer_sent_category_same_share"]) == (1, 0)


def test_r61_a_usual_amount_in_a_usual_category_is_not_taken_for_it() -> None:
    habit = [paid(som=1_000 + 10 * (day % 3), at=ago(days=day), category="5411") for day in range(20, 0, -1)]
    vector = seen(paid(som=1_010, category="5411"), *habit)
    assert abs(vector["customer_sent_amount_zscore_30d"]) < 1
    assert (vector["customer_sent_category_is_new"], vector["customer_sent_category_same_share"]) == (0, 1)


def test_r61_what_others_spend_does_not_make_an_amount_typical() -> None:
    rich = [paid(BAKYT, som=90_000, at=ago(days=day)) for day in (3, 2, 1)]
    vector = seen(paid(som=90_000), paid(at=ago(days=1)), *rich)
    assert vector["customer_sent_amount_over_mean_30d"] == 90


# ---- R62: device and place -------------------------------------------------------------------------------------------

HERS = Device(id="phone-a", ip="10.0.0.1", country="KG", vpn=False)
STRANGE = Device(id="phone-b", ip="203.0.113.9", country="NL", vpn=True)
DEVICE_SIGNS = (
    "customer_sent_device_is_new", "customer_sent_address_is_new", "customer_sent_country_is_new", "operation_vpn",
)  # fmt: skip


def test_r62_a_new_device_an_unusual_address_and_a_vpn_are_seen() -> None:
    vector = seen(paid(device=STRANGE), *[paid(device=HERS, at=ago(days=day)) for day in (3, 2, 1)])
    assert [vector[name] for name in DEVICE_SIGNS] == [1, 1, 1, 1]


def test_r62_a_device_that_many_customers_use_is_seen() -> None:
    vector = seen(paid(device=STRANGE), *[paid(payer, device=STRANGE, at=ago(hours=1)) for payer in payers(6)])
    assert vector["device_sent_customer_distinct_1d"] == 6 and vector["address_sent_customer_distinct_1d"] == 6


def test_r62_the_customer_s_own_device_is_not_taken_for_a_new_one() -> None:
    vector = seen(paid(device=HERS), paid(device=HERS, at=ago(days=20)), paid(device=STRANGE, at=ago(days=1)))
    assert [vector[name] for name in DEVICE_SIGNS] == [0, 0, 0, 0]


def test_r62_a_device_that_was_not_given_is_missing_and_not_new() -> None:
    vector = seen(paid(), paid(device=HERS, at=ago(days=1)))
    assert vector["operation_device_given"] == 0 and math.isnan(vector["customer_sent_device_is_new"])


# ---- R63: time -------------------------------------------------------------------------------------------------------


def test_r63_an_unusual_hour_and_weekday_are_seen() -> None:
    mondays_at_noon = [paid(at=ago(weeks=week)) for week in (3, 2, 1)]
    vector = seen(paid(at=NOW + timedelta(days=1, hours=15)), *mondays_at_noon)  # Wednesday, 3 in the morning in Bishkek
    assert (vector["operation_hour"], vector["operation_weekday"]) == (3, 2)
    assert (vector["customer_sent_hour_same_share"], vector["customer_sent_weekday_same_share"]) == (0, 0)


def test_r63_the_usual_hour_is_not_taken_for_an_unusual_one() -> None:
    vector = seen(paid(at=NOW + timedelta(minutes=59)), *[paid(at=ago(weeks=week)) for week in (3, 2, 1)])
    assert (vector["customer_sent_hour_same_share"], vector["customer_sent_weekday_same_share"]) == (1, 1)


def test_r63_a_habit_of_nights_is_the_customer_s_own() -> None:
    night = ago(hours=9)  # 3 in the morning
    vector = seen(
        paid(at=night), *[paid(at=night - timedelta(days=day)) for day in (3, 2, 1)], paid(BAKYT, at=ago(hours=12))
    )
    assert vector["customer_sent_hour_same_share"] == 1


# ---- R64: failed log-ins ---------------------------------------------------------------------------------------------


def test_r64_many_failed_logins_are_seen() -> None:
    vector = seen(paid(), *[happened(EventType.LOGIN_FAILED, ago(minutes=9 - i)) for i in range(8)])
    assert vector["customer_login_failed_count_1h"] == vector["customer_login_failed_count_1d"] == 8


def test_r64_successful_logins_old_failures_and_those_of_others_are_not_taken_for_it() -> None:
    before = [happened(EventType.LOGIN_FAILED, ago(days=2)) for _ in range(8)]
    before += [happened(EventType.LOGIN_SUCCEEDED, ago(minutes=9)) for _ in range(8)]
    before += [happened(EventType.LOGIN_FAILED, ago(minutes=9), to=BAKYT) for _ in range(8)]
    vector = seen(paid(), *before)
    assert vector["customer_login_failed_count_1h"] == vector["customer_login_failed_count_1d"] == 0


# ---- R65: contact changes --------------------------------------------------------------------------------------------


def test_r65_frequent_contact_changes_before_a_large_operation_are_seen_as_a_sequence() -> None:
    habit = [paid(som=1_000 + day, at=ago(days=day)) for day in range(20, 2, -1)]
    changes = [happened(EventType.CONTACT_CHANGED, ago(minutes=minutes)) for minutes in (600, 300, 10)]
    vector = seen(paid(som=200_000), *habit, *changes)
    assert vector["customer_contact_changed_count_1d"] == 3
    assert vector["customer_contact_changed_seconds_since_last"] == 600
    assert vector["customer_sent_amount_over_mean_30d"] > 100


def test_r65_an_old_change_and_other_events_are_not_taken_for_it() -> None:
    before = [happened(EventType.CONTACT_CHANGED, ago(days=40)), happened(EventType.CONTACT_CHANGED, ago(hours=1), to=BAKYT)]
    before += [happened(EventType.LOGIN_SUCCEEDED, ago(minutes=1)), paid(at=ago(minutes=1))]
    vector = seen(paid(), *sorted(before, key=lambda record: record.occurred_at))
    assert vector["customer_contact_changed_count_1d"] == vector["customer_contact_changed_count_30d"] == 0
    assert vector["customer_contact_changed_seconds_since_last"] == timedelta(days=40).total_seconds()


# ---- R67: returns and cancellations ----------------------------------------------------------------------------------


def test_r67_many_returns_and_cancellations_are_seen() -> None:
    returns = [happened(EventType.OPERATION_RETURNED, ago(days=6 - i)) for i in range(5)]
    vector = seen(paid(), *returns, *[happened(EventType.OPERATION_CANCELLED, ago(hours=5)) for _ in range(4)])
    assert vector["customer_returned_count_7d"] == 5 and vector["customer_cancelled_count_7d"] == 4


def test_r67_operations_that_were_neither_returned_nor_cancelled_are_not_taken_for_it() -> None:
    before = [
        happened(EventType.OPERATION_RETURNED, ago(days=31)),
        happened(EventType.OPERATION_RETURNED, ago(days=1), to=BAKYT),
    ]
    vector = seen(paid(), *before, *[paid(at=ago(hours=1)) for _ in range(9)])
    assert [vector[f"customer_{name}"] for name in ("returned_count_7d", "returned_count_30d", "cancelled_count_7d")] == [
        0,
        0,
        0,
    ]


# ---- R68: suspicious recipients --------------------------------------------------------------------------------------


def test_r68_a_recipient_known_from_a_fraud_is_seen_by_the_next_payer_from_the_moment_it_is_known() -> None:
    theft = paid(AYSULUU, BAKYT, at=ago(days=3))
    found_out = known(theft, Verdict.FRAUD, ago(minutes=10))
    next_one = paid(payers(1)[0], BAKYT)
    assert seen(next_one, theft)["recipient_fraud_known_received_count_30d"] == 0
    vector = seen(next_one, theft, found_out)
    assert vector["recipient_fraud_known_received_count_30d"] == 1
    assert vector["recipient_fraud_known_received_seconds_since_last"] == 600


def test_r68_neither_the_robbed_nor_a_confirmed_recipient_is_taken_for_suspicious() -> None:
    theft, genuine = paid(AYSULUU, BAKYT, at=ago(days=3)), paid(AYSULUU, SHOP, at=ago(days=3))
    before = (theft, genuine, known(theft, Verdict.FRAUD, ago(days=1)), known(genuine, Verdict.LEGITIMATE, ago(days=1)))
    to_the_robbed, to_the_shop = seen(paid(BAKYT, AYSULUU), *before), seen(paid(recipient=SHOP), *before)
    assert to_the_robbed["recipient_fraud_known_received_count_30d"] == 0
    assert to_the_shop["recipient_fraud_known_received_count_30d"] == 0
    assert to_the_shop["recipient_genuine_known_received_count_30d"] == 1


# ---- R69: splitting --------------------------------------------------------------------------------------------------


def test_r69_spreading_to_many_recipients_is_seen() -> None:
    spread = [paid(AYSULUU, to, at=ago(minutes=40 - i)) for i, to in enumerate(payers(15))]
    vector = seen(paid(), *spread)
    assert vector["sender_sent_recipient_distinct_1h"] == 15
    assert vector["sender_sent_count_1h_per_sender_sent_count_30d"] == 1


def test_r69_many_payments_to_one_recipient_are_no_splitting() -> None:
    assert seen(paid(), *[paid(at=ago(minutes=40 - i)) for i in range(15)])["sender_sent_recipient_distinct_1h"] == 1


def test_r69_receiving_from_many_is_no_splitting() -> None:
    received = [paid(payer, AYSULUU, at=ago(minutes=40 - i)) for i, payer in enumerate(payers(15))]
    assert seen(paid(), *received)["sender_sent_recipient_distinct_1h"] == 0


# ---- R70: sources of top-ups -----------------------------------------------------------------------------------------


def test_r70_a_top_up_from_an_atypical_source_is_seen() -> None:
    usual = [paid(recipient=AYSULUU, kind=Kind.TOP_UP, funding=PHONE, at=ago(days=day)) for day in (20, 10, 5)]
    vector = seen(paid(recipient=AYSULUU, kind=Kind.TOP_UP, funding=CARD), *usual)
    assert (vector["customer_topped_up_funding_is_new"], vector["customer_topped_up_funding_same_share"]) == (1, 0)


def test_r70_a_top_up_from_the_usual_source_is_not_taken_for_it() -> None:
    usual = [paid(recipient=AYSULUU, kind=Kind.TOP_UP, funding=PHONE, at=ago(days=day)) for day in (20, 10, 5)]
    vector = seen(paid(recipient=AYSULUU, kind=Kind.TOP_UP, funding=PHONE), *usual)
    assert (vector["customer_topped_up_funding_is_new"], vector["customer_topped_up_funding_same_share"]) == (0, 1)


def test_r70_a_payment_does_not_make_its_source_a_usual_one_for_top_ups() -> None:
    payment = paid(funding=CARD, at=ago(days=1))
    assert seen(paid(recipient=AYSULUU, kind=Kind.TOP_UP, funding=CARD), payment)["customer_topped_up_funding_is_new"] == 1


# ---- R71: log-in and authorisation -----------------------------------------------------------------------------------

USUAL = Access(login_method="fingerprint", authorisation_method="push")
OTHER = Access(login_method="password", authorisation_method="sms")


def test_r71_a_new_way_of_logging_in_and_authorising_is_seen() -> None:
    changed = happened(EventType.AUTHORISATION_METHOD_CHANGED, ago(minutes=5))
    vector = seen(paid(access=OTHER), *[paid(access=USUAL, at=ago(days=day)) for day in (9, 6, 3)], changed)
    assert (vector["customer_sent_login_method_is_new"], vector["customer_sent_authorisation_method_is_new"]) == (1, 1)
    assert vector["customer_authorisation_method_changed_seconds_since_last"] == 300


def test_r71_the_usual_way_is_not_taken_for_a_change() -> None:
    vector = seen(paid(access=USUAL), paid(access=USUAL, at=ago(days=3)), paid(access=OTHER, at=ago(days=1)))
    assert (vector["customer_sent_login_method_is_new"], vector["customer_sent_authorisation_method_is_new"]) == (0, 0)
    assert math.isnan(vector["customer_authorisation_method_changed_seconds_since_last"])
    assert math.isnan(vector["customer_login_method_changed_seconds_since_last"])


# ---- R72: pass-through -----------------------------------------------------------------------------------------------

BEYOND = Party(account="beyond", institution="another-bank")


def test_r72_money_that_comes_in_and_goes_straight_on_is_seen_on_the_account_it_passes() -> None:
    arrived = [paid(payer, AYSULUU, 50_000, ago(minutes=20 - i)) for i, payer in enumerate(payers(2))]
    gone_on = paid(AYSULUU, BEYOND, 90_000, ago(minutes=5))
    first, second = seen(gone_on, *arrived), seen(paid(AYSULUU, BEYOND, 9_000), *arrived, gone_on)
    assert first["sender_received_amount_sum_1h"] == 100_000_00 and first["sender_received_seconds_since_last"] == 14 * 60
    assert second["sender_sent_amount_sum_1h_per_sender_received_amount_sum_1h"] == 0.9


def test_r72_money_that_stays_for_days_is_no_pass_through() -> None:
    vector = seen(paid(), paid(BAKYT, AYSULUU, 50_000, ago(days=6)), paid(at=ago(hours=2)))
    assert vector["sender_received_amount_sum_1d"] == 0 and vector["sender_received_seconds_since_last"] == 6 * 86_400
    assert math.isnan(vector["sender_sent_amount_sum_1d_per_sender_received_amount_sum_1d"])


# ---- R73: collecting -------------------------------------------------------------------------------------------------


def top_up(payer: Party, tool: str, minutes: int) -> Operation:
    return paid(payer, BAKYT, 5_000, ago(minutes=minutes), Kind.TOP_UP, funding=Funding(instrument=tool))


def test_r73_top_ups_by_different_persons_with_different_tools_and_then_a_withdrawal_are_seen() -> None:
    collected = [
        top_up(payer, tool, 40) for payer, tool in zip(payers(4), ("card", "terminal", "cash desk", "wallet"), strict=True)
    ]
    cashed = paid(BAKYT, Party(service="atm"), 10_000, ago(minutes=2), Kind.CASH_WITHDRAWAL)
    last_top_up = seen(paid(AYSULUU, BAKYT, kind=Kind.TOP_UP, at=ago(minutes=30)), *collected)
    withdrawal = seen(paid(BAKYT, Party(service="atm"), 9_000, kind=Kind.CASH_WITHDRAWAL), *collected, cashed)
    assert (
        last_top_up["recipient_received_customer_distinct_1h"] == last_top_up["recipient_received_funding_distinct_7d"] == 4
    )
    assert withdrawal["sender_received_customer_distinct_1d"] == 4 and withdrawal["sender_cashed_amount_sum_1d"] == 10_000_00


def test_r73_top_ups_by_one_person_with_one_tool_are_no_collecting() -> None:
    own = [top_up(AYSULUU, "card", minutes) for minutes in (50, 40, 30, 20)]
    vector = seen(paid(AYSULUU, BAKYT, kind=Kind.TOP_UP), *own)
    assert vector["recipient_received_customer_distinct_1h"] == vector["recipient_received_funding_distinct_7d"] == 1


def test_r73_payments_out_of_an_account_are_no_withdrawal_of_cash() -> None:
    assert seen(paid(BAKYT), paid(BAKYT, som=10_000, at=ago(hours=1)))["sender_cashed_amount_sum_1d"] == 0
