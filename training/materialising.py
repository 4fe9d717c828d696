"""The two actions of `burana features` that go through Feast: materialise, and snapshot alone."""

import argparse
import time
from collections.abc import Callable
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
from features.feast_repo.sources import write_operations
from features.feast_repo.store import open_store, register
from features.feature_set import FeatureSet
from features.history import History, cut
from features.layout import Fact, Word
from features.plan import Plan
from features.profile_days import Habits
from features.profile_kernel import Integers
from features.profiles import day_of

T = TypeVar("T")
Figures = dict[str, Any]


def materialise(arguments: argparse.Namespace) -> Figures:
    """The days that are not done yet into the stores, then the snapshot; with --matrix the operations' vectors too."""
    if arguments.history is None:
        raise SettingsError("--history: name the folder of a canonical history")
    figures: Figures = {}
    with steps.alone(arguments.store):
        history = cut(histories.read(arguments.history), None, arguments.end)
        rows, _ = rows_of_history(history)
        first = None if arguments.start is None else day_of(arguments.start.date())
        figures |= _timed(figures, "compute", lambda: steps.compute_days(Habits.of(rows), arguments.store, first))
        if arguments.matrix is not None:
            figures |= _timed(figures, "vectors", lambda: _vectors(arguments.store, arguments.matrix, history, rows))
        return figures | _through_feast(arguments, figures, fill=True)


def snapshot(arguments: argparse.Namespace) -> Figures:
    """The snapshot of the newest day, as the online store has it."""
    with steps.alone(arguments.store):
        return _through_feast(arguments, {}, fill=False)


def _through_feast(arguments: argparse.Namespace, figures: Figures, *, fill: bool) -> Figures:
    folder: Path = arguments.store
    out = arguments.snapshots or folder / "snapshots"
    day = steps.newest_day(folder)
    store = open_store(folder, arguments.online)
    if fill:
        features = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS))
        _timed(figures, "register", lambda: register(store, folder, features))
        figures |= _timed(figures, "online", lambda: steps.to_online(store, folder, day))
    written = _timed(figures, "snapshot", lambda: steps.snapshot(store, folder, out, day))
    return figures | {"snapshot": str(written)}


def _vectors(folder: Path, matrix: Path, history: History, rows: Integers) -> Figures:
    """The file of operations of a matrix that `burana features` wrote from this history, all of it or its later part."""
    table = pq.read_table(matrix)
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    made_by = (table.schema.metadata or {}).get(b"declarations", b"").decode()
    if made_by != plan.hash:
        raise HistoryError(f"{matrix} was made by features {made_by[:12]}, running are {plan.hash[:12]}; compute it again")
    place = pc.index_in(table["operation_id"], history.operations["operation_id"])
    if place.null_count:
        raise HistoryError(
            f"{matrix}: {place.null_count} operations are not in the history; give the history it was made from"
        )
    operations = rows[rows[:, Word.FACTS] & int(Fact.OPERATION) != 0]
    write_operations(folder, table, operations[place.to_numpy().astype(np.int64)], plan.names)
    return {"vectors": table.num_rows}


def _timed(figures: Figures, stage: str, action: Callable[[], T]) -> T:
    began = time.perf_counter()
    result = action()
    figures[f"{stage}_seconds"] = round(time.perf_counter() - began, 2)
    return result
