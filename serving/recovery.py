"""From the ledger to the features: snapshot, then everything recorded after it, in the order of the ledger."""

import logging
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

import numpy as np

from casework.ledger import Ledger
from domain.errors import StateError
from features.engine import Engine
from features.layout import WORDS
from features.plan import Plan

log = logging.getLogger("burana")


def rebuild(plan: Plan, ledger: Ledger, snapshot: Path) -> Engine:
    """The engine as of the last committed entry; a snapshot that does not fit is left aside and said so."""
    engine, after = _from_snapshot(plan, ledger, snapshot)
    nothing = np.empty((0, len(plan)))
    for chunk in ledger.rows(after):
        rows = np.frombuffer(chunk, "<i8").reshape(-1, WORDS).astype(np.int64)
        engine.replay(rows, nothing, np.full(len(rows), -1))
    return engine


def _from_snapshot(plan: Plan, ledger: Ledger, snapshot: Path) -> tuple[Engine, int]:
    if not snapshot.exists():
        return Engine(plan), 0
    if not is_zipfile(snapshot):
        log.warning("%s is cut off or no snapshot; rebuilding from the whole ledger", snapshot)
        return Engine(plan), 0
    try:
        engine, notes = Engine.restore(plan, snapshot)
    except (StateError, BadZipFile) as error:
        log.warning("%s; rebuilding from the whole ledger", error)
        return Engine(plan), 0
    sequence = int(notes["sequence"])
    if notes["ledger"] != str(ledger.path.resolve()) or sequence > ledger.last_sequence:
        log.warning("%s is of another ledger; rebuilding from the whole ledger", snapshot)
        return Engine(plan), 0
    return engine, sequence


def save(engine: Engine, ledger: Ledger, snapshot: Path) -> None:
    """Write the snapshot of an engine that stands at the ledger's last entry."""
    engine.snapshot(snapshot, sequence=ledger.last_sequence, ledger=str(ledger.path.resolve()))


def warm_up(plan: Plan) -> None:
    """Compile the kernel, or load it from its cache, on an engine that is thrown away."""
    engine = Engine(plan)
    row = [0] * WORDS
    engine.read(row)
    engine.apply(row)
    engine.replay(np.zeros((1, WORDS), np.int64), np.empty((1, len(plan))), np.zeros(1, np.int64))
