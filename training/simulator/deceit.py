"""Victims who pay of their own will, with their own device: false investment, false call, fictitious store (K13)."""

import numpy as np

from domain import instants
from domain.criteria import Scheme
from training.simulator.dealings import bought, bought_assets, moved_in, sent, sent_abroad
from training.simulator.draft import OPERATION, Floats, Ints, Rows, joined
from training.simulator.habits import usual_instants
from training.simulator.underworld import Story, Underworld, together


def false_investment(crime: Underworld) -> Story:
    """A platform takes growing payments from several victims over weeks: an address, an account abroad, or a drop."""
    rng, trade, day = crime.rng, crime.world.trade, crime.day(5)
    way = rng.choice(3, p=(0.4, 0.3, 0.3))
    platform = int(rng.choice((trade.addresses, np.arange(len(trade.abroad)), crime.drops)[way]))
    return together([_investor(crime, int(v), day, int(way), platform) for v in crime.victims(day, int(rng.integers(2, 7)))])


def _investor(crime: Underworld, victim: int, day: int, way: int, platform: int) -> Story:
    rng, count = crime.rng, int(crime.rng.integers(3, 10))
    days = day + np.cumsum(rng.integers(1, 5, count)) * instants.DAY
    who = np.full(count, victim)
    growth = np.cumprod(np.append(1, rng.uniform(1.15, 1.8, count - 1)))
    amounts = crime.world.people.income[victim] * rng.lognormal(-2.3, 0.5) * growth
    when = usual_instants(rng, crime.world.people, who, days)
    pay = (bought_assets, sent_abroad, sent)[way]
    return Story(crime.marked(pay(crime.world, rng, who, when, np.full(count, platform), amounts), Scheme.FALSE_INVESTMENT))


def false_call(crime: Underworld) -> Story:
    """The "bank" calls: within an hour the victim moves his money to "safe accounts", some of it brought from elsewhere."""
    rng, day = crime.rng, crime.day()
    victim, start = crime.victim(day), crime.at(day, 9, 20)
    count = min(7, 1 + int(rng.geometric(0.4)))
    when = start + crime.minutes(count, 2, 22)
    total = crime.world.people.income[victim] * rng.lognormal(-0.2, 0.6)
    amounts = total * rng.dirichlet(np.full(count, 4.0))
    stolen = crime.marked(_moved(crime, victim, when, amounts), Scheme.FALSE_CALL)
    own_money = rng.random() < 0.35
    brought = moved_in(crime.world, rng, np.full(1, victim), when[:1], np.full(1, total)) if own_money else None
    return Story(joined([stolen] if brought is None else [brought, stolen], OPERATION))


def _moved(crime: Underworld, victim: int, when: Ints, amounts: Floats) -> Rows:
    """To one or two safe accounts, every tenth time to a virtual-asset address."""
    rng, who = crime.rng, np.full(len(when), victim)
    if rng.random() < 0.1:
        return bought_assets(
            crime.world, rng, who, when, np.full(len(when), rng.choice(crime.world.trade.addresses)), amounts
        )
    safe = crime.receivers(int(when[0]), 2)
    return sent(crime.world, rng, who, when, rng.choice(safe, len(when)), amounts)


def fictitious_store(crime: Underworld) -> Story:
    """A new store sells to many for days, ships nothing, and is gone."""
    rng, day, lasts, store = crime.rng, crime.day(4), int(crime.rng.integers(4, 15)), crime.store()
    buyers = crime.victims(day, int(np.clip(len(crime.world.people) // 12, 4, rng.integers(8, 36))))
    who = np.repeat(buyers, 1 + (rng.random(len(buyers)) < 0.1))
    when = usual_instants(rng, crime.world.people, who, day + rng.integers(0, lasts, len(who)) * instants.DAY)
    return Story(crime.marked(bought(crime.world, rng, who, when, np.full(len(who), store)), Scheme.FICTITIOUS_STORE))
