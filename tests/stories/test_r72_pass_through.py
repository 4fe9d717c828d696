"""R72: an application or wallet in splitting or consolidation with rapid onward transfer to another institution."""

from domain.operation import Party
from tests.stories.telling import AYSULUU, BAKYT, DAY, NAN, SHOP, SOM, ago, paid, people, seen, shows

ELSEWHERE = Party(account="beyond", institution="bank-two")


def arrived() -> list:
    """Two people send Aysuluu 50,000 som each, 20 and 19 minutes ago."""
    return [paid(payer, AYSULUU, 50_000, ago(minutes=20 - i)) for i, payer in enumerate(people(2))]


def test_r72_money_that_comes_in_and_goes_straight_on_is_seen_on_the_account_it_passes() -> None:
    """90,000 of the 100,000 som leave for another bank within a quarter of an hour; now 9,000 more."""
    gone_on = paid(AYSULUU, ELSEWHERE, 90_000, ago(minutes=5))
    shows(
        seen(gone_on, *arrived()),
        operation_other_institution=1,
        sender_received_amount_sum_1h=100_000 * SOM,
        sender_received_amount_sum_1d=100_000 * SOM,
        sender_received_seconds_since_last=14 * 60,
        sender_received_amount_over_max_1d=1.8,
        sender_sent_amount_sum_1h_per_sender_received_amount_sum_1h=0,
    )
    shows(
        seen(paid(AYSULUU, ELSEWHERE, 9_000), *arrived(), gone_on),
        sender_sent_amount_sum_1h_per_sender_received_amount_sum_1h=0.9,
        sender_sent_amount_sum_1d_per_sender_received_amount_sum_1d=0.9,
        sender_sent_other_institution_amount_sum_1d_per_sender_received_amount_sum_1d=0.9,
    )


def test_r72_the_next_who_pays_the_account_sees_that_it_passes_money_on() -> None:
    gone_on = paid(AYSULUU, ELSEWHERE, 90_000, ago(minutes=5))
    shows(
        seen(paid(BAKYT, AYSULUU, 50_000), *arrived(), gone_on),
        recipient_sent_amount_sum_7d_per_recipient_received_amount_sum_7d=0.9,
        recipient_sent_amount_sum_1d=90_000 * SOM,
        recipient_sent_seconds_since_last=300,
    )


def test_r72_what_stays_within_the_institution_does_not_leave_it() -> None:
    """A shop whose institution is not named, and Bakyt at the same bank: passed on, but not to another institution."""
    spent = [paid(AYSULUU, SHOP, 30_000, ago(minutes=5)), paid(AYSULUU, BAKYT, 20_000, ago(minutes=5))]
    shows(
        seen(paid(AYSULUU, BAKYT), *arrived(), *spent),
        operation_other_institution=0,
        sender_sent_amount_sum_1d_per_sender_received_amount_sum_1d=0.5,
        sender_sent_other_institution_amount_sum_1d_per_sender_received_amount_sum_1d=0,
    )


def test_r72_money_that_stays_for_days_is_no_pass_through() -> None:
    before = [paid(BAKYT, AYSULUU, 50_000, ago(days=6)), paid(AYSULUU, ELSEWHERE, at=ago(hours=2))]
    shows(
        seen(paid(AYSULUU, ELSEWHERE), *before),
        sender_received_amount_sum_1h=0,
        sender_received_amount_sum_1d=0,
        sender_received_amount_over_max_1d=NAN,
        sender_received_seconds_since_last=6 * DAY,
        sender_sent_amount_sum_1h_per_sender_received_amount_sum_1h=NAN,
        sender_sent_amount_sum_1d_per_sender_received_amount_sum_1d=NAN,
        sender_sent_other_institution_amount_sum_1d_per_sender_received_amount_sum_1d=NAN,
    )


def test_r72_money_that_others_pass_on_is_not_hers() -> None:
    others = [paid(people(1)[0], BAKYT, 50_000, ago(minutes=20)), paid(BAKYT, ELSEWHERE, 50_000, ago(minutes=5))]
    kept = paid(people(1)[0], AYSULUU, 50_000, ago(minutes=20))
    shows(
        seen(paid(BAKYT, AYSULUU), *others, kept),
        recipient_sent_amount_sum_7d_per_recipient_received_amount_sum_7d=0,
        recipient_sent_amount_sum_1d=0,
        recipient_sent_seconds_since_last=NAN,
    )
