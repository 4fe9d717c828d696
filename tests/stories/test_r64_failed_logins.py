"""R64: many failed attempts to log in."""

from domain.events import EventType
from domain.operation import Device
from tests.stories.telling import BAKYT, NAN, ago, happened, paid, people, seen, shows

LAPTOP = Device(id="laptop", ip="203.0.113.9")
FAILED, SUCCEEDED = EventType.LOGIN_FAILED, EventType.LOGIN_SUCCEEDED


def test_r64_many_failed_logins_are_seen() -> None:
    """Eight wrong passwords within eight minutes, two earlier in the day, two right ones this week."""
    before = [happened(FAILED, ago(minutes=1 + i)) for i in range(8)]
    before += [happened(FAILED, ago(minutes=30)), happened(FAILED, ago(hours=5))]
    before += [happened(SUCCEEDED, ago(days=3)), happened(SUCCEEDED, ago(seconds=30))]
    shows(
        seen(paid(), *before),
        customer_login_failed_count_10m=8,
        customer_login_failed_count_1h=9,
        customer_login_failed_count_1d=10,
        customer_login_failed_seconds_since_last=60,
        customer_login_failed_count_7d_per_customer_login_succeeded_count_7d=5,
    )


def test_r64_a_device_and_an_address_that_try_one_customer_after_another_are_seen() -> None:
    tried = [happened(FAILED, ago(minutes=20 - i), to=victim, device=LAPTOP) for i, victim in enumerate(people(12))]
    tried += [happened(FAILED, ago(minutes=5), to=BAKYT, device=Device(id="laptop", ip="203.0.113.10"))]
    shows(
        seen(paid(device=LAPTOP), *tried),
        device_login_failed_count_1h=13,
        address_login_failed_count_1h=12,
        address_login_failed_customer_distinct_1h=12,
        customer_login_failed_count_1h=NAN,  # not one of them was hers, and nothing is known of her
    )


def test_r64_one_customer_who_forgot_the_password_is_not_many() -> None:
    tried = [happened(FAILED, ago(minutes=20 - i), device=LAPTOP) for i in range(12)]
    shows(seen(paid(device=LAPTOP), *tried), address_login_failed_count_1h=12, address_login_failed_customer_distinct_1h=1)


def test_r64_successful_logins_old_failures_and_those_of_others_are_not_taken_for_it() -> None:
    before = [happened(FAILED, ago(days=2)) for _ in range(8)]
    before += [happened(SUCCEEDED, ago(minutes=9), device=LAPTOP) for _ in range(8)]
    before += [happened(FAILED, ago(minutes=9), to=BAKYT) for _ in range(8)]
    before += [happened(FAILED, ago(minutes=-1))]  # after the operation
    shows(
        seen(paid(device=LAPTOP), *before),
        customer_login_failed_count_10m=0,
        customer_login_failed_count_1h=0,
        customer_login_failed_count_1d=0,
        customer_login_failed_seconds_since_last=2 * 86_400,
        customer_login_failed_count_7d_per_customer_login_succeeded_count_7d=1,
        device_login_failed_count_1h=0,
        address_login_failed_count_1h=0,
        address_login_failed_customer_distinct_1h=0,
    )
