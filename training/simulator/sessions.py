"""Sessions: which device, place and methods an operation shows, and the log-ins before it (K17).

What an actor did not choose himself is filled from the customer's habits, for honest operations and deceived victims alike.
"""

import numpy as np

from domain import instants
from domain.events import EventType
from training.simulator.draft import AUTHORISATION_METHODS, EVENT, NOBODY, Channel, Ints, Rows, code, events, joined
from training.simulator.habits import visits
from training.simulator.people import PLACES
from training.simulator.world import World

Rng = np.random.Generator

PAUSE = 15 * instants.MINUTE
"""After a longer pause a new session begins."""


def settled(world: World, rows: Rows, rng: Rng) -> Rows:
    """The operations with device, place, methods and session filled in, in order of time."""
    rows = rows[np.argsort(rows["occurred"], kind="stable")]
    _at_agents(world, rows)
    app = np.flatnonzero(rows["channel"] == Channel.APPLICATION)
    filled = _with_habits(world, rows[app])
    filled["session"] = _session_numbers(filled)
    filled["place"] = np.where(filled["place"] == NOBODY, _session_places(world, filled, rng), filled["place"])
    rows[app] = filled
    return rows


def _at_agents(world: World, rows: Rows) -> None:
    """An agent's device and place; a customer confirms a payment out by a code."""
    at_agent = rows["channel"] == Channel.AGENT
    agents, agent = world.trade.agents, rows["agent"][at_agent]
    rows["device"][at_agent], rows["place"][at_agent] = agents.device[agent], agents.place[agent]
    paid_by_customer = world.parties.owner[rows["sender"][at_agent]] != NOBODY
    rows["authorisation"][at_agent] = np.where(paid_by_customer, AUTHORISATION_METHODS.index("sms_code"), NOBODY)


def _with_habits(world: World, rows: Rows) -> Rows:
    people, who, when = world.people, rows["customer"], rows["occurred"]
    for name, habit in (("device", people.device), ("login", people.login), ("authorisation", people.authorisation)):
        rows[name] = np.where(rows[name] == NOBODY, habit.at(who, when), rows[name])
    return rows


def _session_numbers(rows: Rows) -> Ints:
    """(n,) numbers of sessions in order of their beginning; one session is one customer on one device without a pause."""
    order = np.lexsort((rows["occurred"], rows["device"], rows["customer"]))
    ordered = rows[order]
    new = np.ones(len(rows), np.bool_)
    new[1:] = (
        (np.diff(ordered["customer"]) != 0) | (np.diff(ordered["device"]) != 0) | (np.diff(ordered["occurred"]) > PAUSE)
    )
    group = np.zeros(len(rows), np.int64)
    group[order] = np.cumsum(new) - 1
    begun = np.argsort(np.argsort(ordered["occurred"][new], kind="stable"), kind="stable")
    return np.asarray(begun[group] if len(rows) else group)


def _session_places(world: World, rows: Rows, rng: Rng) -> Ints:
    """Where each row's customer was in this session."""
    count = int(rows["session"].max()) + 1 if len(rows) else 0
    first = _first_rows(rows)
    places = usual_places(world, rows["customer"][first], rows["occurred"][first], rng)
    return places[rows["session"]] if count else np.zeros(0, np.int64)


def _first_rows(rows: Rows) -> Ints:
    """Row at which each session begins, by its number; rows are in order of time."""
    return np.unique(rows["session"], return_index=True)[1]


def usual_places(world: World, customers: Ints, when: Ints, rng: Rng) -> Ints:
    """At home more often than elsewhere, on a journey abroad, behind a VPN where that is his habit."""
    people, count = world.people, len(customers)
    rank = (PLACES * rng.random(count) ** 1.6).astype(np.int64)
    away = (people.away_from[customers] <= when) & (when < people.away_until[customers])
    place = np.where(away, people.away[customers], people.places[customers, rank])
    return np.where(rng.random(count) < people.hidden[customers], rng.choice(people.vpn_places, count), place)


def log_ins(world: World, rows: Rows, rng: Rng) -> Rows:
    """A log-in before every session of settled operations, failed ones before some, and log-ins without an operation."""
    app = rows[rows["channel"] == Channel.APPLICATION]
    began = app[_first_rows(app)]
    succeeded = events(
        len(began),
        occurred=began["occurred"] - rng.integers(8_000, 200_000, len(began)),
        type=code(EventType.LOGIN_SUCCEEDED),
        **{name: began[name] for name in ("customer", "device", "place", "login", "session")},
    )
    looked = _looked_in(world, rng)
    return joined([succeeded, looked, mistyped(joined([succeeded, looked], EVENT), 0.05, rng)], EVENT)


def _looked_in(world: World, rng: Rng) -> Rows:
    """To see the balance, no more."""
    who, when = visits(rng, world.people, world.span, 0.12)
    return with_usual_device(world, events(len(who), occurred=when, type=code(EventType.LOGIN_SUCCEEDED), customer=who), rng)


def with_usual_device(world: World, rows: Rows, rng: Rng) -> Rows:
    """Events on the device, at the place and by the log-in method of that time."""
    who, when = rows["customer"], rows["occurred"]
    rows["device"], rows["login"] = world.people.device.at(who, when), world.people.login.at(who, when)
    rows["place"] = usual_places(world, who, when, rng)
    return rows


def mistyped(succeeded: Rows, share: float, rng: Rng) -> Rows:
    """One to three failures before a share of these log-ins."""
    before = succeeded[rng.random(len(succeeded)) < share]
    failed = np.repeat(before, rng.choice((1, 2, 3), len(before), p=(0.75, 0.18, 0.07)))
    failed["occurred"] -= rng.integers(5_000, 90_000, len(failed))
    failed["type"], failed["session"] = code(EventType.LOGIN_FAILED), NOBODY
    return failed
