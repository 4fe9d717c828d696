"""A story for every cell of the coverage map: a criterion's suspicious behaviour, ended by an operation of any kind.

Each is told twice: as what is suspicious, and as the same customer's ordinary day. What the features say of the two differs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from domain.criteria import FraudCriterion
from domain.events import EventType, Verdict
from domain.operation import Access, Device, Funding, Kind, Operation, Party
from tests.stories.telling import (
    ATM,
    AYSULUU,
    BAKYT,
    CHOLPON,
    SHOP,
    SOM,
    Record,
    ago,
    happened,
    known,
    paid,
    people,
    topped_up,
)  # fmt: skip

Features = dict[str, float]
PHONE, LAPTOP = (
    Device(id="phone", ip="10.0.0.1", country="KG"),
    Device(id="laptop", ip="203.0.113.9", country="NL", vpn=True),
)
PIN, SMS = Access(login_method="pin", authorisation_method="pin"), Access(login_method="sms", authorisation_method="sms")
AGENT = Access(agent_id="agent-7")
THIEF = Party(wallet="thief")


@dataclass(frozen=True)
class Told:
    """What arrives, and what some features say of it. before: what arrived earlier."""

    operation: Operation
    before: list[Record]
    says: Features = field(default_factory=dict)


@dataclass(frozen=True)
class Story:
    """What is suspicious, and what is ordinary: the same features, with other values."""

    suspicious: Told
    ordinary: Told


def other_side(kind: Kind) -> Party:
    """Who is at the other end of an operation of a kind: her own wallet, a machine, else a shop."""
    return {Kind.TOP_UP: AYSULUU, Kind.CASH_WITHDRAWAL: ATM}.get(kind, SHOP)


def act(kind: Kind, **said: object) -> Operation:
    """An operation of hers of that kind, now and of 1,000 som unless said otherwise."""
    return paid(**({"recipient": other_side(kind), "kind": kind} | said))  # type: ignore[arg-type]


def habit(kind: Kind, **said: object) -> list[Record]:
    """One a day for four weeks, at noon."""
    return [act(kind, at=ago(days=day), **said) for day in range(1, 29)]


def frequency(kind: Kind) -> Story:
    """Twenty-eight within the hour after one a day."""
    burst = [act(kind, at=ago(minutes=minute)) for minute in range(2, 58, 2)]
    return Story(
        Told(act(kind), [*habit(kind), *burst], {"customer_sent_count_1h": 28, "customer_sent_count_10m": 4}),
        Told(act(kind), habit(kind), {"customer_sent_count_1h": 0, "customer_sent_count_10m": 0}),
    )


def group(kind: Kind) -> Story:
    """Twenty customers within the hour, all alike."""
    alike = [act(kind, sender=one, recipient=THIEF, at=ago(minutes=1 + i)) for i, one in enumerate(people(20))]
    one = [act(kind, sender=BAKYT, recipient=THIEF, at=ago(minutes=5))]
    return Story(
        Told(act(kind, recipient=THIEF), alike, {"alike_sent_customer_distinct_1h": 20, "alike_sent_count_1h": 20}),
        Told(act(kind, recipient=THIEF), one, {"alike_sent_customer_distinct_1h": 1, "alike_sent_count_1h": 1}),
    )


def amount(kind: Kind) -> Story:
    """Fifty times the usual sum."""
    return Story(
        Told(act(kind, som=50_000), habit(kind), {"customer_sent_amount_over_mean_30d": 50}),
        Told(act(kind), habit(kind), {"customer_sent_amount_over_mean_30d": 1}),
    )


def device(kind: Kind) -> Story:
    """A device and a country that she never used, behind a VPN."""
    before = habit(kind, device=PHONE)
    names = ("customer_sent_device_is_new", "customer_sent_country_is_new", "operation_vpn")
    return Story(
        Told(act(kind, device=LAPTOP), before, dict.fromkeys(names, 1)),
        Told(act(kind, device=PHONE), before, dict.fromkeys(names, 0)),
    )


def time(kind: Kind) -> Story:
    """Four at night, where it was always noon."""
    return Story(
        Told(act(kind, at=ago(hours=8)), habit(kind), {"customer_sent_hour_same_share_30d": 0, "operation_night": 1}),
        Told(act(kind), habit(kind), {"customer_sent_hour_same_share_30d": 1, "operation_night": 0}),
    )


def failed_logins(kind: Kind) -> Story:
    """Eight wrong passwords within eight minutes."""
    tried = [happened(EventType.LOGIN_FAILED, ago(minutes=1 + i)) for i in range(8)]
    return Story(
        Told(act(kind), [*habit(kind), *tried], {"customer_login_failed_count_10m": 8}),
        Told(act(kind), [*habit(kind), tried[0]], {"customer_login_failed_count_10m": 1}),
    )


def contact_changes(kind: Kind) -> Story:
    """Three changes of contacts in a day, then a large sum."""
    changes = [happened(EventType.CONTACT_CHANGED, ago(hours=hour)) for hour in (3, 2, 1)]
    long_ago = [happened(EventType.CONTACT_CHANGED, ago(days=25))]
    says = ("customer_contact_changed_count_1d", "customer_contact_then_large_steps_3d")
    return Story(
        Told(act(kind, som=50_000), [*habit(kind), *changes], dict(zip(says, (3, 1), strict=True))),
        Told(act(kind), [*habit(kind), *long_ago], dict(zip(says, (0, 0), strict=True))),
    )


def known_scheme(kind: Kind) -> Story:
    """The first three steps of a takeover, in order; then backwards, which is none."""
    steps = (EventType.LOGIN_FAILED, EventType.LOGIN_SUCCEEDED, EventType.CONTACT_CHANGED)
    taken = [happened(step, ago(hours=3 - i)) for i, step in enumerate(steps)]
    backwards = [happened(step, ago(hours=3 - i)) for i, step in enumerate(reversed(steps))]
    return Story(
        Told(act(kind), [*habit(kind), *taken], {"customer_takeover_steps_3d": 3}),
        Told(act(kind), [*habit(kind), *backwards], {"customer_takeover_steps_3d": 1}),
    )


def returns(kind: Kind) -> Story:
    """Six returns and cancellations in a week, where one is usual."""
    back = [happened(EventType.OPERATION_RETURNED, ago(days=1 + i)) for i in range(4)]
    off = [happened(EventType.OPERATION_CANCELLED, ago(days=1, hours=i)) for i in range(2)]
    return Story(
        Told(act(kind), [*habit(kind), *back, *off], {"customer_returned_count_7d": 4, "customer_cancelled_count_7d": 2}),
        Told(act(kind), [*habit(kind), back[0]], {"customer_returned_count_7d": 1, "customer_cancelled_count_7d": 0}),
    )


def suspicious_recipient(kind: Kind) -> Story:
    """Two frauds to this recipient became known."""
    told = [act(kind, sender=one, recipient=THIEF, at=ago(days=3)) for one in people(2)]
    says = "recipient_fraud_known_received_count_30d"
    return Story(
        Told(act(kind, recipient=THIEF), [*told, *(known(one, Verdict.FRAUD, ago(days=1)) for one in told)], {says: 2}),
        Told(act(kind, recipient=THIEF), [*told, *(known(one, Verdict.LEGITIMATE, ago(days=1)) for one in told)], {says: 0}),
    )


def splitting(kind: Kind) -> Story:
    """Eight equal sums within the hour, to eight recipients; then one."""
    split = [act(kind, recipient=to, at=ago(minutes=5 * (1 + i))) for i, to in enumerate(people(8))]
    says = ("sender_sent_recipient_distinct_1h", "sender_alike_sent_count_1h")
    return Story(
        Told(act(kind), split, dict.fromkeys(says, 8)),
        Told(act(kind), split[:1], dict.fromkeys(says, 1)),
    )


def atypical_source(kind: Kind) -> Story:
    """Her wallet was always filled with her own card; now from a kiosk."""
    usual, strange = (
        Funding(instrument=tool, source=source) for tool, source in (("card", "bank one"), ("terminal", "kiosk 7"))
    )
    before = [topped_up(AYSULUU, "card", ago(days=day), source="bank one") for day in (20, 10, 5)]
    now = {"recipient": AYSULUU, "kind": kind}
    return Story(
        Told(paid(**now, funding=strange), before, {"recipient_received_funding_is_new": 1}),  # type: ignore[arg-type]
        Told(paid(**now, funding=usual), before, {"recipient_received_funding_is_new": 0}),  # type: ignore[arg-type]
    )


def authorisation_change(kind: Kind) -> Story:
    """A way of logging in and authorising that she never used."""
    before = habit(kind, access=PIN)
    says = ("customer_sent_login_method_is_new", "customer_sent_authorisation_method_is_new")
    return Story(
        Told(act(kind, access=SMS), before, dict.fromkeys(says, 1)),
        Told(act(kind, access=PIN), before, dict.fromkeys(says, 0)),
    )


def pass_through(kind: Kind) -> Story:
    """Two people send 50,000 som each, and it goes on within the hour; a wallet that passes on is seen by who fills it."""
    arrived = [paid(payer, BAKYT, 50_000, ago(minutes=20 - i)) for i, payer in enumerate(people(2))]
    gone = paid(BAKYT, Party(account="beyond", institution="bank-two"), 90_000, ago(minutes=5))
    if kind is Kind.TOP_UP:
        says = "recipient_sent_amount_sum_7d_per_recipient_received_amount_sum_7d"
        return Story(
            Told(paid(AYSULUU, BAKYT, kind=kind), [*arrived, gone], {says: 0.9}),
            Told(paid(AYSULUU, BAKYT, kind=kind), arrived, {says: 0}),
        )
    says = "sender_sent_other_institution_amount_sum_1d_per_sender_received_amount_sum_1d"
    return Story(
        Told(
            paid(BAKYT, CHOLPON, 9_000, kind=kind),
            [*arrived, gone],
            {says: 0.9, "sender_received_amount_sum_1h": 100_000 * SOM},
        ),
        Told(paid(BAKYT, CHOLPON, 9_000, kind=kind), arrived[:1], {says: 0, "sender_received_amount_sum_1h": 50_000 * SOM}),
    )


def collecting(kind: Kind) -> Story:
    """Four people fill Bakyt's wallet with four tools; the next who fills it, or he who takes it out, is seen."""
    tools = ("card", "terminal", "cash desk", "wallet")
    filled = [
        topped_up(BAKYT, tool, ago(minutes=40 - i), by=payer)
        for i, (payer, tool) in enumerate(zip(people(4), tools, strict=True))
    ]
    side, end = ("recipient", (AYSULUU, BAKYT)) if kind is Kind.TOP_UP else ("sender", (BAKYT, other_side(kind)))
    says = (f"{side}_received_customer_distinct_1d", f"{side}_received_funding_distinct_7d")
    return Story(
        Told(paid(*end, kind=kind), filled, dict.fromkeys(says, 4)),
        Told(paid(*end, kind=kind), filled[:1], dict.fromkeys(says, 1)),
    )


