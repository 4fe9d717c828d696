"""R68: recipients (accounts, applications, wallets) that are known as suspicious, one and two steps away."""

from domain.events import Verdict
from domain.operation import Device, Operation, Party
from tests.stories.telling import AYSULUU, BAKYT, CHOLPON, DAY, NAN, SHOP, Record, ago, known, paid, people, seen, shows

THIEF = Party(wallet="thief")
PHONE, TABLET = Device(id="phone"), Device(id="tablet")
FRAUD, GENUINE = Verdict.FRAUD, Verdict.LEGITIMATE


def told(operation: Operation, verdict: Verdict, **span: float) -> tuple[Record, Record]:
    """An operation and what became known of it so long ago."""
    return operation, known(operation, verdict, ago(**span))


# ---- one step away ---------------------------------------------------------------------------------------------------


def test_r68_a_recipient_known_from_frauds_is_seen_by_the_next_payer() -> None:
    """Three thefts, known 40, 20 and 5 days ago; one payment to the same wallet was genuine."""
    victims = people(4)
    before = [
        *told(paid(victims[0], THIEF, at=ago(days=50)), FRAUD, days=40),
        *told(paid(victims[1], THIEF, at=ago(days=50)), FRAUD, days=20),
        *told(paid(victims[2], THIEF, at=ago(days=50)), FRAUD, days=5),
        *told(paid(victims[3], THIEF, at=ago(days=50)), GENUINE, days=10),
    ]
    shows(
        seen(paid(recipient=THIEF), *before),
        recipient_fraud_known_received_count_7d=1,
        recipient_fraud_known_received_count_30d=2,
        recipient_fraud_known_received_count_retained=3,
        recipient_genuine_known_received_count_30d=1,
        recipient_fraud_known_received_count_30d_per_recipient_genuine_known_received_count_30d=2,
        recipient_fraud_known_received_count_retained_per_recipient_genuine_known_received_count_retained=3,
        recipient_fraud_known_received_seconds_since_last=5 * DAY,
        recipient_fraud_known_received_seconds_since_first=40 * DAY,
        recipient_genuine_known_received_seconds_since_last=10 * DAY,
        recipient_fraud_known_received_is_later_than_genuine_known_received=1,
    )


def test_r68_the_last_two_frauds_are_seen_and_how_large_those_of_this_week_were() -> None:
    before = [
        *told(paid(people(2)[0], THIEF, som=900, at=ago(days=20)), FRAUD, days=12),
        *told(paid(people(2)[1], THIEF, som=200, at=ago(days=20)), FRAUD, days=4),
        *told(paid(people(2)[1], THIEF, som=600, at=ago(days=20)), FRAUD, days=1),
    ]
    shows(
        seen(paid(recipient=THIEF), *before),
        recipient_fraud_known_received_amount_mean_7d=40_000,
        recipient_fraud_known_received_seconds_since_2nd_last=4 * DAY,
    )


def test_r68_one_old_fraud_has_none_before_it_and_is_not_of_this_week() -> None:
    shows(
        seen(paid(recipient=THIEF), *told(paid(recipient=THIEF, at=ago(days=20)), FRAUD, days=8)),
        recipient_fraud_known_received_amount_mean_7d=NAN,
        recipient_fraud_known_received_seconds_since_2nd_last=NAN,
    )


def test_r68_a_fraud_counts_from_the_moment_it_is_known_and_not_before() -> None:
    theft = paid(people(1)[0], THIEF, at=ago(days=3))
    shows(
        seen(paid(recipient=THIEF), *told(theft, FRAUD, minutes=-10)),
        recipient_fraud_known_received_count_30d=0,
        recipient_fraud_known_received_seconds_since_last=NAN,
    )
    shows(
        seen(paid(recipient=THIEF), *told(theft, FRAUD, minutes=10)),
        recipient_fraud_known_received_count_30d=1,
        recipient_fraud_known_received_seconds_since_last=600,
    )


def test_r68_a_recipient_of_whom_only_genuine_payments_became_known_lately_is_no_longer_the_same() -> None:
    before = [
        *told(paid(people(1)[0], THIEF, at=ago(days=50)), FRAUD, days=20),
        *told(paid(people(2)[1], THIEF, at=ago(days=30)), GENUINE, days=2),
    ]
    shows(
        seen(paid(recipient=THIEF), *before),
        recipient_fraud_known_received_is_later_than_genuine_known_received=0,
        recipient_fraud_known_received_count_7d_per_recipient_genuine_known_received_count_7d=0,
        recipient_fraud_known_received_seconds_since_first=20 * DAY,
    )


