"""R66: a match with known schemes of fraud: their steps, in order. An operation sees the steps gone before it."""

import itertools

import pytest

from domain.events import Event, EventType
from domain.operation import Operation, Party
from tests.stories.telling import AYSULUU, BAKYT, CHOLPON, SHOP, ago, cashed, happened, paid, people, seen, shows

THIEF = Party(wallet="thief")
FAILED, SUCCEEDED, CONTACT = EventType.LOGIN_FAILED, EventType.LOGIN_SUCCEEDED, EventType.CONTACT_CHANGED
ENROLLED, AUTHORISATION = EventType.DEVICE_ENROLLED, EventType.AUTHORISATION_METHOD_CHANGED


def in_turn(*steps: EventType | Party, to: Party = AYSULUU, hours: int = 10) -> list[Event | Operation]:
    """Events and payments to someone, an hour apart, ten hours ago; a month ago she paid the shop."""
    made: list[Event | Operation] = [paid(to, SHOP, at=ago(days=28))]
    for place, step in enumerate(steps):
        at = ago(hours=hours - place)
        made.append(paid(to, step, at=at) if isinstance(step, Party) else happened(step, at, to))
    return made


# ---- an account taken over -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", range(5))
def test_r66_each_step_of_a_takeover_is_counted_as_it_is_gone(gone: int) -> None:
    """A wrong password, a right one, another phone number, a payment to someone new."""
    steps = (FAILED, SUCCEEDED, CONTACT, THIEF)[:gone]
    shows(seen(paid(), *in_turn(*steps)), customer_takeover_steps_3d=gone)


def test_r66_a_takeover_is_seen_by_the_payment_that_would_complete_it() -> None:
    shows(seen(paid(recipient=THIEF), *in_turn(FAILED, SUCCEEDED, CONTACT)), customer_takeover_steps_3d=3)


def test_r66_ordinary_behaviour_between_the_steps_hides_nothing() -> None:
    steps = (SUCCEEDED, FAILED, SHOP, SUCCEEDED, FAILED, CONTACT, SHOP, THIEF)
    shows(seen(paid(), *in_turn(*steps)), customer_takeover_steps_3d=4)


@pytest.mark.parametrize("steps", [*itertools.permutations((FAILED, SUCCEEDED, CONTACT, THIEF))])
def test_r66_the_same_steps_out_of_order_are_no_takeover(steps: tuple[EventType | Party, ...]) -> None:
    """Of any order, what counts is how far one gets from the first step on."""
    order, gone = (FAILED, SUCCEEDED, CONTACT, THIEF), 0
    for step in steps:
        gone += gone < len(order) and step == order[gone]
    shows(seen(paid(), *in_turn(*steps)), customer_takeover_steps_3d=gone)
    assert gone < 4 or steps == order


def test_r66_a_usual_recipient_another_customer_and_an_old_beginning_are_no_takeover() -> None:
    shows(seen(paid(), *in_turn(FAILED, SUCCEEDED, CONTACT, SHOP)), customer_takeover_steps_3d=3)
    shows(
        seen(paid(), paid(at=ago(days=1)), *in_turn(FAILED, SUCCEEDED, CONTACT, THIEF, to=BAKYT)),
        customer_takeover_steps_3d=0,
    )
    shows(seen(paid(), *in_turn(FAILED, SUCCEEDED, CONTACT, THIEF, hours=72)), customer_takeover_steps_3d=0)


# ---- an account taken over on a new device ---------------------------------------------------------------------------


def test_r66_a_takeover_on_a_new_device_is_seen() -> None:
    shows(seen(paid(), *in_turn(ENROLLED, AUTHORISATION, THIEF)), customer_new_device_takeover_steps_3d=3)
    shows(seen(paid(recipient=THIEF), *in_turn(ENROLLED, AUTHORISATION)), customer_new_device_takeover_steps_3d=2)


def test_r66_a_new_device_after_all_is_no_takeover() -> None:
    shows(seen(paid(), *in_turn(THIEF, AUTHORISATION, ENROLLED)), customer_new_device_takeover_steps_3d=1)
    shows(seen(paid(), *in_turn(AUTHORISATION, THIEF)), customer_new_device_takeover_steps_3d=0)


# ---- an investment that grows ----------------------------------------------------------------------------------------


def investing(*amounts: int) -> list[Operation]:
    """Four weeks of 1,000 som to the shop, then these amounts to a broker, two days apart."""
    habit = [paid(som=1_000, at=ago(days=day)) for day in range(16, 28)]
    broker = Party(account="broker")
    return habit + [paid(AYSULUU, broker, som, ago(days=14 - 2 * place)) for place, som in enumerate(amounts)]


def test_r66_an_investment_that_grows_from_payment_to_payment_is_seen() -> None:
    """A little to someone new, then far more than usual, and again."""
    shows(seen(paid(), *investing(500, 20_000, 90_000)), customer_growing_investment_steps_30d=3)
    shows(seen(paid(), *investing(500, 20_000)), customer_growing_investment_steps_30d=2)


def test_r66_small_payments_to_a_new_recipient_are_no_growing_investment() -> None:
    shows(seen(paid(), *investing(500, 600, 700)), customer_growing_investment_steps_30d=1)
    shows(seen(paid(), *investing()), customer_growing_investment_steps_30d=0)


# ---- collecting and passing on ---------------------------------------------------------------------------------------


def collected(to: Party, count: int, hours: float) -> list[Operation]:
    return [paid(payer, to, at=ago(hours=hours, minutes=-i)) for i, payer in enumerate(people(count))]


def test_r66_money_collected_and_taken_as_cash_is_seen() -> None:
    payments = collected(BAKYT, 3, hours=5)
    shows(seen(cashed(BAKYT), *payments), sender_collect_and_cash_steps_1d=3)
    shows(seen(paid(BAKYT), *payments, cashed(BAKYT, at=ago(hours=1))), sender_collect_and_cash_steps_1d=4)


def test_r66_cash_taken_before_the_money_came_is_no_collecting() -> None:
    before = [cashed(BAKYT, at=ago(hours=9)), *collected(BAKYT, 2, hours=5)]
    shows(seen(paid(BAKYT), *before), sender_collect_and_cash_steps_1d=2)


def test_r66_money_that_came_days_before_the_cash_is_no_collecting() -> None:
    before = [*collected(BAKYT, 3, hours=50), cashed(BAKYT, at=ago(hours=1))]
    shows(seen(paid(BAKYT), *before), sender_collect_and_cash_steps_1d=0)


def test_r66_a_mule_that_receives_and_passes_on_again_and_again_is_seen() -> None:
    turns = [
        paid(AYSULUU, BAKYT, at=ago(hours=4)), paid(BAKYT, THIEF, at=ago(hours=3)),
        paid(CHOLPON, BAKYT, at=ago(hours=2)), paid(BAKYT, THIEF, at=ago(hours=1)),
    ]  # fmt: skip
    for gone in range(1, 5):
        shows(seen(paid(recipient=BAKYT), *turns[:gone]), recipient_mule_steps_1d=gone)


def test_r66_who_receives_twice_and_then_pays_twice_is_no_mule() -> None:
    salary = [paid(AYSULUU, BAKYT, at=ago(hours=4)), paid(CHOLPON, BAKYT, at=ago(hours=3))]
    spent = [paid(BAKYT, SHOP, at=ago(hours=2)), paid(BAKYT, SHOP, at=ago(hours=1))]
    shows(seen(paid(recipient=BAKYT), *salary, *spent), recipient_mule_steps_1d=2)
    shows(seen(paid(recipient=BAKYT), *spent), recipient_mule_steps_1d=0)
