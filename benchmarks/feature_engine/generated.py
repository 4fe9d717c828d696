"""Generated operations, events and outcomes as the kernel's rows, slice by slice, the same for the same arguments.

Nothing here comes from a real operator: the shape is made up to be heavy-tailed as payments are. A few merchants receive a
large part, a few customers send much, most send little and to few recipients; addresses of mobile networks are shared by
many; nights are quiet. Times are whole milliseconds, each arrival's own and rising, so that a peer without an order of arrival
has the same past as the kernel. 20M operations have four times the customers of 5M, over the same 60 days.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from domain.events import EventType
from domain.instants import DAY, HOUR
from domain.operation import Kind
from features.arrivals import EVENT_FACTS, KIND_CODES, KIND_FACTS, MILLION
from features.layout import MISSING, WORDS, Fact, Word

Integers = NDArray[np.int64]

SLICE = 1 << 17
"""Operations of a slice; a slice holds their events, and the outcomes that become known in its span, besides."""
ZONE_OFFSET = 6 * HOUR
START = 1_767_225_600_000 - ZONE_OFFSET  # midnight of 2026-01-01 on the operator's clock
DAYS = 60
EVENT_SHARE = 0.02
FRAUD_SHARE, GENUINE_SHARE = 0.002, 0.013
"""Of all operations: known as fraud after three days, as genuine after two, at a mean."""
LARGEST_TYIYN = 10**8

BUSY_HOURS = np.array([2, 1, 1, 1, 1, 2, 4, 8, 12, 14, 15, 15, 16, 15, 14, 14, 15, 17, 18, 17, 14, 10, 6, 3], np.float64)
"""How busy each hour of the local day is, beside the others."""
KIND_SHARES = {
    Kind.QR_OR_CARD: 0.44, Kind.MOBILE_APPLICATION: 0.16, Kind.DOMESTIC_TRANSFER: 0.14, Kind.E_WALLET: 0.08,
    Kind.TOP_UP: 0.07, Kind.CASH_WITHDRAWAL: 0.05, Kind.BANK_ACCOUNT: 0.03, Kind.INTERNATIONAL_TRANSFER: 0.015,
    Kind.VIRTUAL_ASSET_TRANSFER: 0.005, Kind.OTHER: 0.01,
}  # fmt: skip
CITIES = np.array([(42.87, 74.59), (40.53, 72.80), (42.82, 75.30), (40.93, 73.00), (42.49, 78.40), (42.52, 72.24)])
"""Latitude and longitude in degrees."""
PAID_TO_MERCHANTS = (Kind.QR_OR_CARD, Kind.OTHER)
THROUGH_AGENTS = (Kind.CASH_WITHDRAWAL, Kind.TOP_UP)


@dataclass(frozen=True)
class World:
    """How many of each there are; skews are exponents: the larger, the more the first ones do."""

    operations: int
    seed: int

    @property
    def customers(self) -> int:
        """One in seventeen operations: 300,000 of 5M."""
        return max(50, self.operations * 6 // 100)

    @property
    def merchants(self) -> int:
        """10,000 of 5M."""
        return max(20, self.operations // 500)

    @property
    def shared_addresses(self) -> int:
        """Of mobile networks and workplaces: 20,000 of 5M."""
        return max(20, self.operations // 250)

    @property
    def agents(self) -> int:
        """1,000 of 5M; a tenth as many employees."""
        return max(10, self.operations // 5_000)


def slices(operations: int, seed: int = 1) -> Iterator[Integers]:
    """Rows (n, WORDS) int64 in the order of arrival, with about SLICE operations each, `operations` in all.

    An outcome that would become known after the last operation never does.
    """
    world = World(operations, seed)
    pending = np.empty((0, WORDS), np.int64)
    last = START
    for first in range(0, operations, SLICE):
        random = np.random.default_rng([seed, first])
        rows = _operations(random, world, first, min(SLICE, operations - first))
        events = _events(random, world, rows)
        pending = np.concatenate([pending, _outcomes(random, rows)])
        known = pending[:, Word.TIME] <= rows[-1, Word.TIME]
        arrivals = np.concatenate([rows, events, pending[known]])
        pending = pending[~known]
        arrivals = arrivals[np.argsort(arrivals[:, Word.TIME], kind="stable")]
        arrivals[:, Word.TIME] = _rising(arrivals[:, Word.TIME], last)
        last = int(arrivals[-1, Word.TIME])
        yield arrivals


def is_operation(rows: Integers) -> NDArray[np.bool_]:
    """(n,) which rows are operations: they have a vector, events and outcomes have none."""
    return rows[:, Word.FACTS] & int(Fact.OPERATION) != 0


def _operations(random: Generator, world: World, first: int, count: int) -> Integers:
    """`count` operations in order of time, the first of them the world's number `first`."""
    kind = _kinds(random, count)
    sender = _skewed(random, world.customers, 1.6, count)
    rows = _of_customers(random, world, sender)
    rows[:, Word.TIME] = _times(random, world, first, count)
    rows[:, Word.AMOUNT] = np.minimum(random.lognormal(11.2, 1.4, count), LARGEST_TYIYN).astype(np.int64) // 100 * 100 + 100
    rows[:, Word.KIND] = _coded(kind, KIND_CODES)
    _set_recipients(random, world, rows, kind, sender)
    by_agent = np.isin(kind, _places(THROUGH_AGENTS)) & (random.random(count) < 0.8)
    rows[:, Word.AGENT] = _key(_skewed(random, world.agents, 2, count), "agent", by_agent)
    by_employee = random.random(count) < 0.03
    rows[:, Word.EMPLOYEE] = _key(_skewed(random, world.agents // 10, 2, count), "employee", by_employee)
    strange = random.random(count) < 0.1
    card = sender * 2 + strange * random.integers(0, 1 << 20, count)
    rows[:, Word.FUNDING] = _key(card, "funding", random.random(count) < 0.6)
    foreign = (rows[:, Word.RECIPIENT_COUNTRY] != MISSING) & (rows[:, Word.RECIPIENT_COUNTRY] != _key_of("country", 0))
    rows[:, Word.FACTS] |= _coded(kind, KIND_FACTS) | int(Fact.OPERATION)
    rows[:, Word.FACTS] |= foreign * int(Fact.FOREIGN) | (random.random(count) < 0.01) * int(Fact.VPN)
    return rows


def _events(random: Generator, world: World, operations: Integers) -> Integers:
    """Events of customers in the span of some operations."""
    types = list(EventType)
    count = int(len(operations) * EVENT_SHARE)
    rows = _of_customers(random, world, _skewed(random, world.customers, 1.6, count))
    rows[:, Word.TIME] = random.choice(operations[:, Word.TIME], count)
    rows[:, Word.AMOUNT] = rows[:, Word.KIND] = 0
    rows[:, Word.FACTS] |= np.array([EVENT_FACTS[type_] for type_ in types])[random.integers(0, len(types), count)]
    return rows


def _outcomes(random: Generator, operations: Integers) -> Integers:
    """What some operations turned out to be, at the moment when it becomes known, in order of that moment."""
    chance = random.random(len(operations))
    fraud = chance < FRAUD_SHARE
    known = chance < FRAUD_SHARE + GENUINE_SHARE
    rows = operations[known]
    delay = random.exponential(np.where(fraud[known], 3 * DAY, 2 * DAY)).astype(np.int64) + HOUR
    rows[:, Word.TIME] += delay
    verdict = np.where(fraud[known], int(Fact.FRAUD_KNOWN), int(Fact.GENUINE_KNOWN))
    rows[:, Word.FACTS] = rows[:, Word.FACTS] & ~int(Fact.OPERATION) | verdict
    return rows


def _of_customers(random: Generator, world: World, customer: Integers) -> Integers:
    """Rows of customers: accounts, devices, addresses, ways of logging in; the rest is not given."""
    count = len(customer)
    rows = np.full((count, WORDS), MISSING, np.int64)
    rows[:, Word.ZONE_OFFSET] = ZONE_OFFSET
    rows[:, Word.CUSTOMER] = _key(customer, "customer")
    rows[:, Word.SENDER] = _key(customer, "account")
    given = random.random(count) < 0.9
    rows[:, Word.DEVICE] = _key(_devices(random, customer), "device", given)
    mobile = random.random(count) < 0.5
    address = np.where(mobile, -1 - _skewed(random, world.shared_addresses, 2, count), customer)
    rows[:, Word.ADDRESS] = _key(address, "address", given)
    abroad = random.random(count) < 0.02
    rows[:, Word.COUNTRY] = _key(abroad * random.integers(1, 40, count), "country", given)
    rows[:, Word.LOGIN_METHOD] = _key((customer + (random.random(count) < 0.03)) % 4, "login", given)
    rows[:, Word.AUTHORISATION_METHOD] = _key((customer + (random.random(count) < 0.05)) % 3, "authorisation", given)
    located = given & (random.random(count) < 0.6)
    city = np.where(random.random(count) < 0.97, customer % len(CITIES), random.integers(0, len(CITIES), count))
    for word, degrees in zip((Word.LATITUDE, Word.LONGITUDE), CITIES[city].T, strict=True):
        millionths = np.rint((degrees + random.normal(0, 0.05, count)) * MILLION).astype(np.int64)
        rows[:, word] = np.where(located, millionths, MISSING)
    rows[:, Word.FACTS] = given * int(Fact.DEVICE_GIVEN) | located * int(Fact.LOCATED)
    return rows


def _devices(random: Generator, customer: Integers) -> Integers:
    """Mostly a customer's own first device, at times a second one, a shared one or one never seen before."""
    chance = random.random(len(customer))
    own = customer * 2 + (chance < 0.12)
    shared = -1 - customer // 50
    strange = random.integers(1 << 40, 1 << 41, len(customer))
    return np.where(chance > 0.99, strange, np.where(chance > 0.97, shared, own))


def _set_recipients(random: Generator, world: World, rows: Integers, kind: Integers, sender: Integers) -> None:
    """Merchants with their category, or a person: mostly one of the sender's five own, at times anyone."""
    count = len(rows)
    merchant = _skewed(random, world.merchants, 3, count)
    to_merchant = np.isin(kind, _places(PAID_TO_MERCHANTS))
    friend = mixed(sender * 8 + random.integers(0, 5, count)) % world.customers
    person = np.where(random.random(count) < 0.8, friend, random.integers(0, world.customers, count))
    itself = kind == _places((Kind.TOP_UP,))[0]
    person = np.where(itself, sender, person)
    rows[:, Word.RECIPIENT] = np.where(to_merchant, _key(merchant, "merchant"), _key(person, "account"))
    rows[:, Word.CATEGORY] = _key(merchant % 60, "category", to_merchant)
    abroad = kind == _places((Kind.INTERNATIONAL_TRANSFER,))[0]
    institution = random.integers(0, 20, count) * (random.random(count) < 0.3)
    rows[:, Word.INSTITUTION] = _key(institution, "institution", ~to_merchant)
    rows[:, Word.FACTS] |= (~to_merchant & (institution > 0)) * int(Fact.OTHER_INSTITUTION)
    rows[:, Word.RECIPIENT_COUNTRY] = _key(abroad * random.integers(1, 40, count), "country", random.random(count) < 0.5)


def _times(random: Generator, world: World, first: int, count: int) -> Integers:
    """Rising times of operations `first` to `first + count`, in ms: even over the days, by BUSY_HOURS within a day."""
    share = np.sort(random.uniform(first, first + count, count)) * (DAYS / world.operations)
    day = np.floor(share)
    through = np.concatenate([[0.0], np.cumsum(BUSY_HOURS) / BUSY_HOURS.sum()])
    hour = np.interp(share - day, through, np.arange(25))
    return START + (day * DAY + hour * HOUR).astype(np.int64)


def _rising(times: Integers, last: int) -> Integers:
    """The times moved on by as little as makes each later than the one before, and the first later than `last`."""
    place = np.arange(len(times))
    return np.maximum(np.maximum.accumulate(times - place), last + 1) + place


def _kinds(random: Generator, count: int) -> Integers:
    shares = np.cumsum(list(KIND_SHARES.values()))
    return np.searchsorted(shares / shares[-1], random.random(count), side="right")


def _places(kinds: tuple[Kind, ...]) -> list[int]:
    return [list(KIND_SHARES).index(kind) for kind in kinds]


def _coded(kind: Integers, codes: dict[Kind, int] | dict[Kind, Fact]) -> Integers:
    return np.array([int(codes[each]) for each in KIND_SHARES], np.int64)[kind]


def _skewed(random: Generator, size: int, skew: float, count: int) -> Integers:
    """Numbers below `size`, the first the most frequent: a power of a uniform number."""
    return (size * random.random(count) ** skew).astype(np.int64)


SPACES = ("customer", "account", "merchant", "device", "address", "agent", "employee", "country", "login", "authorisation",
          "category", "funding", "institution")  # fmt: skip


def _key(number: Integers, space: str, given: NDArray[np.bool_] | None = None) -> Integers:
    """A 64-bit key for each number of a space; MISSING where not given."""
    keys = mixed(number * len(SPACES) + SPACES.index(space), signed=True)
    return keys if given is None else np.where(given, keys, MISSING)


def _key_of(space: str, number: int) -> int:
    return int(_key(np.array([number]), space)[0])


def mixed(number: Integers, signed: bool = False) -> Integers:
    """splitmix64's finaliser: numbers spread over 64 bits, or over 63 when not signed."""
    z = number.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z.view(np.int64) if signed else (z >> np.uint64(1)).view(np.int64)
