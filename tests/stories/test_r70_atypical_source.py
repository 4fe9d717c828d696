"""R70: top-ups from sources that are not typical for the customer."""

from domain.operation import Funding
from tests.stories.telling import AYSULUU, BAKYT, CHOLPON, NAN, ago, paid, seen, shows, topped_up


def test_r70_a_top_up_from_an_atypical_source_is_seen() -> None:
    """Her own bank card three times, then a terminal."""
    usual = [topped_up(AYSULUU, "card", ago(days=day), source="bank one") for day in (20, 10, 5)]
    shows(
        seen(topped_up(AYSULUU, "terminal", source="kiosk 7"), *usual),
        customer_topped_up_funding_is_new=1,
        customer_topped_up_funding_same_share=0,
        customer_topped_up_funding_distinct_7d=1,
        recipient_received_funding_is_new=1,
    )


def test_r70_a_top_up_from_the_usual_source_is_not_taken_for_it() -> None:
    usual = [topped_up(AYSULUU, "card", ago(days=day), source="bank one") for day in (20, 10, 5)]
    once = topped_up(AYSULUU, "terminal", ago(days=8), source="kiosk 7")
    shows(
        seen(topped_up(AYSULUU, "card", source="bank one"), once, *usual),
        customer_topped_up_funding_is_new=0,
        customer_topped_up_funding_same_share=3 / 4,
        customer_topped_up_funding_distinct_7d=1,
        recipient_received_funding_is_new=0,
    )


def test_r70_many_sources_in_a_week_are_seen() -> None:
    sources = ("bank one", "bank two", "bank three", "bank one")
    week = [topped_up(AYSULUU, "card", ago(days=1 + i), source=source) for i, source in enumerate(sources)]
    shows(seen(topped_up(AYSULUU, "card", source="bank four"), *week), customer_topped_up_funding_distinct_7d=3)


def test_r70_the_same_tool_from_another_bank_is_another_source() -> None:
    vector = seen(topped_up(AYSULUU, "card", source="bank two"), topped_up(AYSULUU, "card", ago(days=1), source="bank one"))
    shows(vector, customer_topped_up_funding_is_new=1)


def test_r70_a_payment_does_not_make_its_source_a_usual_one_for_top_ups() -> None:
    payment = paid(funding=Funding(instrument="terminal", source="kiosk 7"), at=ago(days=1))
    usual = topped_up(AYSULUU, "card", ago(days=2), source="bank one")
    shows(
        seen(topped_up(AYSULUU, "terminal", source="kiosk 7"), usual, payment),
        customer_topped_up_funding_is_new=1,
        customer_topped_up_funding_same_share=0,
        customer_topped_up_funding_distinct_7d=1,
    )


def test_r70_a_source_that_another_customer_uses_is_new_to_her_and_known_to_the_wallet_it_fills() -> None:
    """Bakyt has filled Cholpon's wallet from a kiosk; now Aysuluu does, for the first time."""
    before = [
        topped_up(CHOLPON, "terminal", ago(days=2), by=BAKYT, source="kiosk 7"),
        topped_up(AYSULUU, "card", ago(days=1), source="bank one"),
    ]
    shows(
        seen(topped_up(CHOLPON, "terminal", by=AYSULUU, source="kiosk 7"), *before),
        customer_topped_up_funding_is_new=1,
        recipient_received_funding_is_new=0,
    )


def test_r70_a_source_that_is_not_named_is_missing_and_not_new() -> None:
    vector = seen(paid(), topped_up(AYSULUU, "card", ago(days=1)))
    shows(vector, customer_topped_up_funding_is_new=NAN, customer_topped_up_funding_same_share=NAN)
