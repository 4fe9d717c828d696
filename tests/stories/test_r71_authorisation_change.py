"""R71: a new method of authorisation or a way of logging in not typical for the customer."""

from domain.events import EventType
from domain.operation import Access
from tests.stories.telling import BAKYT, NAN, ago, happened, paid, seen, shows

USUAL = Access(login_method="fingerprint", authorisation_method="push")
OTHER = Access(login_method="password", authorisation_method="sms")
LOGIN_CHANGED, AUTHORISATION_CHANGED = EventType.LOGIN_METHOD_CHANGED, EventType.AUTHORISATION_METHOD_CHANGED


def test_r71_a_new_way_of_logging_in_and_authorising_is_seen() -> None:
    habit = [paid(access=USUAL, at=ago(days=day)) for day in (9, 6, 3)]
    changes = [happened(LOGIN_CHANGED, ago(minutes=8)), happened(AUTHORISATION_CHANGED, ago(minutes=5))]
    shows(
        seen(paid(access=OTHER), *habit, *changes),
        customer_login_method_changed_seconds_since_last=480,
        customer_authorisation_method_changed_seconds_since_last=300,
        customer_sent_login_method_is_new=1,
        customer_sent_login_method_changed=1,
        customer_sent_authorisation_method_is_new=1,
        customer_sent_authorisation_method_changed=1,
        customer_sent_authorisation_method_same_share=0,
    )


def test_r71_a_return_to_an_earlier_way_is_a_change_but_nothing_new() -> None:
    before = [paid(access=OTHER, at=ago(days=9)), *[paid(access=USUAL, at=ago(days=day)) for day in (6, 3, 1)]]
    shows(
        seen(paid(access=OTHER), *before),
        customer_sent_login_method_is_new=0,
        customer_sent_login_method_changed=1,
        customer_sent_authorisation_method_is_new=0,
        customer_sent_authorisation_method_changed=1,
        customer_sent_authorisation_method_same_share=1 / 4,
    )


def test_r71_the_usual_way_is_not_taken_for_a_change() -> None:
    """Also when another customer changes, and when a change comes after the operation."""
    before = [
        paid(access=OTHER, at=ago(days=3)),
        paid(access=USUAL, at=ago(days=1)),
        paid(BAKYT, access=OTHER, at=ago(hours=1)),
    ]
    changes = [happened(what, ago(minutes=5), to=BAKYT) for what in (LOGIN_CHANGED, AUTHORISATION_CHANGED)]
    later = [happened(what, ago(minutes=-5)) for what in (LOGIN_CHANGED, AUTHORISATION_CHANGED)]
    shows(
        seen(paid(access=USUAL), *before, *changes, *later),
        customer_login_method_changed_seconds_since_last=NAN,
        customer_authorisation_method_changed_seconds_since_last=NAN,
        customer_sent_login_method_is_new=0,
        customer_sent_login_method_changed=0,
        customer_sent_authorisation_method_is_new=0,
        customer_sent_authorisation_method_changed=0,
        customer_sent_authorisation_method_same_share=1 / 2,
    )


def test_r71_an_operation_that_does_not_say_how_changes_nothing() -> None:
    """The last way given is the habit, whatever came without one; and a way that is not given is missing."""
    before = [paid(access=USUAL, at=ago(days=2)), paid(at=ago(days=1))]
    shows(seen(paid(access=USUAL), *before), customer_sent_login_method_changed=0)
    shows(seen(paid(), *before), customer_sent_login_method_changed=NAN, customer_sent_login_method_is_new=NAN)
