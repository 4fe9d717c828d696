"""Somebody else acts in the victim's name: account takeover, card misuse."""

import numpy as np

from domain import instants
from domain.criteria import Scheme
from domain.events import EventType
from domain.operation import Kind
from training.simulator.amounts import PRICES, SOM, natural, spread
from training.simulator.dealings import bought_assets, sent
from training.simulator.draft import (
    AUTHORISATION_METHODS,
    KGS,
    LOGIN_METHODS,
    USD,
    Channel,
    Ints,
    Rows,
    code,
    events,
    operations,
)
from training.simulator.underworld import Story, Underworld


def account_takeover(crime: Underworld) -> Story:
    """Failed log-ins, a changed contact, a new device, then the account is drained within the hour, often at night."""
    rng, day = crime.rng, crime.day()
    victim = crime.victim(day)
    start = crime.at(day, 22.5, 29) if rng.random() < 0.55 else crime.at(day, 8, 22)
    device, place = crime.device(), crime.place()
    breach = _breach(crime, victim, start, device, place)
    first = int(breach["occurred"].max()) + int(rng.uniform(3, 50) * instants.MINUTE)
    rows = _draining(crime, victim, first)
    rows["device"], rows["place"] = device, place
    rows["login"] = LOGIN_METHODS.index("password")
    rows["authorisation"] = AUTHORISATION_METHODS.index("sms_code")
    return Story(crime.marked(rows, Scheme.ACCOUNT_TAKEOVER), breach)


def _breach(crime: Underworld, victim: int, start: int, device: int, place: int) -> Rows:
    rng = crime.rng
    steps = [EventType.LOGIN_FAILED] * int(rng.integers(1, 7)) + [EventType.LOGIN_SUCCEEDED, EventType.CONTACT_CHANGED]
    steps += [EventType.DEVICE_ENROLLED] + [EventType.AUTHORISATION_METHOD_CHANGED] * int(rng.random() < 0.4)
    return events(
        len(steps),
        occurred=start + crime.minutes(len(steps), 0.2, 4),
        type=[code(step) for step in steps],
        customer=victim,
        device=device,
        place=place,
        login=LOGIN_METHODS.index("password"),
    )


def _draining(crime: Underworld, victim: int, first: int) -> Rows:
    rng, count = crime.rng, int(crime.rng.integers(2, 8))
    when, who = first + crime.minutes(count, 1, 14), np.full(count, victim)
    amounts = crime.world.people.income[victim] * rng.lognormal(-0.3, 0.6) * rng.dirichlet(np.full(count, 3.0))
    if rng.random() < 0.2:
        address = np.full(count, rng.choice(crime.world.trade.addresses))
        return bought_assets(crime.world, rng, who, when, address, amounts)
    return sent(crime.world, rng, who, when, rng.choice(crime.receivers(first, 3), count), amounts)


def card_misuse(crime: Underworld) -> Story:
    """A stolen card: one or two small trials in an online store, then what the card gives, in stores at home and abroad."""
    rng, day = crime.rng, crime.day()
    victim = int(crime.carded.drawn(rng, day, 1)[0])
    trials, large = int(rng.integers(1, 3)), int(rng.integers(2, 6))
    count, merchants = trials + large, crime.world.trade.merchants
    abroad = (rng.random(count) < 0.5) & (len(merchants.foreign) > 0)
    stores = np.where(abroad, rng.choice(np.append(merchants.foreign, 0), count), _stores_at_home(crime, count, day))
    abroad = np.isin(stores, merchants.foreign)
    tyiyn = spread(rng, np.where(np.arange(count) < trials, 150.0, 5500.0) * SOM, 0.6, count)
    rows = operations(
        count,
        occurred=crime.at(day, 0, 24) + crime.minutes(count, 0.7, 35),
        kind=code(Kind.QR_OR_CARD),
        minor=natural(rng, tyiyn, PRICES, np.where(abroad, USD, KGS)),
        currency=np.where(abroad, USD, KGS),
        sender=crime.world.people.card[victim],
        recipient=merchants.party[stores],
        customer=victim,
        channel=Channel.HOST,
    )
    return Story(crime.marked(rows, Scheme.CARD_MISUSE))


def _stores_at_home(crime: Underworld, count: int, day: int) -> Ints:
    merchants = crime.world.trade.merchants
    trading = (merchants.opened <= day) & (merchants.closed > day) & (merchants.popularity > 0)
    return crime.rng.choice(np.flatnonzero(trading), count)
