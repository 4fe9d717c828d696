"""Customers: natural persons and businesses (K22), what they own, where they are and how they come in."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from domain import instants
from training.simulator import codes
from training.simulator.books import DeviceBook, PartyBook, PlaceBook
from training.simulator.draft import AUTHORISATION_METHODS, LOGIN_METHODS, Flags, Floats, Ints
from training.simulator.settings import Span, WorldSettings

CITIES = np.array(
    [[42.87, 74.59], [40.53, 72.80], [42.49, 78.39], [41.43, 75.99], [42.52, 72.24], [40.93, 73.00], [39.96, 72.06]]
)
"""Bishkek, Osh, Karakol, Naryn, Talas, Jalal-Abad, Batken in degrees."""

_CITY_SHARES = (0.45, 0.2, 0.08, 0.05, 0.05, 0.12, 0.05)
ABROAD = (("RU", 55.75, 37.62), ("KZ", 43.24, 76.95), ("UZ", 41.31, 69.28), ("TR", 41.01, 28.98), ("AE", 25.20, 55.27))
"""Where customers travel and relatives work: country and degrees."""

PLACES = 6
"""Habitual places of a customer: home, work and changing addresses of a mobile network."""

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Habit:
    """What a customer uses until he changes it: `before`, and `after` from the millisecond `since` on (NEVER: no change)."""

    before: Ints
    after: Ints
    since: Ints

    def at(self, customers: Ints, instants_ms: Ints) -> Ints:
        """What these customers use at these instants."""
        return np.where(instants_ms < self.since[customers], self.before[customers], self.after[customers])


@dataclass(frozen=True)
class People:
    """(n,) arrays, a row for each customer.

    party: account or wallet on which his money moves, sending or receiving; card: the same with his card where he has one.
    joined: when the account was opened, ms. activity: times the usual number of operations. income: tyiyn a month.
    clock, shift: his hours (habits.CLOCKS) and how many hours he lives later. away_from, away_until: a journey, ms.
    places: (n, PLACES); away: place of the journey; hidden: share of sessions through a VPN.
    """

    business: Flags
    dormant: Flags
    joined: Ints
    activity: Floats
    income: Floats
    clock: Ints
    shift: Floats
    banked: Flags
    party: Ints
    card: Ints
    device: Habit
    login: Habit
    authorisation: Habit
    places: Ints
    away: Ints
    away_from: Ints
    away_until: Ints
    hidden: Floats
    vpn_places: Ints

    def __len__(self) -> int:
        return len(self.business)


def settle_people(
    settings: WorldSettings, parties: PartyBook, places: PlaceBook, devices: DeviceBook, rng: np.random.Generator
) -> People:
    """The customers of a world, entered in its books."""
    n, span = settings.customers, settings.span
    business = rng.random(n) < 0.08
    banked = business | (rng.random(n) < 0.75)
    party, card = _parties(parties, banked, rng)
    away_from, away_until = _journeys(n, span, rng)
    homes = _homes(places, n, rng)
    return People(
        business=business,
        dormant=~business & (rng.random(n) < 0.08),
        joined=_joined(n, span, rng),
        activity=np.exp(0.7 * rng.standard_normal(n) - 0.245) * np.where(business, 1.6, 1.0),
        income=np.exp(np.log(np.where(business, 15e6, 3.2e6)) + 0.6 * rng.standard_normal(n)),
        clock=np.where(business, 0, rng.choice(4, n, p=(0.4, 0.25, 0.27, 0.08))),
        shift=np.clip(rng.normal(0, 1.0, n), -2.5, 2.5),
        banked=banked,
        party=party,
        card=card,
        device=_phones(devices, span, n, rng),
        login=_habit(rng, len(LOGIN_METHODS), (0.4, 0.4, 0.2), span, n, 0.05),
        authorisation=_habit(rng, len(AUTHORISATION_METHODS), (0.35, 0.35, 0.2, 0.1), span, n, 0.04),
        places=homes,
        away=_abroad(places, n, rng),
        away_from=away_from,
        away_until=away_until,
        hidden=np.where(rng.random(n) < 0.07, rng.uniform(0.1, 0.6, n), 0.003),
        vpn_places=_vpn(places, rng),
    )


def _parties(parties: PartyBook, banked: Flags, rng: np.random.Generator) -> tuple[Ints, Ints]:
    n = len(banked)
    ids, phones = codes.numbers(rng, n, 8, "c"), codes.phones(rng, n, "7")
    accounts, wallets = codes.numbers(rng, n, 12, "1299"), codes.numbers(rng, n, 9, "w1")
    cards, has = codes.cards(rng, n), banked.tolist()
    own: dict[str, Any] = {
        "customer_id": ids,
        "account": [a if h else None for a, h in zip(accounts, has, strict=True)],
        "wallet": [None if h else w for w, h in zip(wallets, has, strict=True)],
        "phone": phones,
    }
    owner = np.arange(n)
    main = parties.add(n, owner=owner, **own)
    card = parties.add(n, owner=owner, card=[c if h else None for c, h in zip(cards, has, strict=True)], **own)
    return main, np.where(banked, card, main)


def _joined(n: int, span: Span, rng: np.random.Generator) -> Ints:
    """Most customers are older than the history; every tenth comes while it runs."""
    new = rng.random(n) < 0.1
    return np.where(new, rng.integers(span.start, span.end, n), span.start)


def _once(share: float, span: Span, n: int, rng: np.random.Generator) -> Ints:
    """An instant for a share of customers, NEVER for the others."""
    return np.where(rng.random(n) < share, rng.integers(span.start, span.end, n), NEVER)


def _habit(rng: np.random.Generator, methods: int, shares: tuple[float, ...], span: Span, n: int, change: float) -> Habit:
    before = rng.choice(methods, n, p=shares)
    return Habit(before, (before + rng.integers(1, methods, n)) % methods, _once(change, span, n, rng))


def _phones(devices: DeviceBook, span: Span, n: int, rng: np.random.Generator) -> Habit:
    """A device for each customer, and a new one for some."""
    old, new = (draw_devices(devices, n, rng) for _ in range(2))
    return Habit(old, new, _once(0.09, span, n, rng))


def draw_devices(devices: DeviceBook, count: int, rng: np.random.Generator) -> Ints:
    """Telephones as anybody has them."""
    applications = rng.choice(["burana android", "burana ios", "burana web"], count, p=(0.66, 0.26, 0.08)).tolist()
    return devices.add(codes.hexes(rng, count, 16), applications, rng.random(count) < 0.7)


def _homes(places: PlaceBook, n: int, rng: np.random.Generator) -> Ints:
    """(n, PLACES) places around each customer's town."""
    town = CITIES[rng.choice(len(CITIES), n, p=_CITY_SHARES)]
    where = np.repeat(town, PLACES, axis=0) + 0.03 * rng.standard_normal((n * PLACES, 2))
    rows = places.add(codes.home_ips(rng, n * PLACES), "KG", where[:, 0], where[:, 1])
    return rows.reshape(n, PLACES)


