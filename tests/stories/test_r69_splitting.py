"""R69: splitting of sums and spreading to many recipients."""

from tests.stories.telling import AYSULUU, BAKYT, NAN, SHOP, ago, paid, people, seen, shows


def test_r69_spreading_to_many_recipients_is_seen() -> None:
    """Fifteen recipients, paid within the hour, ten of them for the first time; two others in the week."""
    friends, strangers = people(15)[:5], people(15)[5:]
    habit = [paid(recipient=friend, at=ago(days=20)) for friend in friends]
    week = [paid(recipient=SHOP, at=ago(days=3)), paid(recipient=BAKYT, at=ago(hours=5))]
    spread = [paid(recipient=to, at=ago(minutes=40 - i)) for i, to in enumerate(friends + strangers)]
    shows(
        seen(paid(), *habit, *week, *spread),
        sender_sent_recipient_distinct_1h=15,
        sender_sent_recipient_distinct_1d=16,
        sender_sent_recipient_distinct_7d=17,
        sender_sent_pace_against_30d_in_1h=15 * 24 * 30 / 22,
        customer_sent_new_recipient_count_1h=10,
        customer_sent_new_recipient_count_1d=11,
    )


def test_r69_a_sum_split_into_like_parts_is_seen() -> None:
    """Eight parts just inside one band of amounts, 655.36 to 1,310.71 som, to eight recipients, and two yesterday evening."""
    amounts = (656, 700, 800, 900, 1_000, 1_100, 1_200, 1_310.71)
    parts = [paid(AYSULUU, to, som, ago(minutes=30)) for to, som in zip(people(8), amounts, strict=True)]
    earlier = [paid(AYSULUU, BAKYT, 1_000, ago(hours=15)) for _ in range(2)]
    shows(
        seen(paid(som=1_000), *earlier, *parts),
        sender_alike_sent_count_1h=8,
        sender_alike_sent_count_1d=10,
        sender_alike_sent_recipient_distinct_1d=9,
    )


def test_r69_parts_on_both_sides_of_a_band_s_edge_are_seen_by_the_number_of_recipients() -> None:
    """Half of the parts just below 1,310.72 som, half above: each half is alike, and the spreading is whole."""
    below = [paid(AYSULUU, to, 1_310, ago(minutes=30)) for to in people(10)[:5]]
    above = [paid(AYSULUU, to, 1_311, ago(minutes=30)) for to in people(10)[5:]]
    for som in (1_310, 1_311):
        shows(
            seen(paid(som=som), *below, *above),
            sender_alike_sent_count_1h=5,
            sender_alike_sent_recipient_distinct_1d=5,
            sender_sent_recipient_distinct_1h=10,
        )


def test_r69_payments_of_all_sizes_are_no_parts_of_one_sum() -> None:
    before = [paid(som=100 * 3**i, at=ago(minutes=30)) for i in range(8)]
    shows(seen(paid(som=50), *before), sender_alike_sent_count_1h=NAN)
    shows(seen(paid(som=100), *before), sender_alike_sent_count_1h=1)


def test_r69_like_payments_of_others_are_no_parts_of_hers() -> None:
    others = [paid(payer, SHOP, 1_000, ago(minutes=30)) for payer in people(8)]
    shows(seen(paid(som=1_000), *others), sender_alike_sent_count_1h=NAN, sender_sent_recipient_distinct_1h=NAN)


def test_r69_many_payments_to_one_recipient_are_no_spreading() -> None:
    often = [paid(at=ago(minutes=40 - i)) for i in range(15)]
    shows(
        seen(paid(), *often),
        sender_sent_recipient_distinct_1h=1,
        customer_sent_new_recipient_count_1h=0,  # the first of all is not told from a usual one
        sender_alike_sent_recipient_distinct_1d=1,
    )


def test_r69_receiving_from_many_is_no_spreading() -> None:
    received = [paid(payer, AYSULUU, at=ago(minutes=40 - i)) for i, payer in enumerate(people(15))]
    shows(seen(paid(), *received), sender_sent_recipient_distinct_1h=0, sender_sent_pace_against_30d_in_1h=NAN)


def test_r69_many_recipients_over_weeks_are_no_sudden_spreading() -> None:
    slowly = [paid(recipient=to, at=ago(days=1 + i)) for i, to in enumerate(people(15))]
    shows(
        seen(paid(), *slowly),
        sender_sent_recipient_distinct_1h=0,
        sender_sent_recipient_distinct_1d=0,
        sender_sent_recipient_distinct_7d=6,
        sender_sent_pace_against_30d_in_1h=0,
    )
