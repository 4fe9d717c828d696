"""R62: an unusual network address or place, a new device, a VPN or proxy."""

from math import cos, radians, sin, sqrt

import pytest

from domain.events import EventType
from domain.operation import Device, Kind, Party
from tests.stories.telling import AYSULUU, BAKYT, DAY, NAN, ago, happened, paid, people, seen, shows

HERS = Device(id="phone-a", ip="10.0.0.1", country="KG", vpn=False)
STRANGE = Device(id="phone-b", ip="203.0.113.9", country="NL", vpn=True)
BISHKEK, OSH, LONDON = (42.8746, 74.5698), (40.5140, 72.8161), (51.5072, -0.1276)


def at_place(place: tuple[float, float]) -> Device:
    return Device(id="phone-a", latitude=place[0], longitude=place[1])


def chord_km(here: tuple[float, float], there: tuple[float, float]) -> float:
    """Twice the radius times the square root of the haversine."""
    (a, b), (c, d) = (tuple(map(radians, place)) for place in (here, there))
    return 2 * 6371 * sqrt(sin((c - a) / 2) ** 2 + cos(a) * cos(c) * sin((d - b) / 2) ** 2)


def test_r62_a_new_device_an_unusual_address_a_country_and_a_vpn_are_seen() -> None:
    habit = [paid(device=HERS, at=ago(days=day)) for day in (3, 2, 1)]
    shows(
        seen(paid(device=STRANGE), *habit),
        customer_sent_device_is_new=1,
        customer_sent_device_same_share=0,
        customer_sent_device_seconds_since_same=NAN,
        customer_sent_address_is_new=1,
        customer_sent_address_same_share=0,
        customer_sent_country_is_new=1,
        customer_sent_country_changed=1,
        customer_sent_vpn_share_30d=0,
        operation_vpn=1,
        operation_device_given=1,
        device_seconds_since_first=NAN,
    )


def test_r62_a_recipient_abroad_is_seen_and_one_at_home_is_not() -> None:
    """By the recipient's country or by the kind of operation; where the device is does not matter."""
    abroad, at_home = Party(account="almaty", country="KZ"), Party(account="osh", country="KG")
    shows(seen(paid(recipient=abroad, device=HERS)), operation_foreign=1)
    shows(seen(paid(kind=Kind.INTERNATIONAL_TRANSFER)), operation_foreign=1)
    shows(seen(paid(recipient=at_home, device=STRANGE)), operation_foreign=0)


def test_r62_the_customer_s_own_device_is_not_taken_for_a_new_one() -> None:
    """Her phone, a stranger's in between, her phone again."""
    before = [paid(device=HERS, at=ago(days=20)), paid(device=STRANGE, at=ago(days=2)), paid(device=HERS, at=ago(days=1))]
    shows(
        seen(paid(device=HERS), *before),
        customer_sent_device_is_new=0,
        customer_sent_device_same_share=2 / 3,
        customer_sent_device_seconds_since_same=DAY,
        customer_sent_address_is_new=0,
        customer_sent_address_same_share=2 / 3,
        customer_sent_country_is_new=0,
        customer_sent_country_changed=0,
        customer_sent_device_distinct_1d=0,
        customer_sent_device_distinct_7d=2,
        customer_sent_country_distinct_7d=2,
        customer_sent_vpn_share_30d=1 / 3,
        operation_vpn=0,
    )


def test_r62_a_device_that_is_new_to_her_though_not_to_others_is_seen() -> None:
    vector = seen(paid(device=STRANGE), paid(device=HERS, at=ago(days=1)), paid(BAKYT, device=STRANGE, at=ago(days=9)))
    shows(vector, customer_sent_device_is_new=1, device_seconds_since_first=9 * DAY)


def test_r62_operations_that_came_from_a_device_new_at_their_time_stay_marked() -> None:
    """A new phone twice: its first payment is marked, the second is not, whatever is known of it later."""
    before = [
        paid(device=HERS, at=ago(days=9)), paid(device=STRANGE, at=ago(hours=3)), paid(device=STRANGE, at=ago(hours=2)),
    ]  # fmt: skip
    shows(
        seen(paid(device=STRANGE), *before),
        customer_sent_new_device_count_1d=1,
        customer_sent_new_device_seconds_since_last=3 * 3_600,
        customer_sent_device_is_new=0,
    )


