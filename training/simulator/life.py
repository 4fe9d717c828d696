"""Legitimate life: each activity of the customers as drafted operations; among them what looks strange and is honest."""

from collections.abc import Callable

import numpy as np

from domain import instants
from domain.operation import Kind
from training.simulator.amounts import CASH, PRICES, SOM, TRANSFERS, natural, spread
from training.simulator.dealings import (
    Rng,
    at_branch,
    bought,
    bought_assets,
    moved_in,
    office_hours,
    paid_in,
    possible,
    sent,
    sent_abroad,
    usual_agent,
    wealth,
    withdrawn,
)
from training.simulator.draft import NOBODY, OPERATION, Channel, Ints, Rows, code, joined, operations
from training.simulator.habits import BISHKEK, visits
from training.simulator.world import World


def live(world: World, rng: Rng) -> Rows:
    """Every legitimate operation of the span, in no order."""
    activities = zip(ACTIVITIES, rng.spawn(len(ACTIVITIES)), strict=True)
    return possible(world, joined([activity(world, part) for activity, part in activities], OPERATION))


def purchases(world: World, rng: Rng) -> Rows:
    """By QR in the application, by card at a till, or by card in an online store."""
    merchants = world.trade.merchants
    who, when = visits(rng, world.people, world.span, 0.34)
    ranks = (10 * rng.random(len(who)) ** 1.7).astype(np.int64)
    anywhere = rng.choice(len(merchants.party), len(who), p=merchants.popularity)
    store = np.where(rng.random(len(who)) < 0.82, world.ties.favourites[who, ranks], anywhere)
    open_now = (merchants.opened[store] <= when) & (when < merchants.closed[store])
    return bought(world, rng, who[open_now], when[open_now], store[open_now])


def transfers(world: World, rng: Rng) -> Rows:
    """To the circle; every eighth to somebody new."""
    who, when = visits(rng, world.people, world.span, 0.13)
    known = (world.ties.known[who] * rng.random(len(who)) ** 1.8).astype(np.int64)
    new = np.where(
        rng.random(len(who)) < 0.4, _any_customer(world, rng, len(who)), rng.choice(world.trade.strangers, len(who))
    )
    recipient = np.where(rng.random(len(who)) < 0.87, world.ties.circle[who, known], new)
    amount = spread(rng, 1900 * SOM * wealth(world, who), 1.0, len(who))
    return sent(world, rng, who, when, recipient, amount)


def _any_customer(world: World, rng: Rng, count: int) -> Ints:
    return world.people.party[rng.integers(0, len(world.people), count)]


def bills(world: World, rng: Rng) -> Rows:
    """Telephone, heating, fines; some at an agent, who uses his own application."""
    who, when = visits(rng, world.people, world.span, 0.055)
    at_agent = rng.random(len(who)) < 0.15
    agent = usual_agent(world, who)
    amount = spread(rng, np.where(rng.random(len(who)) < 0.5, 220, 1300) * SOM, 0.6, len(who))
    return operations(
        len(who),
        occurred=when,
        kind=code(Kind.MOBILE_APPLICATION),
        minor=natural(rng, amount, PRICES),
        sender=world.people.party[who],
        recipient=world.trade.providers[(who + rng.choice([0, 3, 7, 11], len(who))) % len(world.trade.providers)],
        customer=who,
        channel=np.where(at_agent, Channel.AGENT, Channel.APPLICATION),
        agent=np.where(at_agent, agent, NOBODY),
    )


def top_ups(world: World, rng: Rng) -> Rows:
    """From his own card, account or a terminal; sometimes somebody else pays in for him."""
    who, when = visits(rng, world.people, world.span, 0.06)
    ranks = (3 * rng.random(len(who)) ** 2).astype(np.int64)
    other = rng.choice(world.trade.strangers, len(who))
    source = np.where(rng.random(len(who)) < 0.9, world.ties.sources[who, ranks], other)
    return paid_in(world, rng, who, when, source, spread(rng, 2600 * SOM * wealth(world, who), 0.9, len(who)))


def cash_in(world: World, rng: Rng) -> Rows:
    """Cash given to an agent."""
    who, when = visits(rng, world.people, world.span, 0.025)
    agent = np.where(
        rng.random(len(who)) < 0.8, usual_agent(world, who), rng.integers(0, len(world.trade.agents.ids), len(who))
    )
    amount = spread(rng, 2400 * SOM * wealth(world, who), 0.8, len(who))
    return operations(
        len(who),
        occurred=when,
        kind=code(Kind.TOP_UP),
        minor=natural(rng, amount, CASH),
        sender=world.trade.agents.party[agent],
        recipient=world.people.party[who],
        customer=who,
        channel=Channel.AGENT,
        agent=agent,
    )


