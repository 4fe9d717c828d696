"""R67: unusually many returns or cancellations."""

from domain.events import EventType
from tests.stories.telling import BAKYT, NAN, ago, happened, paid, seen, shows

RETURNED, CANCELLED = EventType.OPERATION_RETURNED, EventType.OPERATION_CANCELLED


def test_r67_many_returns_and_cancellations_are_seen() -> None:
    """Of eight purchases in a month five came back, two of them today; four more were cancelled."""
    purchases = [paid(at=ago(days=20 + i)) for i in range(8)]
    returns = [happened(RETURNED, at) for at in (ago(days=15), ago(days=6), ago(days=5), ago(hours=20), ago(hours=2))]
    cancelled = [happened(CANCELLED, at) for at in (ago(days=6), ago(days=2), ago(hours=5), ago(hours=4))]
    shows(
        seen(paid(), *purchases, *returns, *cancelled),
        customer_returned_count_1d=2,
        customer_returned_count_7d=4,
        customer_returned_count_30d=5,
        customer_cancelled_count_1d=2,
        customer_cancelled_count_7d=4,
        customer_returned_count_30d_per_customer_sent_count_30d=5 / 8,
    )


def test_r67_operations_that_were_neither_returned_nor_cancelled_are_not_taken_for_it() -> None:
    """An old return, a later one, and those of others."""
    before = [happened(RETURNED, ago(days=30)), happened(CANCELLED, ago(days=7)), happened(RETURNED, ago(hours=-1))]
    before += [happened(what, ago(days=1), to=BAKYT) for what in (RETURNED, CANCELLED) for _ in range(9)]
    shows(
        seen(paid(), *before, *[paid(at=ago(hours=1)) for _ in range(9)]),
        customer_returned_count_1d=0,
        customer_returned_count_7d=0,
        customer_returned_count_30d=0,
        customer_cancelled_count_1d=0,
        customer_cancelled_count_7d=0,
        customer_returned_count_30d_per_customer_sent_count_30d=0,
    )


def test_r67_one_return_among_many_purchases_is_usual() -> None:
    before = [paid(at=ago(days=1 + i)) for i in range(25)]
    vector = seen(paid(), *before, happened(RETURNED, ago(hours=1)))
    shows(vector, customer_returned_count_30d_per_customer_sent_count_30d=1 / 25)


def test_r67_returns_without_any_purchase_in_the_month_have_no_share() -> None:
    vector = seen(paid(), happened(RETURNED, ago(days=1)))
    shows(vector, customer_returned_count_30d=1, customer_returned_count_30d_per_customer_sent_count_30d=NAN)
