"""R59: a sudden rise in the number of operations initiated or received."""

from tests.stories.telling import AYSULUU, BAKYT, CHOLPON, DAY, NAN, ago, paid, people, seen, shows


def test_r59_a_sudden_rise_of_initiated_operations_is_seen() -> None:
    """One payment a day for four weeks; then one every other minute for an hour."""
    habit = [paid(at=ago(days=day)) for day in range(2, 30)]
    burst = [paid(at=ago(minutes=minute)) for minute in range(2, 58, 2)]
    shows(
        seen(paid(), *habit, *burst),
        customer_sent_count_10m=4,
        customer_sent_count_1h=28,
        customer_sent_count_1d=28,
        customer_sent_count_7d=28 + 5,
        customer_sent_count_30d=28 + 28,
        customer_sent_pace_against_30d_in_1h=28 * 24 * 30 / 56,
        customer_sent_pace_against_30d_in_1d=28 * 30 / 56,
        customer_sent_seconds_since_last=120,
        customer_sent_seconds_since_5th_last=600,
        customer_seconds_since_first=29 * DAY,
    )


def test_r59_a_sudden_rise_of_received_operations_is_seen() -> None:
    """Bakyt, who was paid once a week, is paid by nine people within nine minutes."""
    habit = [paid(CHOLPON, BAKYT, at=ago(weeks=week)) for week in (1, 2, 3)]
    burst = [paid(payer, BAKYT, at=ago(minutes=1 + i)) for i, payer in enumerate(people(9))]
    shows(
        seen(paid(recipient=BAKYT), *habit, *burst),
        recipient_received_count_10m=9,
        recipient_received_count_1h=9,
        recipient_received_count_1d=9,
        recipient_received_count_7d=9,
        recipient_received_count_30d=12,
        recipient_received_pace_against_30d_in_1h=9 * 24 * 30 / 12,
        recipient_received_pace_against_30d_in_1d=9 * 30 / 12,
        recipient_received_seconds_since_last=60,
        recipient_received_seconds_since_5th_last=300,
        recipient_seconds_since_first=21 * DAY,
    )


def test_r59_as_many_operations_at_the_usual_pace_are_no_rise() -> None:
    """Thirty payments in thirty days, one of them today: one a day is the habit."""
    habit = [paid(at=ago(days=day, hours=-1)) for day in range(1, 31)]
    shows(
        seen(paid(), *habit),
        customer_sent_count_1h=0,
        customer_sent_count_1d=1,
        customer_sent_pace_against_30d_in_1h=0,
        customer_sent_pace_against_30d_in_1d=1,
    )


def test_r59_a_burst_of_another_customer_or_of_yesterday_is_no_rise() -> None:
    others = [paid(BAKYT, at=ago(minutes=5)) for _ in range(9)]
    yesterday = [paid(at=ago(days=1)) for _ in range(9)]  # a day ago to the millisecond is outside
    shows(
        seen(paid(), *others, *yesterday),
        customer_sent_count_10m=0,
        customer_sent_count_1h=0,
        customer_sent_count_1d=0,
        customer_sent_seconds_since_last=DAY,
    )


def test_r59_what_a_customer_pays_is_not_what_it_receives() -> None:
    received = [paid(BAKYT, AYSULUU, at=ago(minutes=5)) for _ in range(9)]
    shows(seen(paid(), *received), customer_sent_count_1h=NAN, customer_sent_seconds_since_last=NAN)
    shows(seen(paid(recipient=BAKYT), *received), recipient_received_count_1h=0, recipient_received_seconds_since_last=NAN)


def test_r59_a_customer_without_history_is_missing_and_not_calm() -> None:
    strangers = [paid(at=ago(minutes=5)) for _ in range(9)]
    shows(
        seen(paid(BAKYT), *strangers),
        customer_sent_count_1h=NAN,
        customer_sent_pace_against_30d_in_1h=NAN,
        customer_sent_seconds_since_5th_last=NAN,
        customer_seconds_since_first=NAN,
    )