def withdrawals(world: World, rng: Rng) -> Rows:
    """At a cash machine, or with an agent."""
    who, when = visits(rng, world.people, world.span, 0.05)
    with_agent = ~world.people.banked[who] | (rng.random(len(who)) < 0.25)
    agent = np.where(with_agent, usual_agent(world, who), NOBODY)
    return withdrawn(world, rng, who, when, spread(rng, 4200 * SOM * wealth(world, who), 0.8, len(who)), agent)


def salaries(world: World, rng: Rng) -> Rows:
    """Twice a month; an employer pays everybody in the same millisecond, so ties in time exist."""
    paid = np.flatnonzero(world.ties.employer != NOBODY)
    first = world.span.start - (world.span.start + BISHKEK) % instants.DAY
    days = np.arange(first, world.span.end, instants.DAY)
    dates = (days + BISHKEK).astype("datetime64[ms]")
    day_of_month = (dates.astype("datetime64[D]") - dates.astype("datetime64[M]").astype("datetime64[D]")).astype(
        np.int64
    ) + 1
    row, day = np.nonzero(np.isin(day_of_month[None, :] - world.ties.payday[paid][:, None], (0, 15, -15)))
    who, employer = paid[row], world.ties.employer[paid[row]]
    moment = (employer * 7_919_137) % (6 * instants.HOUR) // 1000 * 1000
    return operations(
        len(who),
        occurred=days[day] + 9 * instants.HOUR + moment,
        kind=code(Kind.BANK_ACCOUNT),
        minor=natural(rng, world.people.income[who] * (0.5 + 0.02 * rng.standard_normal(len(who))), PRICES),
        sender=employer,
        recipient=world.people.party[who],
        customer=np.where(world.parties.owner[employer] >= 0, world.parties.owner[employer], who),
        channel=Channel.HOST,
    )


def remittances(world: World, rng: Rng) -> Rows:
    """Money from a relative abroad, often drawn in cash within hours: honest pass-through."""
    who, when = visits(rng, world.people, world.span, 0.06)
    with_relative = world.ties.relative[who] != NOBODY
    who, when = who[with_relative], when[with_relative]
    relative, amount = world.ties.relative[who], spread(rng, 13_000 * SOM, 0.6, len(who))
    currency = world.trade.abroad_currency[relative]
    received = operations(
        len(who),
        occurred=when,
        kind=code(Kind.INTERNATIONAL_TRANSFER),
        minor=natural(rng, amount, TRANSFERS, currency),
        currency=currency,
        sender=world.trade.abroad[relative],
        recipient=world.people.party[who],
        customer=who,
        channel=Channel.HOST,
    )
    drawn = rng.random(len(who)) < 0.45
    later = when[drawn] + (instants.HOUR * rng.lognormal(1.2, 1.0, drawn.sum())).astype(np.int64)
    agent = np.where(world.people.banked[who[drawn]], NOBODY, usual_agent(world, who[drawn]))
    cash = withdrawn(world, rng, who[drawn], later, amount[drawn] * rng.uniform(0.6, 1, drawn.sum()), agent)
    return joined([received, cash], OPERATION)


def payments_abroad(world: World, rng: Rng) -> Rows:
    """To relatives, universities and suppliers."""
    usual = np.where(world.ties.relative != NOBODY, 0.02, 0.0008) + np.where(world.people.business, 0.04, 0)
    who, when = visits(rng, world.people, world.span, usual)
    known = (world.ties.relative[who] != NOBODY) & (rng.random(len(who)) < 0.8)
    recipient = np.where(known, world.ties.relative[who], rng.integers(0, len(world.trade.abroad), len(who)))
    return sent_abroad(world, rng, who, when, recipient, spread(rng, 14_000 * SOM * wealth(world, who), 0.9, len(who)))


def virtual_assets(world: World, rng: Rng) -> Rows:
    """To his own address, to an exchange, sometimes to somebody else's."""
    trade = world.trade
    who, when = visits(rng, world.people, world.span, np.where(world.ties.purse != NOBODY, 0.1, 0.001))
    draw = rng.random(len(who))
    other = np.where(draw < 0.9, rng.choice(trade.exchanges, len(who)), rng.choice(trade.addresses, len(who)))
    address = np.where((draw < 0.55) & (world.ties.purse[who] != NOBODY), world.ties.purse[who], other)
    return bought_assets(world, rng, who, when, address, spread(rng, 6000 * SOM * wealth(world, who), 0.9, len(who)))


