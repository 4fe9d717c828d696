"""One world from its settings to its files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.history import History, whole_folder, write_tables
from training.simulator import outcomes
from training.simulator.draft import EVENT, OPERATION, joined
from training.simulator.habitual import labelled
from training.simulator.incidents import happened, undone
from training.simulator.life import live
from training.simulator.schemes import committed
from training.simulator.sessions import log_ins, settled
from training.simulator.settings import WorldSettings
from training.simulator.stream import Draft, arranged
from training.simulator.world import settle

STEPS = ("world", "life", "fraud", "sessions", "outcomes", "stream")
"""What `watch` is told, in this order, when each is done."""


@dataclass(frozen=True)
class SimulatedHistory:
    """history: what a payment organisation sees; truth: what really happened (stream.TRUTH), for tests of detectors only."""

    history: History
    truth: pa.Table


def simulate(settings: WorldSettings, watch: Callable[[str], object] = lambda _step: None) -> SimulatedHistory:
    """A payment world of its own. The same settings give the same tables; each step draws from a stream of its own."""
    seeds = np.random.SeedSequence(settings.seed).spawn(len(STEPS))
    rngs = {step: np.random.default_rng(seed) for step, seed in zip(STEPS, seeds, strict=True)}
    world = settle(settings, rngs["world"])
    watch("world")
    life = live(world, rngs["life"])
    watch("life")
    fraud = committed(world, len(life), rngs["fraud"])
    made = int((fraud.operations["scheme"] >= 0).sum())
    life = labelled(life, world.parties.owner, made, settings.habitual_share, rngs["fraud"])
    watch("fraud")
    operations = settled(world, joined([life, fraud.operations], OPERATION), rngs["sessions"])
    seen = [log_ins(world, operations, rngs["sessions"]), happened(world, rngs["sessions"]), fraud.events]
    events = joined([*seen, undone(world, operations, rngs["sessions"])], EVENT)
    watch("sessions")
    told = outcomes.reported(operations, settings.unreported_share, rngs["outcomes"])
    known = outcomes.known(operations, told, settings, rngs["outcomes"])
    watch("outcomes")
    history, truth = arranged(world, Draft(operations, events, known, told), rngs["stream"])
    watch("stream")
    return SimulatedHistory(history, truth)


def write(simulated: SimulatedHistory, folder: Path) -> None:
    """The history's three files and `truth.parquet`, all or none; HistoryError if the folder exists."""
    with whole_folder(folder) as draft:
        write_tables(simulated.history, draft)
        pq.write_table(simulated.truth, draft / "truth.parquet", compression="zstd")