def test_r62_the_first_device_of_a_customer_is_not_marked_as_new() -> None:
    vector = seen(paid(device=HERS), paid(device=HERS, at=ago(hours=2)), paid(BAKYT, device=STRANGE, at=ago(hours=1)))
    shows(vector, customer_sent_new_device_count_1d=0, customer_sent_new_device_seconds_since_last=NAN)


def test_r62_an_enrolled_device_is_seen_and_another_customer_s_is_not() -> None:
    before = [
        happened(EventType.DEVICE_ENROLLED, ago(hours=1)),
        happened(EventType.DEVICE_ENROLLED, ago(minutes=1), to=BAKYT),
    ]
    shows(seen(paid(), *before), customer_device_enrolled_seconds_since_last=3_600)
    shows(seen(paid(), before[1], paid(at=ago(days=1))), customer_device_enrolled_seconds_since_last=NAN)


def test_r62_what_nobody_can_travel_is_seen() -> None:
    """A payment in Bishkek, and one in London an hour later."""
    away = chord_km(BISHKEK, LONDON)
    vector = seen(paid(device=at_place(LONDON)), paid(device=at_place(BISHKEK), at=ago(hours=1)))
    assert 5_000 < away < 6_000
    assert vector["customer_sent_distance"] == pytest.approx(away, rel=1e-9)
    assert vector["customer_sent_speed"] == pytest.approx(away, rel=1e-9)


def test_r62_a_place_that_one_can_have_come_from_is_no_impossible_travel() -> None:
    """From Osh in a day, and no further from where she was last: Bakyt's London is not hers."""
    before = [
        paid(device=at_place(LONDON), at=ago(days=9)), paid(device=at_place(OSH), at=ago(days=1)),
        paid(BAKYT, device=at_place(LONDON), at=ago(minutes=5)), paid(device=HERS, at=ago(minutes=2)),
    ]  # fmt: skip
    vector = seen(paid(device=at_place(BISHKEK)), *before)
    assert vector["customer_sent_distance"] == pytest.approx(chord_km(OSH, BISHKEK), rel=1e-9)
    assert (
        vector["customer_sent_speed"] == pytest.approx(chord_km(OSH, BISHKEK) / 24, rel=1e-9)
        and vector["customer_sent_speed"] < 15
    )


def test_r62_a_place_that_is_not_known_is_missing_and_not_the_same() -> None:
    shows(
        seen(paid(device=HERS), paid(device=at_place(OSH), at=ago(hours=1))),
        customer_sent_distance=NAN,
        customer_sent_speed=NAN,
    )
    shows(
        seen(paid(device=at_place(OSH)), paid(device=HERS, at=ago(hours=1))),
        customer_sent_distance=NAN,
        customer_sent_speed=NAN,
    )


def test_r62_a_device_and_an_address_that_many_customers_use_are_seen() -> None:
    crowd = [paid(payer, device=STRANGE, at=ago(minutes=30)) for payer in people(6)]
    crowd += [paid(Party(wallet="roams"), device=Device(id="phone-b", ip="203.0.113.10"), at=ago(minutes=20))]
    earlier = [paid(Party(wallet="once"), device=STRANGE, at=ago(days=20))]
    shows(
        seen(paid(device=STRANGE), *earlier, *crowd),
        device_sent_count_1h=7,
        device_sent_customer_distinct_1d=7,
        device_sent_customer_distinct_30d=8,
        address_sent_customer_distinct_1h=6,
        address_sent_customer_distinct_1d=6,
        device_seconds_since_first=20 * DAY,
    )


def test_r62_a_device_that_one_customer_uses_often_is_no_crowd() -> None:
    often = [paid(AYSULUU, device=HERS, at=ago(minutes=minute)) for minute in range(1, 7)]
    crowd_elsewhere = [paid(payer, device=STRANGE, at=ago(minutes=30)) for payer in people(6)]
    shows(
        seen(paid(device=HERS), *often, *crowd_elsewhere),
        device_sent_count_1h=6,
        device_sent_customer_distinct_1d=1,
        address_sent_customer_distinct_1h=1,
    )


def test_r62_a_device_that_was_not_given_is_missing_and_not_new() -> None:
    vector = seen(paid(), paid(device=HERS, at=ago(days=1)))
    shows(vector, operation_device_given=0, customer_sent_device_is_new=NAN, customer_sent_country_changed=NAN)
