"""R63: a time of day or day of the week that is unusual for the customer."""

from datetime import timedelta
from math import log2

from tests.stories.telling import BAKYT, NOW, ago, paid, seen, shows

NIGHT = ago(hours=9)
"""3 in the morning in Bishkek."""


def test_r63_an_unusual_hour_and_weekday_are_seen() -> None:
    """Three Mondays at noon, then a Wednesday at 3 in the morning."""
    mondays_at_noon = [paid(at=ago(weeks=week)) for week in (3, 2, 1)]
    shows(
        seen(paid(at=NOW + timedelta(days=1, hours=15)), *mondays_at_noon),
        operation_hour=3,
        operation_weekday=2,
        operation_night=1,
        customer_sent_hour_same_share_30d=0,
        customer_sent_weekday_same_share_30d=0,
        customer_sent_night_share_30d=0,
        customer_sent_hour_entropy_30d=0,
    )


def test_r63_the_usual_hour_is_not_taken_for_an_unusual_one() -> None:
    vector = seen(paid(at=NOW + timedelta(minutes=59)), *[paid(at=ago(weeks=week)) for week in (3, 2, 1)])
    shows(
        vector,
        operation_hour=12,
        operation_weekday=0,
        operation_night=0,
        customer_sent_hour_same_share_30d=1,
        customer_sent_weekday_same_share_30d=1,
    )


def test_r63_who_pays_at_all_hours_has_no_habit_to_break() -> None:
    """Eight different hours as often: three bits of entropy; one in four was at night."""
    anywhen = [paid(at=ago(days=1 + place, hours=3 * place)) for place in range(8)]  # 12, 9, 6, 3, 0, 21, 18, 15
    shows(
        seen(paid(at=NOW + timedelta(hours=3)), *anywhen),
        customer_sent_hour_entropy_30d=log2(8),
        customer_sent_hour_same_share_30d=1 / 8,
        customer_sent_night_share_30d=1 / 4,
    )


def test_r63_a_habit_of_nights_is_the_customer_s_own() -> None:
    """She pays at 3 every night; what Bakyt does at 9 in the evening changes nothing."""
    nights = [paid(at=NIGHT - timedelta(days=day)) for day in (3, 2, 1)]
    shows(
        seen(paid(at=NIGHT), *nights, paid(BAKYT, at=NIGHT - timedelta(hours=6))),
        customer_sent_hour_same_share_30d=1,
        customer_sent_night_share_30d=1,
        customer_sent_hour_entropy_30d=0,
    )


def test_r63_a_habit_of_long_ago_is_outside_the_window() -> None:
    old = [paid(at=NIGHT - timedelta(days=30 + day)) for day in range(5)]
    vector = seen(paid(at=NIGHT), *old, paid(at=ago(days=2)))
    shows(vector, customer_sent_hour_same_share_30d=0, customer_sent_night_share_30d=0)
