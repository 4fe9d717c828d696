"""A history into the ledger: what happened before Burana answered its first operation."""

import heapq
from collections.abc import Iterator
from datetime import datetime
from operator import itemgetter

import pyarrow.compute as pc
from tqdm import tqdm

from casework import database
from casework.ledger import Entry
from domain.events import Event, Outcome
from domain.operation import Operation
from features.arrivals import ENCODING, rows_of_history
from features.history import History, between, records_of
from serving.contracts import encode

Arrival = tuple[int, str, str, Operation | Event | Outcome]
"""(sequence in the history, type, id, record)."""


def cut(history: History, start: datetime | None, end: datetime | None) -> History:
    """What arrived with start <= time < end: operations and events by when they occurred, outcomes by when they became known.

    Outcomes of operations after `end` cannot be among them; those of operations before `start` are.
    """
    return History(
        between(history.operations, "occurred_at", start, end),
        between(history.events, "occurred_at", start, end),
        between(history.outcomes, "known_at", start, end),
    )


def arrivals(history: History) -> Iterator[Arrival]:
    """Every record of a history in order of arrival."""
    streams = (
        (
            (sequence, "operation", record.operation_id, record)
            for sequence, record in records_of(history.operations, Operation)
        ),
        ((sequence, "event", record.event_id, record) for sequence, record in records_of(history.events, Event)),
        ((sequence, "outcome", record.outcome_id, record) for sequence, record in records_of(history.outcomes, Outcome)),
    )
    return heapq.merge(*streams, key=itemgetter(0))


def entries(history: History, after: int) -> Iterator[Entry]:
    """Ledger entries of a history, numbered from `after` + 1, without answers."""
    there = pc.is_in(history.outcomes["operation_id"], history.operations["operation_id"])
    history = History(history.operations, history.events, history.outcomes.filter(there))
    rows, _ = rows_of_history(history)
    recorded_at = database.timestamp()
    with tqdm(total=len(history), desc="ledger", unit="entry", unit_scale=True, delay=2, mininterval=1) as progress:
        for i, (_, type_, id_, record) in enumerate(arrivals(history)):
            yield Entry(after + 1 + i, type_, id_, recorded_at, encode(record), rows[i].astype("<i8").tobytes(), ENCODING)
            progress.update()
