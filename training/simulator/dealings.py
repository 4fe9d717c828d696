"""The ways in which money moves, for good and bad alike: who pays, whom, how much, where it is entered."""

import numpy as np

from domain import instants
from domain.operation import Kind
from training.simulator.amounts import CASH, PRICES, SOM, TRANSFERS, natural, spread
from training.simulator.draft import KGS, NOBODY, USD, Channel, Flags, Floats, Ints, Rows, code, operations
from training.simulator.habits import BISHKEK
from training.simulator.trade import CATEGORIES
from training.simulator.world import World

Rng = np.random.Generator

MEDIAN_INCOME = 3.2e6
"""Tyiyn a month; prices and transfers are stated for it."""

_PRICE, _PRICE_SIGMA = (np.array([category[i] for category in CATEGORIES], np.float64) for i in (1, 2))


def possible(world: World, rows: Rows) -> Rows:
    """Without operations outside the span, to oneself, or with somebody who is no customer yet."""
    sender, recipient = world.parties.owner[rows["sender"]], world.parties.owner[rows["recipient"]]
    when = rows["occurred"]
    keep: Flags = (when >= world.span.start) & (when < world.span.end) & ((sender != recipient) | (sender == NOBODY))
    for owner in (sender, recipient):
        keep &= (owner == NOBODY) | (world.people.joined[owner] <= when)
    return rows[keep]


def wealth(world: World, customers: Ints) -> Floats:
    """How much more this customer spends than one of median income."""
    return np.asarray((world.people.income[customers] / MEDIAN_INCOME) ** 0.6)


def transfer_kind(world: World, rng: Rng, senders: Ints) -> Ints:
    """From a wallet an e-wallet operation, from an account a domestic transfer; some use the application's own service."""
    usual = np.where(world.people.banked[senders], code(Kind.DOMESTIC_TRANSFER), code(Kind.E_WALLET))
    return np.where(rng.random(len(senders)) < 0.12, code(Kind.MOBILE_APPLICATION), usual)


def bought(world: World, rng: Rng, who: Ints, when: Ints, store: Ints) -> Rows:
    """Purchases of these customers in these stores at the stores' prices."""
    merchants, people, count = world.trade.merchants, world.people, len(who)
    trade, foreign = merchants.trade[store], np.isin(store, merchants.foreign)
    by_card = people.banked[who] & (foreign | (rng.random(count) < 0.35))
    currency = np.where(foreign & by_card, USD, KGS)
    price = spread(rng, SOM * _PRICE[trade] * wealth(world, who), _PRICE_SIGMA[trade], count)
    online = by_card & (foreign | (rng.random(count) < 0.2))
    return operations(
        count,
        occurred=when,
        kind=np.where(people.banked[who] | (rng.random(count) < 0.6), code(Kind.QR_OR_CARD), code(Kind.E_WALLET)),
        minor=natural(rng, price, PRICES, currency),
        currency=currency,
        sender=np.where(by_card, people.card[who], people.party[who]),
        recipient=merchants.party[store],
        customer=who,
        channel=np.where(by_card & ~(online & (rng.random(count) < 0.3)), Channel.HOST, Channel.APPLICATION),
    )


def sent(world: World, rng: Rng, who: Ints, when: Ints, recipient: Ints, tyiyn: Floats) -> Rows:
    """Transfers in the application from these customers' own money."""
    return operations(
        len(who),
        occurred=when,
        kind=transfer_kind(world, rng, who),
        minor=natural(rng, tyiyn, TRANSFERS),
        sender=world.people.party[who],
        recipient=recipient,
        customer=who,
        channel=Channel.APPLICATION,
    )


def usual_agent(world: World, customers: Ints) -> Ints:
    """The agent around the corner."""
    return customers * 31 % len(world.trade.agents.ids)


