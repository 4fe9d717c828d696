"""R73: top-ups by different persons with various tools, then withdrawal."""

from domain.operation import Kind, Operation
from tests.stories.telling import AYSULUU, BAKYT, SOM, ago, cashed, paid, people, seen, shows, topped_up

TOOLS = ("card", "terminal", "cash desk", "wallet")


def collected(minutes: float = 40) -> list[Operation]:
    """Four people put 5,000 som each on Bakyt's wallet, each with another tool."""
    return [
        topped_up(BAKYT, tool, ago(minutes=minutes), by=payer, som=5_000)
        for payer, tool in zip(people(4), TOOLS, strict=True)
    ]


def test_r73_top_ups_by_different_persons_with_various_tools_are_seen_by_the_next_of_them() -> None:
    salary = paid(AYSULUU, BAKYT, 5_000, ago(days=3))
    shows(
        seen(topped_up(BAKYT, "voucher", by=AYSULUU), salary, *collected()),
        recipient_received_customer_distinct_1h=4,
        recipient_received_customer_distinct_1d=4,
        recipient_received_customer_distinct_7d=5,
        recipient_received_funding_distinct_7d=4,
        recipient_received_top_up_share_7d=4 / 5,
        recipient_cashed_amount_sum_7d_per_recipient_received_amount_sum_7d=0,
    )


def test_r73_the_withdrawal_of_what_was_collected_is_seen() -> None:
    """Half of the 20,000 som two minutes ago, now the rest."""
    half = cashed(BAKYT, 10_000, ago(minutes=2))
    shows(
        seen(cashed(BAKYT, 10_000), *collected(), half),
        sender_received_customer_distinct_1d=4,
        sender_received_customer_distinct_7d=4,
        sender_received_funding_distinct_7d=4,
        sender_cashed_amount_sum_1d=10_000 * SOM,
        sender_cashed_amount_sum_7d_per_sender_received_amount_sum_7d=0.5,
    )
    shows(
        seen(topped_up(BAKYT, "card", by=AYSULUU), *collected(), half),
        recipient_cashed_amount_sum_7d_per_recipient_received_amount_sum_7d=0.5,
    )


def test_r73_top_ups_by_one_person_with_one_tool_are_no_collecting() -> None:
    own = [topped_up(BAKYT, "card", ago(minutes=minutes)) for minutes in (50, 40, 30, 20)]
    shows(
        seen(topped_up(BAKYT, "card"), *own),
        recipient_received_customer_distinct_1h=1,
        recipient_received_customer_distinct_7d=1,
        recipient_received_funding_distinct_7d=1,
        sender_received_customer_distinct_1d=1,
        recipient_received_top_up_share_7d=1,
    )


def test_r73_payments_out_of_an_account_are_no_withdrawal_of_cash() -> None:
    shows(
        seen(paid(BAKYT), *collected(), paid(BAKYT, som=10_000, at=ago(hours=0.5)), cashed(AYSULUU, 10_000, ago(minutes=5))),
        sender_cashed_amount_sum_1d=0,
        sender_cashed_amount_sum_7d_per_sender_received_amount_sum_7d=0,
    )


def test_r73_what_was_collected_weeks_ago_is_outside_the_window() -> None:
    shows(
        seen(cashed(BAKYT, 10_000), *collected(minutes=8 * 24 * 60)),
        sender_received_customer_distinct_1d=0,
        sender_received_customer_distinct_7d=0,
        sender_received_funding_distinct_7d=0,
    )


def test_r73_payments_of_many_customers_to_a_shop_are_told_from_top_ups() -> None:
    sales = [paid(payer, BAKYT, kind=Kind.QR_OR_CARD, at=ago(minutes=30)) for payer in people(4)]
    shows(
        seen(paid(AYSULUU, BAKYT, kind=Kind.QR_OR_CARD), *sales),
        recipient_received_customer_distinct_1h=4,
        recipient_received_top_up_share_7d=0,
        recipient_received_funding_distinct_7d=0,
    )
