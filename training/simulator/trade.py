"""Whom customers deal with: merchants, agents, employees, machines, accounts elsewhere, virtual-asset addresses."""

from dataclasses import dataclass

import numpy as np

from domain import instants
from training.simulator import codes
from training.simulator.books import DeviceBook, PartyBook, PlaceBook, Tool
from training.simulator.draft import NOBODY, Flags, Floats, Ints
from training.simulator.people import People, draw_places
from training.simulator.settings import Span, WorldSettings

CATEGORIES = (
    # MCC, median price in som, its sigma, popularity
    ("5411", 750, 0.8, 30.0),
    ("5812", 650, 0.7, 14.0),
    ("5541", 1400, 0.5, 9.0),
    ("5912", 480, 0.8, 8.0),
    ("4121", 210, 0.5, 10.0),
    ("5399", 1200, 0.9, 8.0),
    ("5651", 2400, 0.8, 7.0),
    ("5732", 7000, 1.0, 4.0),
    ("8062", 2300, 0.9, 2.0),
    ("7832", 520, 0.4, 2.5),
    ("5712", 11000, 0.9, 1.5),
    ("5816", 420, 0.9, 3.0),
    ("4722", 14000, 0.8, 1.0),
    ("5944", 13000, 0.9, 0.7),
)
"""What merchants sell (ISO 18245): prices and popularity are our guess of a town's trade."""

_LURES, _SOLD_ABROAD = (5, 6, 7, 13), (5, 7, 11, 12)
"""Rows of CATEGORIES: what false stores offer, and what foreign stores sell."""

_WORDS = (
    "altyn",
    "aigul",
    "dostuk",
    "manas",
    "sary",
    "kyzyl",
    "asia",
    "nomad",
    "beta",
    "ala too",
    "issyk",
    "tulpar",
    "karavan",
)


@dataclass(frozen=True)
class Merchants:
    """(m,) arrays: party, kind of trade (row of CATEGORIES), popularity, days of opening and closing in ms.

    The last `fakes` are stores that fraud actors will open; nobody goes there before. foreign: rows of stores
    abroad, paid by card and in dollars.
    """

    party: Ints
    trade: Ints
    popularity: Floats
    opened: Ints
    closed: Ints
    foreign: Ints
    fakes: Ints


@dataclass(frozen=True)
class Agents:
    """(a,) arrays: party, device and place of each mobile agent, and his id as a list."""

    party: Ints
    device: Ints
    place: Ints
    ids: list[str]


@dataclass(frozen=True)
class Trade:
    """Rows of the party book, and the ids of employees.

    strangers: people's accounts at other organisations, with several tools; firms: companies' accounts there;
    abroad: people's and firms' accounts in foreign organisations, abroad_currency: in which currency; exchanges: addresses
    that many use, addresses: of one person each.
    """

    merchants: Merchants
    agents: Agents
    employees: list[str]
    strangers: Ints
    firms: Ints
    providers: Ints
    machines: Ints
    terminals: Ints
    abroad: Ints
    abroad_currency: Ints
    exchanges: Ints
    addresses: Ints
    own_organisation: Ints


