"""R61: an amount that is not typical for the customer, or an unusual category of payment."""

from math import sqrt

from domain.events import Verdict
from domain.operation import Kind, Party
from tests.stories.telling import AYSULUU, BAKYT, CHOLPON, NAN, SHOP, SOM, ago, known, paid, people, seen, shows


def test_r61_an_amount_that_is_not_typical_for_the_customer_is_seen() -> None:
    """One to four thousand som in a month, then ten thousand."""
    habit = [
        paid(som=som, at=at)
        for som, at in ((4_000, ago(days=20)), (3_000, ago(days=3)), (2_000, ago(hours=5)), (1_000, ago(minutes=30)))
    ]
    shows(
        seen(paid(som=10_000), *habit),
        operation_amount=10_000 * SOM,
        customer_sent_amount_sum_1h=1_000 * SOM,
        customer_sent_amount_sum_1d=3_000 * SOM,
        customer_sent_amount_sum_7d=6_000 * SOM,
        customer_sent_amount_sum_30d=10_000 * SOM,
        customer_sent_amount_mean_1d=1_500 * SOM,
        customer_sent_amount_mean_7d=2_000 * SOM,
        customer_sent_amount_mean_30d=2_500 * SOM,
        customer_sent_amount_max_1d=2_000 * SOM,
        customer_sent_amount_max_30d=4_000 * SOM,
        customer_sent_amount_deviation_30d=sqrt(1.25) * 1_000 * SOM,
        customer_sent_amount_zscore_30d=7.5 / sqrt(1.25),
        customer_sent_amount_over_mean_7d=5,
        customer_sent_amount_over_mean_30d=4,
        customer_sent_amount_over_max_30d=2.5,
        customer_sent_band_same_share_30d=0,
    )


def test_r61_earlier_amounts_far_from_those_known_to_be_genuine_are_seen() -> None:
    """2,000 som is known to be genuine; of the two operations of this week one was of 7,000, more than three times that."""
    genuine = paid(som=2_000, at=ago(days=40))
    week = [paid(som=7_000, at=ago(days=2)), paid(som=5_000, at=ago(days=1))]
    shows(
        seen(paid(som=2_000), genuine, known(genuine, Verdict.LEGITIMATE, ago(days=30)), *week),
        customer_sent_unusual_share_7d=0.5,
        customer_sent_unusual_seconds_since_last=2 * 86_400,
    )
    shows(
        seen(paid(som=2_000), genuine, *week),  # nothing is known to be genuine
        customer_sent_unusual_share_7d=0,
        customer_sent_unusual_seconds_since_last=NAN,
    )


def test_r61_an_amount_against_those_known_to_be_genuine_is_seen() -> None:
    """A fraud of 90,000 som does not make 5,000 typical: what is known to be genuine is 1,000 and 3,000."""
    habit = [paid(som=1_000, at=ago(days=40)), paid(som=3_000, at=ago(days=39))]
    theft = paid(som=90_000, at=ago(days=38))
    outcomes = [*(known(one, Verdict.LEGITIMATE, ago(days=33)) for one in habit), known(theft, Verdict.FRAUD, ago(days=33))]
    shows(
        seen(paid(som=5_000), *habit, theft, *outcomes),
        customer_genuine_known_sent_amount_mean_retained=2_000 * SOM,
        customer_genuine_known_sent_amount_zscore_retained=3,
        customer_genuine_known_sent_amount_over_mean_retained=2.5,
        customer_genuine_known_sent_amount_over_max_retained=5 / 3,
    )


def test_r61_what_is_not_known_yet_makes_no_amount_typical() -> None:
    earlier = paid(at=ago(days=2))
    vector = seen(paid(som=5_000), earlier, known(earlier, Verdict.LEGITIMATE, ago(days=-1)))
    shows(vector, customer_genuine_known_sent_amount_over_mean_retained=NAN)


def test_r61_an_amount_that_is_not_typical_for_the_recipient_is_seen() -> None:
    """A shop that takes 100 to 300 som gets 5,000."""
    sales = [paid(payer, SHOP, 100 * (1 + i), ago(days=1 + i)) for i, payer in enumerate(people(3))]
    vector = seen(paid(som=5_000), *sales, known(sales[0], Verdict.LEGITIMATE, ago(hours=1)))
    shows(
        vector,
        recipient_received_amount_mean_7d=200 * SOM,
        recipient_received_amount_over_mean_7d=25,
        recipient_received_amount_zscore_30d=4_800 / (100 * sqrt(2 / 3)),
        recipient_genuine_known_received_amount_over_mean_retained=50,
    )


def test_r61_an_unusual_category_and_kind_are_seen() -> None:
    groceries = [paid(category="5411", at=ago(days=1 + i)) for i in range(4)]
    casino = paid(category="7995", kind=Kind.INTERNATIONAL_TRANSFER)
    shows(
        seen(casino, *groceries),
        customer_sent_category_is_new=1,
        customer_sent_category_same_share=0,
        customer_sent_kind_same_share_30d=0,
        customer_sent_foreign_share_30d=0,
        operation_foreign=1,
    )


def test_r61_a_usual_amount_category_and_kind_are_not_taken_for_unusual() -> None:
    abroad = Party(account="almaty", country="KZ")
    habit = [
        paid(recipient=SHOP if day % 2 else abroad, som=1_000 + 10 * (day % 3), at=ago(days=day), category="5411")
        for day in range(1, 21)
    ]
    vector = seen(paid(som=1_010, category="5411"), *habit)
    shows(
        vector,
        customer_sent_category_is_new=0,
        customer_sent_category_same_share=1,
        customer_sent_kind_same_share_30d=1,
        customer_sent_band_same_share_30d=1,
        customer_sent_foreign_share_30d=0.5,
    )
    assert (
        abs(vector["customer_sent_amount_zscore_30d"]) < 0.1 and 0.99 < vector["customer_sent_amount_over_mean_30d"] < 1.01
    )


def test_r61_what_others_spend_does_not_make_an_amount_typical() -> None:
    rich = [paid(BAKYT, som=90_000, at=ago(days=day)) for day in (3, 2, 1)]
    vector = seen(paid(som=90_000), paid(at=ago(days=1)), *rich)
    shows(vector, customer_sent_amount_over_mean_30d=90, customer_sent_amount_max_30d=1_000 * SOM)


def test_r61_an_old_habit_is_outside_the_window() -> None:
    vector = seen(paid(som=90_000), paid(som=90_000, at=ago(days=30)))
    shows(vector, customer_sent_amount_sum_30d=0, customer_sent_amount_mean_30d=NAN, customer_sent_amount_over_mean_30d=NAN)


def test_r61_what_a_customer_is_paid_is_not_what_it_spends() -> None:
    vector = seen(paid(), paid(CHOLPON, AYSULUU, 90_000, ago(hours=2)), paid(som=10, at=ago(hours=1)))
    shows(vector, customer_sent_amount_sum_1d=10 * SOM, customer_sent_amount_over_max_30d=100)
