"""A payment world of its own: customers with habits, and fraud actors who leave the labels. Never a measure of quality."""

from training.simulator.settings import WorldSettings
from training.simulator.simulation import SimulatedHistory, simulate, write

__all__ = ["SimulatedHistory", "WorldSettings", "simulate", "write"]
