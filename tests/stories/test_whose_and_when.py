"""What holds for the features of every criterion: of whom they tell, and of when (R59-R74)."""

import math
from datetime import timedelta

from domain.events import EventType, Verdict
from domain.operation import Access, Device, Funding, Kind, Party
from features.definitions import DEFINITIONS
from features.language import RETAINED, Count, Declaration, Distinct, Feature, Own, Steps, Sum
from tests.stories.telling import AYSULUU, BAKYT, NOW, Record, ago, happened, known, paid, seen

HERS = {
    "device": Device(id="phone", ip="10.0.0.1", country="KG", latitude=42.87, longitude=74.57, vpn=True),
    "access": Access(login_method="pin", authorisation_method="push", agent_id="agent-7", employee_id="e-12"),
    "funding": Funding(instrument="card", source="bank one"),
    "category": "5411",
}
THERE = Party(account="almaty", country="KZ", institution="bank-two")


def busy_hour(before: timedelta = timedelta(0)) -> list[Record]:
    """Aysuluu does of everything a little, and so do those she deals with, in the hour before some time before now."""
    records: list[Record] = [
        happened(what, ago(minutes=55 - i) - before, device=HERS["device"], access=HERS["access"])
        for i, what in enumerate((*EventType, EventType.CONTACT_CHANGED))
    ]
    for i, kind in enumerate(Kind):
        records += [
            paid(AYSULUU, THERE, 1_000, ago(minutes=40 - i) - before, kind, **HERS),
            paid(BAKYT, AYSULUU, 1_000, ago(minutes=30 - i) - before, kind, **HERS),
            paid(THERE, BAKYT, 1_000, ago(minutes=20 - i) - before, kind, **HERS),
        ]
    return records


def found_out(records: list[Record], verdict: Verdict) -> list[Record]:
    """What each operation turned out to be, five minutes before now."""
    return [
        known(record, verdict, ago(minutes=5))
        for record in records
        if hasattr(record, "operation_id") and hasattr(record, "kind")
    ]


def windowed(declaration: Declaration) -> bool:
    """Whether it counts what is in a window, so that it is 0 where nothing is."""
    return isinstance(declaration, Feature) and declaration.over != RETAINED and isinstance(
        declaration.how, Count | Sum | Distinct | Steps
    )  # fmt: skip


def told(vector: dict[str, float]) -> dict[str, float]:
    """What is not missing, the operation's own values left out."""
    own = {declaration.name for declaration in DEFINITIONS if isinstance(declaration, Own)}
    return {name: value for name, value in vector.items() if name not in own and not math.isnan(value)}


HER_PAYMENT = paid(AYSULUU, THERE, 1_000, kind=Kind.INTERNATIONAL_TRANSFER, **HERS)


def test_a_busy_hour_is_seen_by_nearly_every_feature() -> None:
    """So that what the others here do not see is not for want of something to see."""
    vector = told(seen(HER_PAYMENT, *busy_hour()))
    assert len(vector) > 0.8 * len(DEFINITIONS)


def test_what_strangers_do_says_nothing_of_a_customer_a_recipient_and_a_device_never_met() -> None:
    records = busy_hour()
    stranger = paid(
        Party(wallet="new"), Party(wallet="newer", country="DE"), 77_777, kind=Kind.OTHER,
        device=Device(id="tablet", ip="192.0.2.1"), access=Access(agent_id="agent-8", employee_id="e-13"),
    )  # fmt: skip
    assert told(seen(stranger, *records, *found_out(records, Verdict.FRAUD))) == {}


def test_what_happened_more_than_a_month_ago_is_outside_every_window() -> None:
    vector = told(seen(HER_PAYMENT, *busy_hour(before=timedelta(days=30))))
    counted = {d.name: vector[d.name] for d in DEFINITIONS if windowed(d) and d.name in vector}
    assert len(counted) > 60 and set(counted.values()) == {0}


def test_what_happens_after_an_operation_changes_nothing_in_it() -> None:
    records, later = busy_hour(), busy_hour(before=timedelta(hours=-2))
    alone, followed = seen(HER_PAYMENT, *records), seen(HER_PAYMENT, *records, *later)
    assert told(followed) == told(alone)


def test_that_an_operation_turned_out_genuine_is_not_another_operation() -> None:
    """Only features that say `genuine known` change when all that came before is confirmed."""
    records = busy_hour()
    before, after = seen(HER_PAYMENT, *records), seen(HER_PAYMENT, *records, *found_out(records, Verdict.LEGITIMATE))
    moved = {name for name in after if told(after).get(name) != told(before).get(name)}
    assert moved and all("genuine_known" in name for name in moved)


def test_a_time_that_ties_is_a_place_in_the_order_of_arrival() -> None:
    """A payment of the same millisecond that arrived before counts."""
    assert seen(HER_PAYMENT, paid(AYSULUU, THERE, at=NOW))["customer_sent_count_10m"] == 1