def settle_trade(
    settings: WorldSettings,
    people: People,
    parties: PartyBook,
    places: PlaceBook,
    devices: DeviceBook,
    rng: np.random.Generator,
) -> Trade:
    """Everybody who is no customer, entered in the books."""
    n = settings.customers
    abroad, currency = _abroad(parties, n // 4 + 50, rng)
    addresses = _addresses(parties, n // 4 + 60, rng)
    return Trade(
        merchants=_merchants(settings, people, parties, rng),
        agents=_agents(parties, places, devices, n // 60 + 5, rng),
        employees=codes.numbers(rng, n // 150 + 4, 5, "e"),
        strangers=_strangers(parties, 3 * n + 300, rng),
        firms=_remote(parties, n // 6 + 30, rng),
        providers=_named(parties, "provider", 30, rng, category=4900),
        machines=_named(parties, "atm", n // 100 + 5, rng),
        terminals=_named(parties, "terminal", n // 60 + 5, rng, Tool.CASH),
        abroad=abroad,
        abroad_currency=currency,
        exchanges=addresses[:12],
        addresses=addresses[12:],
        own_organisation=parties.add(1, account=codes.numbers(rng, 1, 12, "1299"), service="burana organisation"),
    )


def organisations(rng: np.random.Generator, count: int) -> list[str]:
    """Other organisations of the country: codes of three digits, a few with most accounts."""
    rows = (18 * rng.random(count) ** 2).astype(np.int64)
    return [f"{103 + 7 * row}" for row in rows.tolist()]


def _remote(parties: PartyBook, count: int, rng: np.random.Generator) -> Ints:
    institution = organisations(rng, count)
    accounts = [f"{i}0{a}" for i, a in zip(institution, codes.numbers(rng, count, 12), strict=True)]
    return parties.add(count, account=accounts, institution=institution, country="KG")


def _strangers(parties: PartyBook, count: int, rng: np.random.Generator) -> Ints:
    """A bank account for half of them, else a card, a wallet or a telephone's balance, mixed in one order."""
    part = count // 6
    with_account = _remote(parties, count - 3 * part, rng)
    at: dict[str, list[str]] = {"institution": organisations(rng, part)}
    cards = parties.add(part, tool=Tool.CARD, card=codes.cards(rng, part), country="KG", **at)
    wallets = parties.add(part, tool=Tool.WALLET, wallet=codes.numbers(rng, part, 9, "w2"), country="KG", **at)
    phones = parties.add(part, tool=Tool.MOBILE, phone=codes.phones(rng, part, "5"), country="KG")
    return rng.permutation(np.concatenate([with_account, cards, wallets, phones]))


def _named(
    parties: PartyBook, word: str, count: int, rng: np.random.Generator, tool: Tool = Tool.ACCOUNT, category: int = NOBODY
) -> Ints:
    names = [f"{word} {number}" for number in codes.numbers(rng, count, 5)]
    return parties.add(count, tool=tool, category=category, service=names, institution="129", country="KG")


def _abroad(parties: PartyBook, count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    countries = (("RU", 2), ("KZ", 3), ("TR", 1), ("CN", 1), ("AE", 1))
    drawn = rng.choice(len(countries), count, p=(0.5, 0.2, 0.1, 0.1, 0.1)).tolist()
    country: list[str | None] = [countries[row][0] for row in drawn]
    institution = [
        f"{countries[row][0].lower()}bank{bank}" for row, bank in zip(drawn, rng.integers(1, 9, count), strict=True)
    ]
    accounts = codes.numbers(rng, count, 16, "40")
    rows = parties.add(count, account=accounts, institution=institution, country=country)
    return rows, np.array([countries[row][1] for row in drawn])


def _addresses(parties: PartyBook, count: int, rng: np.random.Generator) -> Ints:
    return parties.add(count, virtual_asset_address=codes.virtual_asset_addresses(rng, count))


def _agents(parties: PartyBook, places: PlaceBook, devices: DeviceBook, count: int, rng: np.random.Generator) -> Agents:
    ids = codes.numbers(rng, count, 5, "a")
    names = [f"agent {agent[1:]}" for agent in ids]
    accounts = codes.numbers(rng, count, 12, "1298")
    party = parties.add(count, tool=Tool.CASH, account=accounts, phone=codes.phones(rng, count, "9"), service=names)
    device = devices.add(codes.hexes(rng, count, 16), "burana agent", np.ones(count, np.bool_))
    return Agents(party, device, draw_places(places, count, rng), ids)


def _merchants(settings: WorldSettings, people: People, parties: PartyBook, rng: np.random.Generator) -> Merchants:
    """Half belong to business customers; every tenth opens or closes while the history runs."""
    span, fakes = settings.span, _fakes_needed(settings)
    count = settings.customers // 8 + 30 + fakes
    last = np.arange(count) >= count - fakes
    trade = np.where(last, rng.choice(_LURES, count), rng.choice(len(CATEGORIES), count, p=_popular()))
    foreign = (rng.random(count) < 0.1) & np.isin(trade, _SOLD_ABROAD) & ~last
    owners = _owners(count, foreign, people, rng)
    opened, closed = _lifetimes(count, span, rng)
    popularity = np.where(last, 0, np.exp(rng.standard_normal(count)))
    return Merchants(
        party=_merchant_parties(parties, owners, foreign, trade, people, rng),
        trade=trade,
        popularity=popularity / popularity.sum(),
        opened=np.where(last, span.start, opened),
        closed=closed,
        foreign=np.flatnonzero(foreign),
        fakes=np.flatnonzero(last),
    )


def _fakes_needed(settings: WorldSettings) -> int:
    """Stores for a quarter of the fraud at some fifteen victims each, and some to spare."""
    return 6 + int(settings.customers * settings.days * settings.fraud_share * 0.25 / 15)


def _popular() -> Floats:
    shares = np.array([category[3] for category in CATEGORIES])
    return np.asarray(shares / shares.sum())


def _owners(count: int, foreign: Flags, people: People, rng: np.random.Generator) -> Ints:
    """Customer that owns each store, or NOBODY: a firm or, every fourth time, a person who trades in his own name."""
    firms = codes.picked(rng, np.flatnonzero(people.business), count)
    persons = codes.picked(rng, np.flatnonzero(people.banked), count)
    owner = np.where(rng.random(count) < 0.75, firms, persons)
    return np.where((rng.random(count) < 0.5) & ~foreign, owner, NOBODY)


def _lifetimes(count: int, span: Span, rng: np.random.Generator) -> tuple[Ints, Ints]:
    day = rng.integers(span.start, span.end, (2, count))
    opened = np.where(rng.random(count) < 0.12, day[0], span.start)
    closes = (rng.random(count) < 0.06) & (day[1] > opened + 5 * instants.DAY)
    return opened, np.where(closes, day[1], span.end)


def _merchant_parties(
    parties: PartyBook, owners: Ints, foreign: Flags, trade: Ints, people: People, rng: np.random.Generator
) -> Ints:
    count = len(owners)
    owned = people.party[owners]
    accounts = [f"{i}0{a}" for i, a in zip(organisations(rng, count), codes.numbers(rng, count, 12), strict=True)]
    mine = owners != NOBODY
    same = {
        name: parties.words(name, np.where(mine, owned, NOBODY)).to_pylist() for name in ("customer_id", "account", "wallet")
    }
    abroad = np.where(foreign, rng.choice(["CN", "TR", "US", "AE"], count), "KG").tolist()
    outside = [not flag for flag in mine.tolist()]
    return parties.add(
        count,
        owner=owners,
        category=np.array([int(category[0]) for category in CATEGORIES])[trade],
        customer_id=same["customer_id"],
        account=[a if out else s for a, s, out in zip(accounts, same["account"], outside, strict=True)],
        wallet=same["wallet"],
        institution=[a[:3] if out else None for a, out in zip(accounts, outside, strict=True)],
        country=[c if out else None for c, out in zip(abroad, outside, strict=True)],
        service=[
            f"{w} {number}"
            for w, number in zip(rng.choice(_WORDS, count).tolist(), codes.numbers(rng, count, 6), strict=True)
        ],
        qr_id=[
            q if here else None for q, here in zip(codes.numbers(rng, count, 12, "qr"), (~foreign).tolist(), strict=True)
        ],
    )
