"""Stolen money on its way: mules who collect, pass on and cash (R72, R73), and sums split below a limit (R69)."""

import numpy as np

from domain import instants
from domain.criteria import Scheme
from domain.operation import Kind
from training.simulator.amounts import PRICES, SOM, natural, spread, worth
from training.simulator.dealings import bought_assets, paid_in, sent, usual_agent, withdrawn
from training.simulator.draft import NOBODY, OPERATION, Channel, Floats, Ints, Rows, code, joined, operations
from training.simulator.underworld import Story, Underworld, together

_PAUSE = 6 * instants.HOUR
"""Money that came in after a longer pause goes out on its own."""


def mule_chain(crime: Underworld) -> Story:
    """Different persons pay a mule in with various tools within hours; it goes on at once, and the rest is cashed."""
    rng, day = crime.rng, crime.day()
    start = crime.at(day, 8, 22)
    mules = crime.mules_of(start)
    mule, count = int(rng.choice(mules if len(mules) else crime.mules)), int(rng.integers(5, 14))
    payers = rng.choice(crime.world.trade.strangers, count, replace=False)
    when = start + crime.minutes(count, 1, 40)
    rows = paid_in(crime.world, rng, np.full(count, mule), when, payers, spread(rng, 6500.0 * SOM, 0.8, count))
    collected = crime.marked(rows, Scheme.MULE_CHAIN)
    return together([Story(collected), Story(_onward(crime, mule, collected))])


def passed_on(crime: Underworld, stolen: Rows) -> Story:
    """What customers do with stolen money that others sent to their accounts; who split his own credit has done so."""
    owners = crime.world.parties.owner[stolen["recipient"]]
    came = (owners != NOBODY) & (owners != stolen["customer"]) & (stolen["scheme"] != NOBODY)
    mine, owners = stolen[came], owners[came]
    order = np.lexsort((mine["occurred"], owners))
    mine, owners = mine[order], owners[order]
    cuts = np.flatnonzero((np.diff(owners) != 0) | (np.diff(mine["occurred"]) > _PAUSE)) + 1
    parts = [part for part in np.split(mine, cuts) if len(part)]
    return together([Story(_onward(crime, int(crime.world.parties.owner[part["recipient"][0]]), part)) for part in parts])


def _onward(crime: Underworld, holder: int, received: Rows) -> Rows:
    """Every two or three credits go on together, most by transfer, the last in cash."""
    rng, amounts = crime.rng, worth(received["minor"], received["currency"])
    bounds = np.append(np.arange(0, max(1, len(received) - 1), int(rng.integers(2, 4))), len(received))
    sums = np.add.reduceat(amounts, bounds[:-1]) * rng.uniform(0.8, 0.99, len(bounds) - 1)
    when = received["occurred"][bounds[1:] - 1] + (instants.MINUTE * rng.lognormal(3.2, 0.8, len(sums))).astype(np.int64)
    cashed = (rng.random(len(sums)) < 0.25) | (np.arange(len(sums)) == len(sums) - 1)
    moved = _moved(crime, holder, when[~cashed], sums[~cashed])
    return crime.marked(joined([moved, *_cashed(crime, holder, when[cashed], sums[cashed])], OPERATION), Scheme.MULE_CHAIN)


def _moved(crime: Underworld, holder: int, when: Ints, tyiyn: Floats) -> Rows:
    """To drops and addresses outside, or to a second mule, who cashes it."""
    rng, who = crime.rng, np.full(len(when), holder)
    if len(when) and rng.random() < 0.15:
        return bought_assets(crime.world, rng, who, when, np.full(len(when), rng.choice(crime.world.trade.addresses)), tyiyn)
    second = crime.mules_of(int(when[0])) if len(when) else crime.mules[:0]
    second = second[second != holder]
    if not len(second) or rng.random() < 0.6:
        return sent(crime.world, rng, who, when, rng.choice(crime.drops, len(when)), tyiyn)
    mule = int(rng.choice(second))
    rows = sent(crime.world, rng, who, when, np.full(len(when), crime.world.people.party[mule]), tyiyn)
    later = when + (instants.MINUTE * rng.lognormal(3.5, 0.8, len(when))).astype(np.int64)
    return joined([rows, *_cashed(crime, mule, later, 0.95 * tyiyn)], OPERATION)


def _cashed(crime: Underworld, holder: int, when: Ints, tyiyn: Floats) -> list[Rows]:
    """At a machine, or with an agent where there is no card."""
    who = np.full(len(when), holder)
    agent = np.where(crime.world.people.banked[who], NOBODY, usual_agent(crime.world, who))
    return [withdrawn(crime.world, crime.rng, who, when, tyiyn, agent)]


def splitting(crime: Underworld) -> Story:
    """A large credit is divided at once into sums just below a round limit, to many recipients."""
    rng, day = crime.rng, crime.day()
    holder, start, count = crime.victim(day), crime.at(day, 8, 21), int(crime.rng.integers(6, 15))
    limit = float(rng.choice((15_000, 50_000, 100_000))) * SOM
    shares = limit * rng.uniform(0.86, 0.998, count)
    outside = rng.choice(crime.drops, count, replace=count > len(crime.drops))
    mules = crime.world.people.party[crime.mules_of(start)]
    recipients = np.where(rng.random(count) < 0.25, rng.choice(np.append(mules, outside[0]), count), outside)
    when = start + int(rng.uniform(5, 90) * instants.MINUTE) + crime.minutes(count, 0.5, 20)
    parts = sent(crime.world, rng, np.full(count, holder), when, recipients, shares)
    parts["minor"] = np.minimum(parts["minor"], int(limit) - SOM)
    return Story(crime.marked(joined([_credit(crime, holder, start, shares.sum()), parts], OPERATION), Scheme.SPLITTING))


def _credit(crime: Underworld, holder: int, when: int, tyiyn: float) -> Rows:
    return operations(
        1,
        occurred=when,
        kind=code(Kind.BANK_ACCOUNT),
        minor=natural(crime.rng, np.array([tyiyn]), PRICES),
        sender=crime.rng.choice(crime.world.trade.firms),
        recipient=crime.world.people.party[holder],
        customer=holder,
        channel=Channel.HOST,
    )
