"""Fraud from within (R15): agents and employees who reach customers' money by their office."""

import numpy as np

from domain import instants
from domain.criteria import Scheme
from domain.events import EventType
from training.simulator.dealings import at_branch, office_hours, withdrawn
from training.simulator.draft import code, events
from training.simulator.habits import usual_instants
from training.simulator.underworld import Story, Underworld, together


def agent_abuse(crime: Underworld) -> Story:
    """An agent draws cash from customers who have not been seen for long, within a few days."""
    rng, day = crime.rng, crime.day(4)
    who = crime.forgotten.drawn(rng, day, int(rng.integers(4, 11)))
    agent = np.full(len(who), rng.integers(0, len(crime.world.trade.agents.ids)))
    days = day + rng.integers(0, 4, len(who)) * instants.DAY
    when = usual_instants(rng, crime.world.people, who, days)
    amounts = crime.world.people.income[who] * rng.lognormal(-1.0, 0.5, len(who))
    return Story(crime.marked(withdrawn(crime.world, rng, who, when, amounts, agent), Scheme.AGENT_ABUSE))


def employee_abuse(crime: Underworld) -> Story:
    """An employee changes the contacts of quiet customers and then moves their money, in office hours."""
    rng, day = crime.rng, crime.day(5)
    employee = int(rng.integers(0, len(crime.world.trade.employees)))
    victims = crime.forgotten_banked.drawn(rng, day, int(rng.integers(1, 4)))
    return together([_emptied(crime, int(victim), day, employee) for victim in victims])


def _emptied(crime: Underworld, victim: int, day: int, employee: int) -> Story:
    rng, count = crime.rng, int(crime.rng.integers(1, 4))
    changed = office_hours(rng, np.array([day + int(rng.integers(0, 3)) * instants.DAY]))
    when = office_hours(rng, np.full(count, changed[0]) + rng.integers(1, 3, count) * instants.DAY)
    recipients = rng.choice(crime.receivers(int(when[0]), 2), count)
    rows = at_branch(crime.world, rng, np.full(count, victim), when, recipients, np.full(count, employee), 20_000.0)
    contact = events(1, occurred=changed, type=code(EventType.CONTACT_CHANGED), customer=victim, employee=employee)
    return Story(crime.marked(rows, Scheme.EMPLOYEE_ABUSE), contact)