def test_r68_a_customer_and_a_device_known_from_frauds_are_seen() -> None:
    """Both sent a fraud that became known a week ago, and a genuine payment that did yesterday."""
    before = [
        *told(paid(recipient=THIEF, device=PHONE, at=ago(days=9)), FRAUD, days=7),
        *told(paid(device=PHONE, at=ago(days=9)), GENUINE, days=1),
    ]
    shows(
        seen(paid(device=PHONE), *before),
        customer_fraud_known_sent_count_30d=1,
        customer_genuine_known_sent_count_30d=1,
        customer_fraud_known_sent_seconds_since_last=7 * DAY,
        device_fraud_known_sent_count_30d=1,
        device_genuine_known_sent_count_30d=1,
        device_fraud_known_sent_seconds_since_last=7 * DAY,
    )
    shows(
        seen(paid(BAKYT, device=PHONE), *before, paid(BAKYT, device=TABLET, at=ago(days=5))),
        customer_fraud_known_sent_count_30d=0,
        device_fraud_known_sent_count_30d=1,
    )
    shows(
        seen(paid(device=TABLET), *before, paid(BAKYT, device=TABLET, at=ago(days=5))),
        customer_fraud_known_sent_count_30d=1,
        device_fraud_known_sent_count_30d=0,
        device_fraud_known_sent_seconds_since_last=NAN,
    )


def test_r68_neither_the_robbed_nor_a_confirmed_recipient_is_taken_for_suspicious() -> None:
    before = [
        *told(paid(AYSULUU, THIEF, at=ago(days=3)), FRAUD, days=1),
        *told(paid(AYSULUU, SHOP, at=ago(days=3)), GENUINE, days=1),
    ]
    shows(
        seen(paid(BAKYT, AYSULUU), *before),
        recipient_fraud_known_received_count_30d=0,
        recipient_fraud_known_sent_count_30d=1,
    )
    shows(
        seen(paid(recipient=SHOP), *before),
        recipient_fraud_known_received_count_30d=0,
        recipient_genuine_known_received_count_30d=1,
        recipient_fraud_known_received_count_30d_per_recipient_genuine_known_received_count_30d=0,
    )


# ---- two steps away --------------------------------------------------------------------------------------------------


def theft() -> list[Record]:
    """Of someone else, known for four days: the thief's wallet is suspicious since."""
    return [*told(paid(people(1)[0], THIEF, at=ago(days=6)), FRAUD, days=4)]


def test_r68_who_pays_on_to_a_suspicious_account_is_seen_as_a_recipient() -> None:
    """Nothing is known against Bakyt, but what he gets goes to the thief."""
    passed_on = paid(BAKYT, THIEF, at=ago(days=1))
    shows(
        seen(paid(recipient=BAKYT), *theft(), passed_on),
        recipient_sent_to_suspicious_count_30d=1,
        recipient_fraud_known_received_count_30d=0,
    )
    shows(seen(paid(BAKYT), *theft(), passed_on), customer_sent_to_suspicious_count_30d=1)


def test_r68_who_is_paid_by_a_suspicious_account_is_seen_as_a_sender() -> None:
    share = paid(THIEF, BAKYT, at=ago(days=1))
    shows(seen(paid(BAKYT), *theft(), share), sender_received_from_suspicious_count_30d=1)


def test_r68_contact_before_the_fraud_was_known_is_no_contact_with_a_suspicious_account() -> None:
    """A mark is what was known when the operation arrived: it does not change when more becomes known."""
    early = [paid(BAKYT, THIEF, at=ago(days=5)), paid(THIEF, BAKYT, at=ago(days=5))]
    shows(
        seen(paid(BAKYT, CHOLPON), *theft(), *early),
        customer_sent_to_suspicious_count_30d=0,
        sender_received_from_suspicious_count_30d=0,
    )
    shows(seen(paid(recipient=BAKYT), *theft(), *early), recipient_sent_to_suspicious_count_30d=0)


def test_r68_payments_among_honest_people_are_no_contact() -> None:
    honest = [paid(BAKYT, CHOLPON, at=ago(days=1)), paid(CHOLPON, BAKYT, at=ago(days=1))]
    shows(
        seen(paid(BAKYT, CHOLPON), *theft(), *honest),
        customer_sent_to_suspicious_count_30d=0,
        recipient_sent_to_suspicious_count_30d=0,
        sender_received_from_suspicious_count_30d=0,
    )


# ---- known to the customer -------------------------------------------------------------------------------------------


def test_r68_a_recipient_that_the_customer_never_paid_is_told_from_a_usual_one() -> None:
    before = [paid(recipient=SHOP, at=ago(days=day)) for day in (9, 5, 2)] + [paid(BAKYT, CHOLPON, at=ago(days=1))]
    shows(
        seen(paid(recipient=CHOLPON), *before),
        customer_sent_recipient_is_new=1,
        customer_sent_recipient_same_count=0,
        customer_sent_recipient_seconds_since_same=NAN,
    )
    shows(
        seen(paid(recipient=SHOP), *before),
        customer_sent_recipient_is_new=0,
        customer_sent_recipient_same_count=3,
        customer_sent_recipient_seconds_since_same=2 * DAY,
    )
