"""Every rule and template that we ship, told as a story in which it fires and one, a step away, in which it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from casework.registry import Hit
from domain.criteria import FraudCriterion, Scheme
from domain.events import EventType, Verdict
from domain.identifiers import IdentifierKind
from domain.listing import List
from domain.operation import Access, Device, Funding, Kind, Operation, Party
from domain.rule_text import parsed, written
from features.arrivals import row_of_operation
from features.layout import Word
from serving.rules import Rules, State
from tests.stories.telling import (
    AYSULUU,
    BAKYT,
    CHOLPON,
    PLAN,
    SHOP,
    Record,
    ago,
    cashed,
    happened,
    known,
    paid,
    people,
    seen,
    topped_up,
)  # fmt: skip
from tests.stories.test_r66_known_scheme import collected, in_turn, investing

SERVING = Path(__file__).parents[2] / "serving"
STARTER, OD2506 = (
    Rules((SERVING / name).read_text(encoding="utf-8"), PLAN.names) for name in ("starter_rules.toml", "packs/od2506.toml")
)
THIEF, BROKER, STORE = Party(wallet="thief", institution="bank-two"), Party(account="broker"), Party(account="store")
FAILED, SUCCEEDED, CONTACT = EventType.LOGIN_FAILED, EventType.LOGIN_SUCCEEDED, EventType.CONTACT_CHANGED
ENROLLED, AUTHORISATION, RETURNED = (
    EventType.DEVICE_ENROLLED, EventType.AUTHORISATION_METHOD_CHANGED, EventType.OPERATION_RETURNED,
)  # fmt: skip
NEW_DEVICE, OLD_DEVICE = Device(id="d-new", vpn=True), Device(id="d-old", vpn=True)
ASSET = Party(virtual_asset_address="0x52908400098527886e0f7030069857d2e4169ee7")


class Story(NamedTuple):
    """An operation, what arrived around it, and what the registry said."""

    operation: Operation
    others: list[Record]
    hits: tuple[Hit, ...] = ()


def fired(rules: Rules, story: Story) -> set[str]:
    vector = np.array(list(seen(story.operation, *story.others).values()))
    outcome = rules.evaluate(story.operation, row_of_operation(story.operation)[Word.AMOUNT], vector, 0.01, story.hits)
    assert outcome.failed == ()
    return {rule.id for rule in (*outcome.fired, *outcome.shadow)}


# ---- what is told several times --------------------------------------------------------------------------------------


def month(count: int = 12, **more: object) -> list[Record]:
    """Aysuluu pays the shop, a thousand som one way or the other, at noon, over four weeks."""
    return [paid(som=950 + 100 * (day % 2), at=ago(days=1 + day % 28, minutes=day), **more) for day in range(count)]


def frauds(count: int, to: Party, of: int = 0, genuine: int = 0, **more: object) -> list[Record]:
    """Payments of others, so many of them known as fraud a day later, some as genuine; `of` more of which nothing is known."""
    payments = [
        paid(payer, to, at=ago(days=9, minutes=place), **more) for place, payer in enumerate(people(count + genuine + of))
    ]
    verdicts = [Verdict.FRAUD] * count + [Verdict.LEGITIMATE] * genuine
    return [*payments, *(known(payment, verdict, ago(days=8)) for payment, verdict in zip(payments, verdicts, strict=False))]


def reported(count: int, store: Party, buyers: int) -> list[Record]:
    """Different people paid a store two days ago; so many of them were defrauded, as was known a day later."""
    payments = [paid(payer, store, at=ago(days=2)) for payer in people(buyers)]
    return [*payments, *(known(payment, Verdict.FRAUD, ago(days=1)) for payment in payments[:count])]


def received(som: float, to: Party = BAKYT, payers: int = 3, minutes: float = 20) -> list[Record]:
    """Several pay an account the same within the hour."""
    return [paid(payer, to, som, ago(minutes=minutes + place)) for place, payer in enumerate(people(payers))]


def spread(count: int, **more: object) -> list[Record]:
    """Aysuluu pays so many people a thousand som each within the hour."""
    return [paid(AYSULUU, to, at=ago(minutes=2 + place), **more) for place, to in enumerate(people(count))]


def events(what: EventType, count: int, hours: float = 0.5, **more: object) -> list[Record]:
    return [happened(what, ago(hours=hours, seconds=place), **more) for place in range(count)]


def by_employee(count: int) -> list[Record]:
    return [
        happened(CONTACT, ago(hours=2, seconds=n), to=to, access=Access(employee_id="e"))
        for n, to in enumerate(people(count))
    ]


def listed(field: str) -> tuple[Hit, ...]:
    return (Hit(field, IdentifierKind.PHONE, List.WATCHED, 7),)


STARTER_STORIES: dict[str, Callable[[bool], Story]] = {
    "burst_of_operations": lambda so: Story(paid(), spread(10) + month(0 if so else 30)),
    "many_customers_act_alike": lambda so: Story(
        paid(AYSULUU, STORE),
        [paid(payer, STORE, at=ago(minutes=5)) for payer in people(15)]
        + ([] if so else [paid(Party(wallet=f"w-{n}"), STORE, at=ago(days=3)) for n in range(16)]),
    ),
    "amount_far_above_habit": lambda so: Story(paid(recipient=THIEF if so else SHOP, som=200_000), month()),
    "new_device_and_vpn": lambda so: Story(
        paid(recipient=THIEF, som=5_000, device=NEW_DEVICE if so else OLD_DEVICE), month(device=OLD_DEVICE)
    ),
    "night_and_unusual": lambda so: Story(paid(recipient=THIEF, som=50_000, at=ago(hours=9 if so else 0)), month(35)),
    "failed_logins": lambda so: Story(paid(), events(FAILED, 5 if so else 4)),
    "contact_changed_before_payment": lambda so: Story(
        paid(recipient=THIEF if so else SHOP, som=10_000), month() + events(CONTACT, 1, hours=40)
    ),
    "takeover": lambda so: Story(
        paid(recipient=THIEF, device=NEW_DEVICE),
        month(device=OLD_DEVICE) + events(FAILED, 3 if so else 2, 5) + events(CONTACT, 1, 4) + events(ENROLLED, 1, 3),
    ),
    "many_returns": lambda so: Story(paid(), events(RETURNED, 8 if so else 7, hours=50)),
    "recipient_of_known_fraud": lambda so: Story(paid(recipient=THIEF), frauds(2, THIEF, of=0 if so else 30)),
    "recipient_of_much_known_fraud": lambda so: Story(paid(recipient=THIEF), frauds(4, THIEF, genuine=0 if so else 1)),
    "spreading_to_many": lambda so: Story(paid(recipient=THIEF), spread(8) + month(0 if so else 40)),
    "new_source_of_top_up": lambda so: Story(
        topped_up(AYSULUU, "card", source="elsewhere" if so else "salary", som=50_000),
        [*month(), topped_up(AYSULUU, "card", ago(days=3), source="salary")],
    ),
    "authorisation_changed": lambda so: Story(
        paid(recipient=THIEF, som=10_000), month() + events(AUTHORISATION, 1, 23 if so else 25)
    ),
    "money_passes_through": lambda so: Story(
        paid(BAKYT, SHOP, 50_000, kind=Kind.E_WALLET if so else Kind.QR_OR_CARD), received(20_000)
    ),
    "collected_then_cashed": lambda so: Story(cashed(BAKYT, 3_000), received(1_000, payers=5 if so else 4)),
    "filled_from_new_source": lambda so: Story(
        paid(recipient=AYSULUU, som=50_000, funding=Funding(instrument="card", source="kiosk" if so else "salary")),
        [*month(), topped_up(AYSULUU, "card", ago(days=3), source="salary")],
    ),
    "passes_through_by_qr": lambda so: Story(
        paid(BAKYT, STORE, 42_000, kind=Kind.QR_OR_CARD),
        [*received(20_000), *([] if so else [paid(BAKYT, STORE, at=ago(days=3))])],
    ),
    "filled_by_many_and_cashed": lambda so: Story(
        paid(recipient=BAKYT),
        [topped_up(BAKYT, "card", ago(minutes=40 + place), by=payer, som=5_000) for place, payer in enumerate(people(5))]
        + [cashed(BAKYT, 13_000 if so else 12_000, ago(minutes=5))],
    ),
    "employee_changed_many_contacts": lambda so: Story(
        paid(access=Access(employee_id="e")), by_employee(10 if so else 9)
    ),
    "virtual_asset_to_new_address": lambda so: Story(
        paid(recipient=ASSET, som=100_000 if so else 99_999, kind=Kind.VIRTUAL_ASSET_TRANSFER), month()
    ),
    "takeover_by_steps": lambda so: Story(
        paid(recipient=THIEF),
        in_turn(*((FAILED, FAILED, FAILED, SUCCEEDED, CONTACT) if so else (CONTACT, FAILED, FAILED, FAILED, SUCCEEDED))),
    ),
    "takeover_on_new_device": lambda so: Story(
        paid(recipient=THIEF, som=5_000), in_turn(*((ENROLLED, AUTHORISATION) if so else (AUTHORISATION, ENROLLED)))
    ),
    "false_investment": lambda so: Story(
        paid(recipient=BROKER, som=90_000, kind=Kind.DOMESTIC_TRANSFER), investing(500, 20_000 if so else 600, 600, 600)
    ),
    "false_call": lambda so: Story(paid(recipient=THIEF, som=50_000), month() + spread(2 if so else 1)),
    "fictitious_store": lambda so: Story(paid(recipient=STORE), reported(2 if so else 1, STORE, buyers=5)),
    "mule_chain": lambda so: Story(
        paid(BAKYT, THIEF if so else CHOLPON, 25_000), [*received(30000, payers=1), paid(BAKYT, SHOP, at=ago(days=3))]
    ),
    "payment_to_mule": lambda so: Story(
        paid(recipient=BAKYT),
        [paid(CHOLPON if so else payer, BAKYT, at=ago(hours=5)) for payer in people(1)]
        + [record for n, payer in enumerate(people(2))
           for record in (paid(payer, BAKYT, at=ago(hours=4 - 2 * n)), paid(BAKYT, THIEF, at=ago(hours=3 - 2 * n)))],
    ),
    "cash_out_collector": lambda so: Story(cashed(BAKYT, 1_500 if so else 1_000), collected(BAKYT, 3, hours=5)),
    "card_testing": lambda so: Story(
        paid(som=20_000, kind=Kind.QR_OR_CARD),
        month() + [paid(som=10, at=ago(minutes=1 + n), kind=Kind.QR_OR_CARD) for n in range(5 if so else 4)],
    ),
    "splitting_alike": lambda so: Story(paid(recipient=THIEF), spread(5 if so else 4)),
    "agent_serves_many": lambda so: Story(
        cashed(AYSULUU, access=Access(agent_id="a")),
        [cashed(of, 30_000, ago(hours=3), access=Access(agent_id="a")) for of in people(40 if so else 39)],
    ),
    "agent_of_known_fraud": lambda so: Story(
        paid(recipient=THIEF, access=Access(agent_id="a")), frauds(2 if so else 1, STORE, of=3, access=Access(agent_id="a"))
    ),
}  # fmt: skip
OD2506_STORIES: dict[str, Callable[[bool], Story]] = {
    "od2506_recipient_is_listed": lambda so: Story(paid(), [], listed("recipient.phone" if so else "sender.phone")),
    "od2506_device_is_listed": lambda so: Story(paid(), [], listed("device.id" if so else "recipient.phone")),
    "od2506_not_typical": lambda so: Story(paid(recipient=THIEF, som=20_000, at=ago(hours=9 if so else 0)), month(35)),
    "od2506_recipient_was_suspicious": lambda so: Story(paid(recipient=THIEF), frauds(1 if so else 0, THIEF, of=3)),
    "od2506_phone_was_warned_of": lambda so: Story(paid(), [], listed("sender.phone" if so else "recipient.phone")),
    "od2506_access_was_changed": lambda so: Story(paid(), month() + events(CONTACT, 1, hours=47 if so else 49)),
    "od2506_stranger_after_large_receipt": lambda so: Story(
        paid(BAKYT, THIEF if so else SHOP), [*received(250000, payers=1), paid(BAKYT, SHOP, at=ago(days=3))]
    ),
}
TOLD = [(STARTER, name, story) for name, story in STARTER_STORIES.items()]
TOLD += [(OD2506, name, story) for name, story in OD2506_STORIES.items()]


@pytest.mark.parametrize(("rules", "name", "story"), TOLD, ids=[name for _, name, _ in TOLD])
def test_r58_a_rule_that_we_ship_fires_in_its_story_and_not_a_step_away(rules, name, story):
    assert name in fired(rules, story(True))
    assert name not in fired(rules, story(False))


def test_every_rule_that_we_ship_has_its_stories():
    assert {rule.id for rule in STARTER.rules} == set(STARTER_STORIES)
    assert {rule.id for rule in OD2506.rules} == set(OD2506_STORIES)


def test_the_starter_set_serves_every_criterion_and_every_scheme_that_has_a_name():
    assert {rule.criterion for rule in STARTER.rules} == set(FraudCriterion)
    by_rule = {Scheme.EMPLOYEE_ABUSE, Scheme.OTHER}
    assert {rule.scheme for rule in STARTER.rules if rule.scheme} == set(Scheme) - by_rule
    assert {rule.state for rule in STARTER.rules if rule.steps} == {State.SHADOW}


def test_each_of_the_twelve_signs_is_said_by_a_rule_or_said_to_be_beyond_an_operation():
    text = (SERVING / "packs" / "od2506.toml").read_text(encoding="utf-8")
    said = " ".join(rule.ground.split(":")[0] for rule in OD2506.rules).replace(",", " ").split()
    beyond = {sign for sign in map(str, range(1, 13)) if f"#   sign {sign} " in text}
    assert {word for word in said if word.isdigit()} | beyond == set(map(str, range(1, 13)))
    assert beyond == {"7", "8", "10"}


@pytest.mark.parametrize("rules", [STARTER, OD2506], ids=["starter", "od2506"])
def test_officer_and_customer_are_told_in_three_languages(rules):
    for rule in rules.rules:
        assert all((rule.text, rule.text_ru, rule.text_ky, rule.customer_ru, rule.customer_ky, rule.customer_en)), rule.id
        assert (
            len({rule.text, rule.text_ru, rule.text_ky}) == len({rule.customer_ru, rule.customer_ky, rule.customer_en}) == 3
        )


@pytest.mark.parametrize("rules", [STARTER, OD2506], ids=["starter", "od2506"])
def test_a_pack_is_kept_as_it_is_read(rules):
    assert parsed(written(rules.rules)) == list(rules.rules)


def test_what_is_off_is_not_shipped():
    for name in ("starter_rules.toml", "packs/od2506.toml"):
        assert all(rule.state.runs for rule in parsed((SERVING / name).read_text(encoding="utf-8")))