def draw_places(places: PlaceBook, count: int, rng: np.random.Generator) -> Ints:
    """Places in the country as anybody has them."""
    return _homes(places, count, rng)[:, 0]


def _abroad(places: PlaceBook, n: int, rng: np.random.Generator) -> Ints:
    country = rng.choice(len(ABROAD), n, p=(0.4, 0.3, 0.1, 0.12, 0.08))
    degrees = np.array([place[1:] for place in ABROAD])[country] + 0.05 * rng.standard_normal((n, 2))
    names: list[str | None] = [ABROAD[row][0] for row in country.tolist()]
    return places.add(codes.foreign_ips(rng, n), names, degrees[:, 0], degrees[:, 1])


def _vpn(places: PlaceBook, rng: np.random.Generator) -> Ints:
    """Exits that many share; the position, where it is read, is that of the country of exit."""
    country = rng.choice(["NL", "DE", "US", "KZ"], 200).tolist()
    return places.add(codes.vpn_ips(rng, 200), country, rng.uniform(35, 55, 200), rng.uniform(-80, 80, 200), vpn=True)


def _journeys(n: int, span: Span, rng: np.random.Generator) -> tuple[Ints, Ints]:
    left = _once(0.08, span, n, rng)
    days = rng.integers(3, 21, n) * instants.DAY
    return left, np.where(left == NEVER, NEVER, left + np.where(left == NEVER, 0, days))
