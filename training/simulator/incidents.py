"""What happens to honest customers and looks like fraud: new telephones and numbers, forgotten passwords, returned goods."""

import numpy as np

from domain import instants
from domain.criteria import Scheme
from domain.events import EventType
from domain.operation import Kind
from training.simulator.dealings import office_hours
from training.simulator.draft import EVENT, NOBODY, Channel, Flags, Ints, Rows, code, events, joined
from training.simulator.habits import visits
from training.simulator.people import Habit
from training.simulator.sessions import with_usual_device
from training.simulator.world import World

Rng = np.random.Generator


def happened(world: World, rng: Rng) -> Rows:
    """Events of customers' own doing that no operation brings about."""
    people = world.people
    changes = (
        (people.device, EventType.DEVICE_ENROLLED),
        (people.login, EventType.LOGIN_METHOD_CHANGED),
        (people.authorisation, EventType.AUTHORISATION_METHOD_CHANGED),
    )
    own = [_changed(world, habit, kind, rng) for habit, kind in changes]
    return joined([*own, _around(own[0], rng), _contacts(world, rng), _forgotten_passwords(world, rng)], EVENT)


def _changed(world: World, habit: Habit, kind: EventType, rng: Rng) -> Rows:
    """The moment from which he uses another device or method."""
    who = np.flatnonzero((habit.since < world.span.end) & (habit.since >= world.people.joined))
    return with_usual_device(world, events(len(who), occurred=habit.since[who], type=code(kind), customer=who), rng)


def _around(enrolled: Rows, rng: Rng) -> Rows:
    """With a new telephone: passwords that fail before, and for some a new number as well."""
    failing = enrolled[rng.random(len(enrolled)) < 0.45]
    failed = np.repeat(failing, rng.integers(1, 6, len(failing)))
    failed["occurred"] -= rng.integers(10_000, 10 * instants.MINUTE, len(failed))
    failed["type"] = code(EventType.LOGIN_FAILED)
    contact = enrolled[rng.random(len(enrolled)) < 0.25]
    contact["occurred"] -= rng.integers(instants.MINUTE, 2 * instants.HOUR, len(contact))
    contact["type"] = code(EventType.CONTACT_CHANGED)
    return joined([failed, contact], EVENT)


def _contacts(world: World, rng: Rng) -> Rows:
    """New numbers and addresses, a third of them entered by an employee."""
    who, when = visits(rng, world.people, world.span, 0.0012)
    rows = with_usual_device(world, events(len(who), occurred=when, type=code(EventType.CONTACT_CHANGED), customer=who), rng)
    at_branch = rng.random(len(who)) < 0.35
    for name in ("device", "place", "login"):
        rows[name][at_branch] = NOBODY
    rows["occurred"][at_branch] = office_hours(rng, when[at_branch])
    rows["employee"][at_branch] = rng.integers(0, len(world.trade.employees), at_branch.sum())
    return rows


def _forgotten_passwords(world: World, rng: Rng) -> Rows:
    """Three to seven failures in a row, then success."""
    who, when = visits(rng, world.people, world.span, 0.002)
    tries = rng.integers(3, 8, len(who))
    failed = events(tries.sum(), type=code(EventType.LOGIN_FAILED), customer=np.repeat(who, tries))
    failed["occurred"] = np.repeat(when, tries) - rng.integers(5_000, 8 * instants.MINUTE, len(failed))
    succeeded = events(len(who), occurred=when, type=code(EventType.LOGIN_SUCCEEDED), customer=who)
    return with_usual_device(world, joined([failed, succeeded], EVENT), rng)


def undone(world: World, rows: Rows, rng: Rng) -> Rows:
    """Operations returned or cancelled later: honest ones seldom, trials of stolen cards often."""
    customers = world.parties.owner[rows["sender"]]
    share = np.where(rows["scheme"] == code(Scheme.CARD_MISUSE), 0.15, 0.007)
    share = np.where(rows["habitual"], 0.007, share) * (customers != NOBODY) * ~_final(rows)
    chosen = np.flatnonzero(rng.random(len(rows)) < share)
    returned = rng.random(len(chosen)) < 0.5
    delay = np.where(returned, rng.lognormal(10.5, 1.0, len(chosen)), rng.lognormal(5.5, 0.8, len(chosen)))
    made = events(
        len(chosen),
        occurred=rows["occurred"][chosen] + LATEST_ARRIVAL + (delay * 1000).astype(np.int64),
        type=np.where(returned, code(EventType.OPERATION_RETURNED), code(EventType.OPERATION_CANCELLED)),
        customer=customers[chosen],
        operation=chosen,
    )
    return _cancelled_from(made, rows[chosen], ~returned)


def _cancelled_from(made: Rows, rows: Rows, cancelled: Flags) -> Rows:
    """A cancellation comes from the device of its operation; a return comes from the other side."""
    for name in ("device", "place", "login", "session"):
        made[name] = np.where(cancelled, rows[name], NOBODY)
    return made


def _final(rows: Rows) -> Flags:
    """Cash is not given back, nor what went to a virtual-asset address."""
    kinds: Ints = np.array([code(Kind.CASH_WITHDRAWAL), code(Kind.VIRTUAL_ASSET_TRANSFER)])
    by_employee: Flags = rows["channel"] == Channel.BRANCH
    return by_employee | np.isin(rows["kind"], kinds)


LATEST_ARRIVAL = 15 * instants.MINUTE
"""No operation arrives later than this after it occurred."""