def policy(kind: Kind) -> Story:
    """Six customers within the hour through one agent."""
    crowd = [act(kind, sender=one, access=AGENT, at=ago(minutes=1 + i)) for i, one in enumerate(people(6))]
    says = ("agent_sent_count_1h", "agent_sent_customer_distinct_1d")
    return Story(
        Told(act(kind, access=AGENT), crowd, dict.fromkeys(says, 6)),
        Told(act(kind, access=AGENT), crowd[:1], dict.fromkeys(says, 1)),
    )


STORIES: dict[FraudCriterion, Callable[[Kind], Story]] = {
    FraudCriterion.FREQUENCY: frequency, FraudCriterion.GROUP: group, FraudCriterion.AMOUNT: amount,
    FraudCriterion.DEVICE: device, FraudCriterion.TIME: time, FraudCriterion.FAILED_LOGINS: failed_logins,
    FraudCriterion.CONTACT_CHANGES: contact_changes, FraudCriterion.KNOWN_SCHEME: known_scheme, FraudCriterion.RETURNS: returns,
    FraudCriterion.SUSPICIOUS_RECIPIENT: suspicious_recipient, FraudCriterion.SPLITTING: splitting,
    FraudCriterion.ATYPICAL_SOURCE: atypical_source, FraudCriterion.AUTHORISATION_CHANGE: authorisation_change,
    FraudCriterion.PASS_THROUGH: pass_through, FraudCriterion.COLLECTING: collecting, FraudCriterion.POLICY: policy,
}  # fmt: skip
