"""When people act and whom they know: hours and weekdays in Bishkek's time, circles of recipients, favourite stores."""

from dataclasses import dataclass

import numpy as np

from domain import instants
from training.simulator import codes
from training.simulator.books import PartyBook, Tool
from training.simulator.draft import NOBODY, Floats, Ints
from training.simulator.people import People
from training.simulator.settings import Span
from training.simulator.trade import Trade, organisations

BISHKEK = 6 * instants.HOUR
"""Asia/Bishkek is UTC+6 the whole year."""

_PEAKS = (
    # hours of day with (centre, width, weight): office, home, evening, night shift
    ((9.0, 1.2, 2), (13.0, 1.2, 3), (18.5, 1.8, 4)),
    ((11.0, 2.0, 4), (16.0, 2.5, 4), (20.0, 1.5, 1)),
    ((14.0, 2.0, 2), (20.5, 2.0, 5), (23.0, 1.2, 1)),
    ((2.0, 2.5, 3), (17.0, 2.0, 3), (22.0, 2.0, 3)),
)
_ANY_HOUR = 0.04
"""Share of operations at an hour that no habit explains."""

_WEEKDAYS = np.array(
    [[1, 1, 1, 1, 1, 0.7, 0.45], [0.9, 0.9, 0.9, 0.9, 1, 1, 0.9], [0.8, 0.8, 0.8, 0.85, 1, 1, 0.9], [1, 1, 1, 1, 1, 1, 1]]
)
"""(clocks, 7) chance that somebody who could act on this weekday does; Monday first."""


def _quantiles(peaks: tuple[tuple[float, float, float], ...]) -> Floats:
    """(1440,) hours of day, as many around a peak as its weight asks for."""
    hours = np.arange(0, 24, 1 / 60)
    density = sum(w / s * np.exp(-0.5 * (((hours - c + 12) % 24 - 12) / s) ** 2) for c, s, w in peaks)
    cumulated = np.cumsum(density)
    return np.asarray(np.interp((np.arange(1440) + 0.5) / 1440, cumulated / cumulated[-1], hours))


CLOCKS = np.stack([_quantiles(peaks) for peaks in _PEAKS])


def weekday(instants_ms: Ints) -> Ints:
    """0 (Monday) to 6 in Bishkek."""
    return ((instants_ms + BISHKEK) // instants.DAY + 3) % 7  # 1970-01-01 was a Thursday


def at_hour(days: Ints, hours: Floats) -> Ints:
    """The instants of local hours within the days (UTC milliseconds of the days' beginnings)."""
    return days + ((hours * instants.HOUR).astype(np.int64) - BISHKEK - days) % instants.DAY


def usual_instants(rng: np.random.Generator, people: People, customers: Ints, days: Ints) -> Ints:
    """For each customer an instant of this day at an hour of his own."""
    count = len(customers)
    hour = CLOCKS[people.clock[customers], rng.integers(0, 1440, count)] + people.shift[customers]
    hour = np.where(rng.random(count) < _ANY_HOUR, 24 * rng.random(count), hour + rng.random(count) / 30)
    return at_hour(days, hour % 24)


def visits(rng: np.random.Generator, people: People, span: Span, daily: Floats | float) -> tuple[Ints, Ints]:
    """Who acts when: each customer `daily` times a day on average while he is a customer; both (k,).

    Thinning by weekday keeps the counts Poisson.
    """
    wide = np.broadcast_to(np.asarray(daily, np.float64), len(people))
    rate = wide * people.activity * np.where(people.dormant, 0.02, 1) / _WEEKDAYS.mean(axis=1)[people.clock]
    counts = rng.poisson(rate * (span.end - people.joined) / instants.DAY)
    customers = np.repeat(np.arange(len(people)), counts)
    since = people.joined[customers]
    day = since + (rng.random(len(customers)) * (span.end - since) / instants.DAY).astype(np.int64) * instants.DAY
    instant = usual_instants(rng, people, customers, day)
    keep = rng.random(len(customers)) < _WEEKDAYS[people.clock[customers], weekday(instant)]
    keep &= instant < span.end
    return customers[keep], instant[keep]


@dataclass(frozen=True)
class Ties:
    """Rows of the party book, a row for each customer.

    circle: (n, 12) habitual recipients, most frequent first, of whom `known` (n,) are in use; favourites: (n, 10) merchants;
    sources: (n, 3) what he tops up from; employer: who pays him, NOBODY: nobody; payday: day of the month;
    relative: row of
    `trade.abroad` that sends him money or gets it, NOBODY: none; purse: his own virtual-asset address or NOBODY.
    """

    circle: Ints
    known: Ints
    favourites: Ints
    sources: Ints
    employer: Ints
    payday: Ints
    relative: Ints
    purse: Ints


def settle_ties(people: People, trade: Trade, parties: PartyBook, rng: np.random.Generator) -> Ties:
    """Everybody's acquaintances."""
    n = len(people)
    employer, payday = _employment(people, trade, rng)
    return Ties(
        circle=_circle(people, trade, rng),
        known=rng.integers(3, 13, n),
        favourites=rng.choice(len(trade.merchants.party), (n, 10), p=trade.merchants.popularity),
        sources=_sources(people, trade, parties, rng),
        employer=employer,
        payday=payday,
        relative=np.where(rng.random(n) < 0.2, rng.choice(len(trade.abroad), n), NOBODY),
        purse=np.where(rng.random(n) < 0.06, rng.choice(trade.addresses, n), NOBODY),
    )


def _circle(people: People, trade: Trade, rng: np.random.Generator) -> Ints:
    shape = (len(people), 12)
    own = rng.random(shape) < 0.45
    friends = np.where(own, people.party[rng.integers(0, len(people), shape)], rng.choice(trade.strangers, shape))
    partners = np.where(
        own, people.party[rng.choice(np.flatnonzero(people.business), shape)], rng.choice(trade.firms, shape)
    )
    return np.where(people.business[:, None], partners, friends)


def _employment(people: People, trade: Trade, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """A firm that is a customer for a third of those in work, an organisation's client elsewhere for the others."""
    n = len(people)
    firms = people.party[rng.choice(np.flatnonzero(people.business), n)]
    employer = np.where(rng.random(n) < 0.35, firms, rng.choice(trade.firms, n))
    days = rng.choice((1, 5, 10, 15, 25), int(employer.max()) + 1)
    works = ~people.business & (rng.random(n) < 0.6)
    return np.where(works, employer, NOBODY), days[employer]


def _sources(people: People, trade: Trade, parties: PartyBook, rng: np.random.Generator) -> Ints:
    """His card at another organisation, his account there, and a terminal near his home."""
    n = len(people)
    card = parties.add(n, tool=Tool.CARD, card=codes.cards(rng, n), institution=organisations(rng, n), country="KG")
    institution = organisations(rng, n)
    accounts = [f"{i}0{a}" for i, a in zip(institution, codes.numbers(rng, n, 12), strict=True)]
    account = parties.add(n, account=accounts, institution=institution, country="KG")
    both = np.stack([card, account, rng.choice(trade.terminals, n)], axis=1)
    return rng.permuted(both, axis=1)
