"""The fraud of a world: actors by scheme, as many as the wished share asks for. A label comes from the actor alone."""

from collections.abc import Callable, Iterator

import numpy as np

from domain.criteria import Scheme
from training.simulator.dealings import possible
from training.simulator.deceit import false_call, false_investment, fictitious_store
from training.simulator.insiders import agent_abuse, employee_abuse
from training.simulator.intrusion import account_takeover, card_misuse
from training.simulator.laundering import mule_chain, passed_on, splitting
from training.simulator.underworld import Story, Underworld, together
from training.simulator.world import World

Actor = Callable[[Underworld], Story]

ACTORS: tuple[tuple[Scheme, float, Actor], ...] = (
    (Scheme.FALSE_INVESTMENT, 0.18, false_investment),
    (Scheme.FALSE_CALL, 0.18, false_call),
    (Scheme.FICTITIOUS_STORE, 0.19, fictitious_store),
    (Scheme.ACCOUNT_TAKEOVER, 0.10, account_takeover),
    (Scheme.SPLITTING, 0.05, splitting),
    (Scheme.AGENT_ABUSE, 0.03, agent_abuse),
    (Scheme.EMPLOYEE_ABUSE, 0.02, employee_abuse),
    (Scheme.CARD_MISUSE, 0.04, card_misuse),
)
"""Each scheme, its share of fraudulent operations, its actor. The Center's three are two thirds of victims' losses (K13)."""

MULES = 0.21
"""Share of the mules, who serve the other actors and strangers' fraud as well."""


def committed(world: World, legitimate: int, rng: np.random.Generator) -> Story:
    """Actors' operations and events beside `legitimate` operations; every scheme once at least unless fraud_share is 0."""
    settings = world.settings
    if not settings.fraud_share:
        return together([])
    wanted = legitimate * settings.fraud_share / (1 - settings.fraud_share) * (1 - settings.habitual_share)
    crime = Underworld(world, rng)
    first = together([story for _, share, actor in ACTORS for story in _campaign(crime, actor, wanted * share)])
    onward = Story(possible(world, passed_on(crime, first.operations).operations))
    collected = _campaign(crime, mule_chain, max(1.0, wanted * MULES - len(onward.operations)))
    return together([first, onward, *collected])


def _campaign(crime: Underworld, actor: Actor, wanted: float) -> Iterator[Story]:
    """Stories of one scheme until they have made the wished number of operations."""
    made = 0
    while made < wanted:
        story = actor(crime)
        story = Story(possible(crime.world, story.operations), story.events)
        made += max(1, int((story.operations["scheme"] >= 0).sum()))
        yield story
