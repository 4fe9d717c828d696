"""A history into the ledger: what happened before Burana answered its first operation."""

import heapq
from collections.abc import Iterator
from datetime import datetime
from operator import itemgetter

from tqdm import tqdm

from casework.database import timestamp
from casework.ledger import Entry
from domain.errors import HistoryError, InputError
from domain.events import Event, Outcome, normal_event, normal_outcome
from domain.identifiers import Identifiers
from domain.operation import Operation, normal_operation
from features.arrivals import ENCODING, rows_of_history
from features.history import History, records_of
from serving.contracts import encode

Arrival = tuple[int, str, str, Operation | Event | Outcome]
"""(sequence in the history, type, id, record)."""


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


def entries(
    history: History, after: int, identifiers: Identifiers, latest: datetime, last_recorded_at: str = ""
) -> Iterator[Entry]:
    """Ledger entries of a history, numbered from `after` + 1, without answers.

    last_recorded_at: of the ledger's last entry, which these are not recorded before, whatever the clock shows. HistoryError for a record that the endpoint would refuse or write otherwise: not in normal form, or later than `latest`.
    """
    rows, _ = rows_of_history(history)
    recorded_at = max(timestamp(), last_recorded_at)
    with tqdm(total=len(history), desc="ledger", unit="entry", unit_scale=True, delay=2, mininterval=1) as progress:
        for i, (_, type_, id_, record) in enumerate(arrivals(history)):
            _check(record, type_, id_, identifiers, latest)
            yield Entry(after + 1 + i, type_, id_, recorded_at, encode(record), rows[i].astype("<i8").tobytes(), ENCODING)
            progress.update()


def _check(record: Operation | Event | Outcome, type_: str, id_: str, identifiers: Identifiers, latest: datetime) -> None:
    try:
        match record:
            case Operation():
                normal: Operation | Event | Outcome = normal_operation(record, identifiers, latest)
            case Event():
                normal = normal_event(record, identifiers, latest)
            case Outcome():
                normal = normal_outcome(record, latest)
    except InputError as error:
        raise HistoryError(f"{type_} {id_}: {error}; nothing was brought in") from error
    if normal != record:
        raise HistoryError(f"{type_} {id_} is not in normal form; bring the history in with `burana import`")
