"""The world: its customers, whom they deal with and their habits, before anything happens in it."""

from dataclasses import dataclass

import numpy as np

from training.simulator.books import DeviceBook, PartyBook, PlaceBook
from training.simulator.habits import Ties, settle_ties
from training.simulator.people import People, settle_people
from training.simulator.settings import Span, WorldSettings
from training.simulator.trade import Trade, settle_trade


@dataclass(frozen=True)
class World:
    """Everybody and everything that rows of operations and events may name."""

    settings: WorldSettings
    span: Span
    parties: PartyBook
    places: PlaceBook
    devices: DeviceBook
    people: People
    trade: Trade
    ties: Ties


def settle(settings: WorldSettings, rng: np.random.Generator) -> World:
    """A world of these settings."""
    parties, places, devices = PartyBook(), PlaceBook(), DeviceBook()
    people = settle_people(settings, parties, places, devices, rng)
    trade = settle_trade(settings, people, parties, places, devices, rng)
    ties = settle_ties(people, trade, parties, rng)
    return World(settings, settings.span, parties, places, devices, people, trade, ties)