def paid_in(world: World, rng: Rng, who: Ints, when: Ints, source: Ints, tyiyn: Floats) -> Rows:
    """Credits of these customers from these sources; cash comes through a terminal, without a device of his."""
    own = (world.ties.sources[who] == source[:, None]).any(axis=1) & ~np.isin(source, world.trade.terminals)
    return operations(
        len(who),
        occurred=when,
        kind=code(Kind.TOP_UP),
        minor=natural(rng, tyiyn, TRANSFERS),
        sender=source,
        recipient=world.people.party[who],
        customer=who,
        channel=np.where(own, Channel.APPLICATION, Channel.HOST),
    )


def withdrawn(world: World, rng: Rng, who: Ints, when: Ints, tyiyn: Floats, agent: Ints) -> Rows:
    """Cash paid out by these agents, or by a machine near the customer where agent is NOBODY."""
    machines, by_agent = world.trade.machines, agent != NOBODY
    machine = machines[(who * 17 + rng.choice([0, 1, 2], len(who), p=(0.7, 0.2, 0.1))) % len(machines)]
    return operations(
        len(who),
        occurred=when,
        kind=code(Kind.CASH_WITHDRAWAL),
        minor=natural(rng, tyiyn, CASH),
        sender=np.where(by_agent, world.people.party[who], world.people.card[who]),
        recipient=np.where(by_agent, world.trade.agents.party[agent], machine),
        customer=who,
        channel=np.where(by_agent, Channel.AGENT, Channel.HOST),
        agent=agent,
    )


def sent_abroad(world: World, rng: Rng, who: Ints, when: Ints, recipient: Ints, tyiyn: Floats) -> Rows:
    """International transfers in the application; recipient: row of `trade.abroad`."""
    currency = world.trade.abroad_currency[recipient]
    return operations(
        len(who),
        occurred=when,
        kind=code(Kind.INTERNATIONAL_TRANSFER),
        minor=natural(rng, tyiyn, TRANSFERS, currency),
        currency=currency,
        sender=world.people.party[who],
        recipient=world.trade.abroad[recipient],
        customer=who,
        channel=Channel.APPLICATION,
    )


def bought_assets(world: World, rng: Rng, who: Ints, when: Ints, address: Ints, tyiyn: Floats) -> Rows:
    """Transfers to these virtual-asset addresses."""
    currency = np.where(rng.random(len(who)) < 0.4, USD, KGS)
    return operations(
        len(who),
        occurred=when,
        kind=code(Kind.VIRTUAL_ASSET_TRANSFER),
        minor=natural(rng, tyiyn, TRANSFERS, currency),
        currency=currency,
        sender=world.people.party[who],
        recipient=address,
        customer=who,
        channel=Channel.APPLICATION,
    )


def at_branch(world: World, rng: Rng, who: Ints, when: Ints, recipient: Ints, employee: Ints, median_som: float) -> Rows:
    """Operations on customers' accounts by these employees."""
    return operations(
        len(who),
        occurred=when,
        kind=code(Kind.BANK_ACCOUNT),
        minor=natural(rng, spread(rng, median_som * SOM * wealth(world, who), 0.8, len(who)), TRANSFERS),
        sender=world.people.party[who],
        recipient=recipient,
        customer=who,
        channel=Channel.BRANCH,
        employee=employee,
    )


def office_hours(rng: Rng, when: Ints) -> Ints:
    """The same days between 9 and 18 o'clock in Bishkek."""
    midnight = when - (when + BISHKEK) % instants.DAY
    return midnight + 9 * instants.HOUR + rng.integers(0, 9 * instants.HOUR, len(when))


def moved_in(world: World, rng: Rng, who: Ints, when: Ints, tyiyn: Floats) -> Rows:
    """His own money from another organisation, some minutes before it is needed."""
    earlier = when - rng.integers(4 * instants.MINUTE, 90 * instants.MINUTE, len(who))
    return paid_in(world, rng, who, earlier, world.ties.sources[who, 0], tyiyn * rng.uniform(0.5, 1.1, len(who)))
