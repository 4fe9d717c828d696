"""From the ledger to the features: snapshot, then everything recorded after it, in the order of the ledger."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from casework.ledger import Entry, Ledger, reading
from domain.errors import LedgerError, StateError
from features.arrivals import ENCODING, row_of_event, row_of_operation, row_of_outcome
from features.engine import Engine
from features.layout import WORDS
from features.plan import Plan
from serving.contracts import EVENT, OPERATION, OUTCOME

log = logging.getLogger("burana")


def rebuild(plan: Plan, ledger: Ledger, snapshot: Path, refused: Callable[[], object] = lambda: None) -> Engine:
    """The engine as of the last committed entry; a snapshot that does not fit is left aside and said so, and `refused` is called."""
    try:
        engine = _from_snapshot(plan, ledger, snapshot)
    except StateError as error:
        log.warning("%s; rebuilding from the whole ledger", error)
        refused()
        engine = Engine(plan)
    catch_up(engine, ledger)
    return engine


def catch_up(engine: Engine, ledger: Ledger) -> None:
    """Let an engine that stands at an entry of a ledger take everything that was recorded after it."""
    nothing = np.empty((0, len(engine.plan)))
    for rows in arrivals(ledger, engine.applied):
        engine.replay(rows, nothing, np.full(len(rows), -1))


def arrivals(ledger: Ledger, after: int = 0) -> Iterator[NDArray[np.int64]]:
    """The rows (n, WORDS) of everything recorded after a sequence number, in order, some at a time."""
    for chunk in ledger.rows(after):
        yield rows_of(ledger, chunk)


def rows_of(ledger: Ledger, stored: list[tuple[int, bytes, int]]) -> NDArray[np.int64]:
    """The rows (n, WORDS) of what `Ledger.rows` gave, made again where another release stored them."""
    blobs = b"".join(_row(ledger, *each) for each in stored)
    return np.frombuffer(blobs, "<i8").reshape(-1, WORDS).astype(np.int64)


def all_arrivals(database: str) -> NDArray[np.int64]:
    """The rows (n, WORDS) of a whole ledger, in order, beside a running server or without one."""
    with reading(database) as ledger:
        return np.concatenate([np.empty((0, WORDS), np.int64), *arrivals(ledger)])


def row_of_entry(ledger: Ledger, entry: Entry) -> list[int]:
    """The row of a stored record, made from the record itself; an outcome's from its operation's."""
    match entry.type:
        case "operation":
            return row_of_operation(OPERATION.decode(entry.body))
        case "event":
            return row_of_event(EVENT.decode(entry.body))
    outcome = OUTCOME.decode(entry.body)
    operation = ledger.find("operation", outcome.operation_id)
    if operation is None:
        raise LedgerError(f"outcome {outcome.outcome_id} names operation {outcome.operation_id}, which is not in the ledger")
    return row_of_outcome(outcome, row_of_entry(ledger, operation))


def last_row(ledger: Ledger) -> list[int] | None:
    """The row of the last record, None of an empty ledger."""
    last = ledger.at(ledger.last_sequence)
    return None if last is None else row_of_entry(ledger, last)


def _row(ledger: Ledger, sequence: int, row: bytes, encoding: int) -> bytes:
    """The stored row where this release would make the same, else a new one."""
    if encoding == ENCODING:
        return row
    entry = ledger.at(sequence)
    assert entry is not None, "its row was read a moment ago"
    return np.array(row_of_entry(ledger, entry), "<i8").tobytes()


def _from_snapshot(plan: Plan, ledger: Ledger, snapshot: Path) -> Engine:
    """The state of a snapshot, a new one where there is none; StateError for one that does not fit."""
    if not snapshot.exists():
        return Engine(plan)
    engine, notes = Engine.restore(plan, snapshot)
    if mark(ledger, engine.applied) != notes["mark"]:
        raise StateError(f"{snapshot} is of another ledger")
    return engine


def mark(ledger: Ledger, sequence: int) -> str:
    """What tells this ledger from any other that is as long: its entry of that number, and when it was recorded."""
    entry = ledger.at(sequence)
    return "" if entry is None else f"{entry.type} {entry.id} {entry.recorded_at}"


def warm_up(plan: Plan) -> None:
    """Compile the kernel, or load it from its cache, on an engine that is thrown away."""
    engine = Engine(plan)
    row = [0] * WORDS
    engine.read(row)
    engine.apply(row)
    engine.replay(np.zeros((1, WORDS), np.int64), np.empty((1, len(plan))), np.zeros(1, np.int64))