def supplier_payments(world: World, rng: Rng) -> Rows:
    """Firms pay firms, often several on one day: honest spreading."""
    who, when = visits(rng, world.people, world.span, np.where(world.people.business, 0.25, 0))
    several = rng.geometric(0.6, len(who))
    who, when = np.repeat(who, several), np.repeat(when, several)
    when = when + rng.integers(0, 40 * instants.MINUTE, len(who)) * (np.arange(len(who)) > 0)
    partner = world.ties.circle[who, (12 * rng.random(len(who)) ** 1.5).astype(np.int64)]
    recipient = np.where(rng.random(len(who)) < 0.85, partner, rng.choice(world.trade.firms, len(who)))
    return operations(
        len(who),
        occurred=when,
        kind=code(Kind.BANK_ACCOUNT),
        minor=natural(rng, spread(rng, 9000 * SOM * wealth(world, who), 1.0, len(who)), PRICES),
        sender=world.people.party[who],
        recipient=recipient,
        customer=who,
        channel=Channel.APPLICATION,
    )


def branch_operations(world: World, rng: Rng) -> Rows:
    """Loans and larger transfers, entered by an employee."""
    who, when = visits(rng, world.people, world.span, np.where(world.people.banked, 0.012, 0))
    circle = world.ties.circle[who, (3 * rng.random(len(who))).astype(np.int64)]
    recipient = np.where(rng.random(len(who)) < 0.5, world.trade.own_organisation, circle)
    employee = (who + rng.integers(0, 2, len(who))) % len(world.trade.employees)
    return at_branch(world, rng, who, office_hours(rng, when), recipient, employee, 6500.0)


def fees(world: World, rng: Rng) -> Rows:
    """What the organisation itself charges."""
    who, when = visits(rng, world.people, world.span, 0.004)
    return operations(
        len(who),
        occurred=when,
        kind=code(Kind.OTHER),
        minor=rng.choice([3000, 5000, 10000, 15000], len(who)),
        sender=world.people.party[who],
        recipient=world.trade.own_organisation,
        customer=who,
    )


def great_purchases(world: World, rng: Rng) -> Rows:
    """A car, a wedding, a semester: once, to somebody new, a large part of a year's income; often topped up just before."""
    who, when = visits(rng, world.people, world.span, 0.0035)
    amount = spread(rng, world.people.income[who] * 1.0, 0.7, len(who))
    rows = sent(world, rng, who, when, rng.choice(world.trade.strangers, len(who)), amount)
    before = rng.random(len(who)) < 0.5
    return joined([rows, moved_in(world, rng, who[before], when[before], amount[before])], OPERATION)


def collections(world: World, rng: Rng) -> Rows:
    """A present for a colleague, a class excursion: many pay one customer within hours, who then pays or draws it on."""
    host, when = visits(rng, world.people, world.span, 0.0012)
    guests = rng.integers(4, 15, len(host))
    who, due = np.repeat(host, guests), np.repeat(when, guests)
    share = np.repeat(spread(rng, 900 * SOM, 0.6, len(host)), guests)
    due = due + (instants.HOUR * rng.exponential(3, len(who))).astype(np.int64)
    payer = np.where(rng.random(len(who)) < 0.5, rng.integers(0, len(world.people), len(who)), NOBODY)
    inside = payer != NOBODY
    within = sent(world, rng, payer[inside], due[inside], world.people.party[who[inside]], share[inside])
    outside = paid_in(
        world, rng, who[~inside], due[~inside], rng.choice(world.trade.strangers, (~inside).sum()), share[~inside]
    )
    total = share[np.cumsum(guests) - 1] * guests if len(host) else np.zeros(0)
    later = when + (instants.HOUR * rng.uniform(5, 30, len(host))).astype(np.int64)
    cashed = rng.random(len(host)) < 0.5
    agent = np.where(world.people.banked[host[cashed]], NOBODY, usual_agent(world, host[cashed]))
    cash = withdrawn(world, rng, host[cashed], later[cashed], total[cashed], agent)
    onward = sent(
        world, rng, host[~cashed], later[~cashed], rng.choice(world.trade.strangers, (~cashed).sum()), total[~cashed]
    )
    return joined([within, outside, cash, onward], OPERATION)


ACTIVITIES: tuple[Callable[[World, Rng], Rows], ...] = (
    purchases,
    transfers,
    bills,
    top_ups,
    cash_in,
    withdrawals,
    salaries,
    remittances,
    payments_abroad,
    virtual_assets,
    supplier_payments,
    branch_operations,
    fees,
    great_purchases,
    collections,
)
