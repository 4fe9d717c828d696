"""The two actions of `burana features` that go through Feast: materialise, and snapshot alone."""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain.errors import HistoryError, SettingsError
from features import history as histories
from features.arrivals import rows_of_history
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feast_repo import materialise as steps
from features.feast_repo import sources
from features.feast_repo.sources import write_operations
from features.feast_repo.store import open_store, register
from features.feast_repo.views import service_name
from features.feature_set import FeatureSet
from features.history import cut
from features.layout import Fact, Word
from features.plan import Plan
from features.profile_days import Habits
from features.profile_kernel import Integers
from features.profile_language import Whose
from features.profiles import date_of, day_of

T = TypeVar("T")
Figures = dict[str, Any]


def materialise(arguments: argparse.Namespace, ledger_rows: Callable[[], Integers]) -> Figures:
    """The days that are not done yet into the stores, then the snapshot; with --matrix the operations' vectors too.

    From the history that is named, else from the ledger; a ledger knows what time it is, a history ends with its last arrival.
    """
    figures: Figures = {}
    with steps.alone(arguments.store):
        habits = _timed(figures, "read", lambda: _habits(arguments, ledger_rows))
        first = None if arguments.start is None else day_of(arguments.start.date())
        figures |= _timed(figures, "compute", lambda: steps.compute_days(habits, arguments.store, first))
        if not figures["days"]:
            _check_settled(habits, arguments.store, first)
        if arguments.matrix is not None:
            figures |= _timed(figures, "vectors", lambda: _vectors(arguments))
        return figures | _through_feast(arguments, figures, fill=True)


def snapshot(arguments: argparse.Namespace, ledger_rows: Callable[[], Integers]) -> Figures:  # noqa: ARG001 as every action
    """The snapshot of the newest day, as the online store has it."""
    with steps.alone(arguments.store):
        return _through_feast(arguments, {}, fill=False)


def _habits(arguments: argparse.Namespace, ledger_rows: Callable[[], Integers]) -> Habits:
    if arguments.history is None:
        return Habits.of(ledger_rows(), now=datetime.now(UTC))
    rows, _ = rows_of_history(cut(histories.read(arguments.history), None, arguments.end))
    return Habits.of(rows)


def _check_settled(habits: Habits, folder: Path, first: int | None) -> None:
    """HistoryError where no profile could be made and none is there, with the newest day of which one can be made."""
    if any(sources.days_done(folder, whose) for whose in Whose):
        return
    if habits.settled_day is None or habits.frame.is_empty():
        raise HistoryError("no operation had arrived by then, so there is nothing to make profiles of; name a later --to")
    newest, earliest = date_of(habits.settled_day), date_of(int(habits.frame["day"].to_numpy().min()))
    if first is not None and first > habits.settled_day:
        raise HistoryError(
            f"--from: seen {date_of(first)}, allowed up to {newest}: no later day was over when the last record came"
        )
    raise HistoryError(
        f"the operations begin on {earliest}, and that day was not over when the last record came: wait, or name a later --to"
    )


def _through_feast(arguments: argparse.Namespace, figures: Figures, *, fill: bool) -> Figures:
    folder: Path = arguments.store
    out = arguments.snapshots or folder / "snapshots"
    day = steps.newest_day(folder)
    store = open_store(folder, arguments.online)
    if fill:
        features = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS))
        figures["service"] = service_name(features)
        _timed(figures, "register", lambda: register(store, folder, features))
        figures |= _timed(figures, "online", lambda: steps.to_online(store, folder, day))
    written = _timed(figures, "snapshot", lambda: steps.snapshot(store, folder, out, day))
    if arguments.every_day:
        figures["past_snapshots"] = _timed(figures, "past", lambda: steps.past_snapshots(folder, out, day))
    return figures | {"snapshot": str(written)}


def _vectors(arguments: argparse.Namespace) -> Figures:
    """The file of operations of a matrix that `burana features` wrote from the history, all of it or its later part."""
    if arguments.history is None:
        raise SettingsError("--matrix: name the --history that it was made from")
    history, table = histories.read(arguments.history), pq.read_table(arguments.matrix)
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    made_by = (table.schema.metadata or {}).get(b"declarations", b"").decode()
    if made_by != plan.hash:
        raise HistoryError(
            f"{arguments.matrix} was made by features {made_by[:12]}, running are {plan.hash[:12]}; make it again"
        )
    place = pc.index_in(table["operation_id"], history.operations["operation_id"])
    if place.null_count:
        raise HistoryError(
            f"{arguments.matrix}: {place.null_count} operations are not in the history; name the one it was made from"
        )
    rows, _ = rows_of_history(history)
    operations = rows[rows[:, Word.FACTS] & int(Fact.OPERATION) != 0]
    write_operations(arguments.store, table, operations[place.to_numpy().astype(np.int64)], plan.names)
    return {"vectors": table.num_rows}


def _timed(figures: Figures, stage: str, action: Callable[[], T]) -> T:
    began = time.perf_counter()
    result = action()
    figures[f"{stage}_seconds"] = round(time.perf_counter() - began, 2)
    return result
