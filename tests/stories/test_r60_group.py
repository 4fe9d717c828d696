"""R60: sudden growth, over a group of customers, of operations alike by sum, recipient or type."""

import pytest

from domain.operation import Kind, Party
from tests.stories.telling import AYSULUU, BAKYT, NAN, NOW, SHOP, ago, paid, people, seen, shows

ALMATY = Party(account="almaty", country="KZ")


def test_r60_many_customers_acting_alike_are_seen() -> None:
    """Twelve customers pay the same recipient nearly the same, in half an hour, and nobody did so before."""
    alike = [paid(payer, SHOP, 700 + 20 * i, ago(minutes=30 - i)) for i, payer in enumerate(people(12))]
    shows(
        seen(paid(som=900), *alike),
        alike_sent_count_1h=12,
        alike_sent_count_1d=12,
        alike_sent_customer_distinct_1h=12,
        alike_sent_customer_distinct_1d=12,
        alike_sent_customer_distinct_7d=12,
        alike_shifted_sent_customer_distinct_1h=12,
        alike_shifted_sent_customer_distinct_1d=12,
        alike_sent_pace_against_7d_in_1h=7 * 24,
    )


def test_r60_amounts_on_both_sides_of_a_band_s_edge_share_the_shifted_band() -> None:
    """The edge is at 1,310.72 som: twelve pay 1,300, and the next 1,320. Bands have edges, but not both at one place."""
    before = [paid(payer, SHOP, 1_300, ago(minutes=30)) for payer in people(12)]
    shows(
        seen(paid(som=1_320), *before),
        alike_sent_customer_distinct_1h=NAN,
        alike_shifted_sent_customer_distinct_1h=12,
        alike_shifted_sent_customer_distinct_1d=12,
    )
    shows(seen(paid(som=1_310.71), *before), alike_sent_customer_distinct_1h=12, alike_shifted_sent_customer_distinct_1h=12)


def test_r60_an_edge_of_the_shifted_band_is_inside_a_band() -> None:
    """The shifted edge is at 1,853.91 som."""
    before = [paid(payer, SHOP, 1_850, ago(minutes=30)) for payer in people(12)]
    shows(seen(paid(som=1_860), *before), alike_sent_customer_distinct_1h=12, alike_shifted_sent_customer_distinct_1h=NAN)


def test_r60_a_country_that_money_suddenly_goes_to_is_seen() -> None:
    """Two transfers to Kazakhstan in six days, then twelve in an hour, to whomever and however large."""
    habit = [paid(BAKYT, ALMATY, at=ago(days=day), kind=Kind.INTERNATIONAL_TRANSFER) for day in (2, 5)]
    astana = Party(account="astana", country="KZ")
    rush = [
        paid(payer, astana, 100 * 3**i, ago(minutes=30), Kind.INTERNATIONAL_TRANSFER) for i, payer in enumerate(people(12))
    ]
    vector = seen(paid(recipient=ALMATY, kind=Kind.INTERNATIONAL_TRANSFER), *habit, *rush)
    shows(vector, corridor_sent_pace_against_7d_in_1h=12 * 24 * 7 / 14)


@pytest.mark.parametrize(
    "other", [{"recipient": Party(account="moscow", country="RU")}, {"recipient": SHOP}, {"kind": Kind.E_WALLET}]
)
def test_r60_another_country_an_unnamed_one_or_another_kind_is_no_rush(other: dict[str, object]) -> None:
    transfer = {"recipient": ALMATY, "kind": Kind.INTERNATIONAL_TRANSFER}
    before = [paid(**{"sender": payer, "at": ago(minutes=30)} | transfer | other) for payer in people(12)]
    shows(seen(paid(**transfer), *before), corridor_sent_pace_against_7d_in_1h=NAN)


def test_r60_as_many_as_every_hour_are_no_growth() -> None:
    """A shop that is paid alike by one customer an hour, all week."""
    week = [paid(people(9)[hour % 9], at=ago(hours=hour, minutes=30)) for hour in range(7 * 24)]
    shows(seen(paid(), *week), alike_sent_count_1h=1, alike_sent_pace_against_7d_in_1h=1)


@pytest.mark.parametrize(
    ("other", "count", "distinct"),
    [
        ({"sender": AYSULUU}, 12, 1),  # one customer
        ({"som": 50_000}, NAN, NAN),  # another sum
        ({"recipient": BAKYT}, NAN, NAN),  # another recipient
        ({"kind": Kind.CASH_WITHDRAWAL}, NAN, NAN),  # another type
        ({"at": ago(hours=1)}, 0, 0),  # earlier
        ({"at": NOW + (NOW - ago(minutes=1))}, NAN, NAN),  # later
    ],
    ids=["one customer", "another sum", "another recipient", "another type", "an hour ago", "a minute later"],
)
def test_r60_operations_of_one_customer_or_unlike_or_at_another_time_are_no_group(
    other: dict[str, object], count: float, distinct: float
) -> None:
    before = [paid(**{"sender": payer, "at": ago(minutes=30)} | other) for payer in people(12)]
    shows(seen(paid(), *before), alike_sent_count_1h=count, alike_sent_customer_distinct_1h=distinct)
