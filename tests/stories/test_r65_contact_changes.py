"""R65: frequent changes of contact data, above all before large operations."""

from domain.events import EventType
from tests.stories.telling import BAKYT, DAY, ago, happened, paid, seen, shows

CHANGED = EventType.CONTACT_CHANGED
HABIT = [(20, 1_000), (15, 1_000), (10, 1_000)]


def habit() -> list:
    return [paid(som=som, at=ago(days=day)) for day, som in HABIT]


def test_r65_frequent_contact_changes_are_seen() -> None:
    changes = [happened(CHANGED, at) for at in (ago(days=25), ago(days=5), ago(hours=10), ago(hours=5), ago(minutes=10))]
    shows(
        seen(paid(), *changes),
        customer_contact_changed_count_1d=3,
        customer_contact_changed_count_7d=4,
        customer_contact_changed_count_30d=5,
        customer_contact_changed_seconds_since_last=600,
    )


def test_r65_a_change_before_a_large_operation_is_seen_as_a_sequence() -> None:
    """The change is the first step; a payment of twenty times the usual amount is the second, seen by the next one."""
    change, large = happened(CHANGED, ago(hours=2)), paid(som=20_000, at=ago(hours=1))
    shows(seen(large, *habit(), change), customer_contact_then_large_steps_3d=1)
    shows(seen(paid(), *habit(), change, large), customer_contact_then_large_steps_3d=2)


def test_r65_a_large_operation_before_the_change_is_no_sequence() -> None:
    large, change = paid(som=20_000, at=ago(hours=2)), happened(CHANGED, ago(hours=1))
    shows(seen(paid(), *habit(), large, change), customer_contact_then_large_steps_3d=1)


def test_r65_usual_operations_after_a_change_and_large_ones_without_one_are_no_sequence() -> None:
    usual, large = paid(som=1_200, at=ago(hours=1)), paid(som=20_000, at=ago(hours=1))
    shows(seen(paid(), *habit(), happened(CHANGED, ago(hours=2)), usual), customer_contact_then_large_steps_3d=1)
    shows(seen(paid(), *habit(), large), customer_contact_then_large_steps_3d=0)


def test_r65_a_large_operation_long_after_the_change_is_no_sequence() -> None:
    vector = seen(paid(), *habit(), happened(CHANGED, ago(days=3)), paid(som=20_000, at=ago(hours=1)))
    shows(vector, customer_contact_then_large_steps_3d=0)


def test_r65_an_old_change_a_later_one_other_events_and_other_customers_are_not_taken_for_it() -> None:
    before = [
        happened(CHANGED, ago(days=40)), happened(CHANGED, ago(hours=1), to=BAKYT), happened(CHANGED, ago(minutes=-5)),
        happened(EventType.LOGIN_SUCCEEDED, ago(minutes=1)), paid(at=ago(minutes=1)),
    ]  # fmt: skip
    shows(
        seen(paid(), *before),
        customer_contact_changed_count_1d=0,
        customer_contact_changed_count_7d=0,
        customer_contact_changed_count_30d=0,
        customer_contact_changed_seconds_since_last=40 * DAY,
        customer_contact_then_large_steps_3d=0,
    )
