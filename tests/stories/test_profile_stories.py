"""Months of habit against one operation (R59, R61-R63, R69, R70, R73): what a profile feature sees, and what leaves it still."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from domain.money import Money
from domain.operation import Device, Funding, Kind, Operation, Party
from features.arrivals import row_of_operation
from features.profile_days import values
from features.profiles import PROFILE_NAMES

NOW = datetime(2026, 6, 15, 4, tzinfo=UTC)
"""A Monday, ten in the morning in Bishkek."""
CARD, KIOSK = Funding(instrument="card", source="bank one"), Funding(instrument="terminal", source="kiosk 7")


def paid(at: datetime, number: int = 0, **other: object) -> Operation:
    """Aysuluu's usual payment, unless said otherwise: 1,000 som to the shop at ten in the morning from her phone."""
    usual: dict[str, object] = {
        "kind": Kind.E_WALLET, "som": 1_000, "sender": "aysuluu", "to": "shop", "device": "phone", "country": "KG", "funding": CARD,
    }  # fmt: skip
    said = {**usual, **other}
    return Operation(
        f"o-{at.isoformat()}-{number}", at, Kind(said["kind"]), Money(int(str(said["som"])) * 100, "KGS"),
        Party(customer_id=str(said["sender"])), Party(account=str(said["to"])),
        device=Device(id=str(said["device"]), country=str(said["country"])), funding=said["funding"],  # type: ignore[arg-type]
    )  # fmt: skip


HABIT = [paid(NOW - timedelta(days=day)) for day in range(60, 0, -1)]
"""One operation every morning for two months; on the last day too, whose profile counts from three at night."""


def seen(now: Operation, past: list[Operation] = HABIT) -> dict[str, float]:
    rows = np.array([row_of_operation(operation) for operation in [*past, now]], np.int64)
    return dict(zip(PROFILE_NAMES, values(rows)[-1].tolist(), strict=True))


USUAL = seen(paid(NOW))


@pytest.mark.parametrize(
    ("feature", "unusual", "usual", "value"),
    [
        ("customer_profile_amount_over_p90_90d", {"som": 20_000}, 1.0, 20.0),  # R61
        ("customer_profile_kind_share_90d", {"kind": Kind.VIRTUAL_ASSET_TRANSFER}, 1.0, 0.0),  # R61: an unusual category
        ("customer_profile_country_share_90d", {"country": "NG"}, 1.0, 0.0),  # R62
        ("customer_profile_device_share_90d", {"device": "another"}, 1.0, 0.0),  # R62
        ("customer_profile_recipient_share_90d", {"to": "stranger"}, 1.0, 0.0),  # R69
        ("customer_profile_funding_share_90d", {"funding": KIOSK}, 1.0, 0.0),  # R70
        ("recipient_profile_customer_share_90d", {"sender": "bakyt"}, 1.0, 0.0),  # R68
        ("device_profile_customer_share_90d", {"sender": "bakyt"}, 1.0, 0.0),  # R62: somebody else on her phone
    ],
)
def test_what_is_unlike_the_habit_is_seen(feature: str, unusual: dict[str, object], usual: float, value: float) -> None:
    assert USUAL[feature] == usual
    assert seen(paid(NOW, **unusual))[feature] == value


def test_r63_three_at_night_is_not_her_hour_and_eleven_in_the_morning_is_next_to_it() -> None:
    night = seen(paid(NOW - timedelta(hours=6, minutes=30)))
    assert (USUAL["customer_profile_hour_share_90d"], night["customer_profile_hour_share_90d"]) == (1, 0)
    eleven = seen(paid(NOW + timedelta(hours=1)))
    assert eleven["customer_profile_hour_share_90d"] == 0
    assert eleven["customer_profile_hour_around_1_share_90d"] == 1


def test_r59_one_a_day_is_her_pace_and_a_burst_today_does_not_move_it() -> None:
    burst = [paid(NOW - timedelta(minutes=minute), number=minute) for minute in range(30, 0, -1)]
    assert USUAL["customer_profile_operations_per_active_day_90d"] == 1
    still = seen(paid(NOW), [*HABIT, *burst])
    np.testing.assert_array_equal(
        list(still.values()), list(USUAL.values()), "today's operations are for the windows, not for the habit"
    )


def test_r73_a_recipient_of_many_payers_is_seen_and_one_of_many_payments_is_not() -> None:
    many = [paid(NOW - timedelta(days=2, minutes=minute), sender=f"c{minute}") for minute in range(40, 0, -1)]
    past = sorted([*HABIT, *many], key=lambda operation: operation.occurred_at)
    assert USUAL["recipient_profile_customer_distinct_90d"] == 1
    assert seen(paid(NOW), past)["recipient_profile_customer_distinct_90d"] == 41


def test_a_new_customer_has_no_habit_which_is_not_a_habit_of_nothing() -> None:
    new = seen(paid(NOW, sender="new"))
    assert all(math.isnan(value) for name, value in new.items() if name.startswith("customer_profile"))
    assert new["recipient_profile_active_days_90d"] == 60
