"""Feast's joins of daily profiles beside a plain Polars `join_asof` of the same Parquet files, and beside our own path.

The operations are those of `generated`, each moved by whole days into the first DAYS local days: most of them then read a
profile, and few days hold all profiles that are read (849,000 in four days at 1M operations: of customers, recipients and
devices). Feast's offline store is DuckDB on all cores, as we serve it. Whatever is timed has run once on a few operations.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from feast import FeatureStore
from numpy.typing import NDArray

from benchmarks.feature_engine.generated import START, is_operation, slices
from benchmarks.feature_engine.ours import InOrder
from domain.instants import DAY
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feast_repo import sources
from features.feast_repo.materialise import compute_days
from features.feast_repo.store import open_store, quiet, register
from features.feast_repo.views import (
    ONE_DAY,
    OPERATION,
    TIME,
    day_name,
    packed_name,
    profiles_folder,
    service_name,
    view_name,
    whose_name,
)
from features.feature_set import FeatureSet
from features.layout import Word
from features.plan import Plan
from features.profile_days import Habits, values
from features.profile_kernel import Integers
from features.profile_language import Whose

T = TypeVar("T")

DAYS = 5
"""Local days of the operations; those of the first, and of the first hours of the second, read no profile: there is none yet."""
JOIN_ROWS = 1_000_000
SERVICE_ROWS = 250_000
"""Operations of the whole service: DuckDB, Arrow and pandas each hold the vectors and three profiles of all; 5 GiB at most."""
FEW = 100
JOINED = [name for whose in Whose for name in (day_name(whose), packed_name(whose))]
"""The columns that a join adds."""


def join(operations: int, folder: Path) -> dict[str, Any]:
    """Seconds in which Feast and Polars join the three profile views to at most JOIN_ROWS operations; values that differ.

    Both are given the operations in memory and the files, and hand back columns in memory. `own_values` is what training does
    instead: profiles and features of the same operations by `features.profile_days.values`, nothing stored before.
    """
    rows = folded(min(operations, JOIN_ROWS))
    profiles = compute_days(Habits.of(rows), folder)["profiles"]
    _write_operations(folder, rows, np.empty((len(rows), 0)), ())
    store, asked = _registered(folder), sources.entity_frame(folder)
    frame = asked.to_pandas()
    values(rows[:FEW]), _by_feast(store, frame[:FEW]), _by_polars(asked[:FEW], folder)
    _, ours_took = timed(lambda: values(rows))
    by_feast, feast_took = timed(lambda: _by_feast(store, frame))
    by_polars, polars_took = timed(lambda: _by_polars(asked, folder))
    return {
        "rows": len(rows), "profile_days": DAYS - 1, "profiles": profiles, "feast": feast_took, "polars": polars_took,
        "own_values": ours_took, "with_profile": {w.name.lower(): by_polars[day_name(w)].count() for w in Whose},
        "values_compared": len(rows) * len(JOINED), "values_differ": joins_differ(by_feast, by_polars),
    }  # fmt: skip


def service(operations: int, folder: Path) -> dict[str, Any]:
    """Seconds in which Feast gives the served service for at most SERVICE_ROWS operations; values that differ from our own paths.

    The service is behaviour, the three profiles and the comparison on demand. `own_vectors`: our engine and
    `features.profile_days.values` on the same operations.
    """
    rows = folded(min(operations, SERVICE_ROWS))
    features = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS))
    compute_days(Habits.of(rows), folder)
    replay = InOrder(features.plan)
    values(rows[:FEW])
    matrix, ours_took = timed(lambda: np.concatenate([replay(rows), values(rows)], axis=1))
    _write_operations(folder, rows, matrix, features.plan.names)
    store, frame = _registered(folder), sources.entity_frame(folder).to_pandas()
    _served(store, frame[:FEW], features)
    served, took = timed(lambda: _served(store, frame, features))
    places = served[OPERATION].str.removeprefix("op-").astype(np.int64).to_numpy()
    return {
        "rows": len(rows), "features": len(features), "feast": took, "own_vectors": ours_took,
        "values_compared": matrix.size, "values_differ": vectors_differ(served[list(features.names)].to_numpy(), matrix[places]),
    }  # fmt: skip


def folded(operations: int) -> Integers:
    """The generated operations (n, WORDS), within DAYS local days, in order of time."""
    rows = np.concatenate([rows[is_operation(rows)] for rows in slices(operations)])
    rows[:, Word.TIME] = START + (rows[:, Word.TIME] - START) % (DAYS * DAY)
    return rows[np.argsort(rows[:, Word.TIME], kind="stable")]


def timed(action: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """What the action gives; `s` of wall time, `cpu_s` of all threads of this process."""
    began, cpu_began = time.perf_counter(), time.process_time()
    result = action()
    return result, {"s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu_began}


def joins_differ(theirs: pl.DataFrame, ours: pl.DataFrame) -> int:
    """How many of the joined values are not the same, whatever the order of rows; missing equals only missing."""
    theirs, ours = (frame.sort(OPERATION) for frame in (theirs, ours))
    if not theirs[OPERATION].equals(ours[OPERATION]):
        raise AssertionError(f"{len(theirs)} rows beside {len(ours)}: the joins do not hold the same operations")
    return sum(int(theirs[name].ne_missing(ours[name]).sum()) for name in JOINED)


def vectors_differ(theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> int:
    """How many values are not the same; NaN is the same as NaN."""
    return int(np.count_nonzero((theirs != ours) & ~(np.isnan(theirs) & np.isnan(ours))))


def _write_operations(folder: Path, rows: Integers, matrix: NDArray[np.float64], names: tuple[str, ...]) -> None:
    vectors = {name: matrix[:, place] for place, name in enumerate(names)}
    table = pa.table({OPERATION: [f"op-{place}" for place in range(len(rows))], **vectors})
    sources.write_operations(folder, table, rows, names)


def _registered(folder: Path) -> FeatureStore:
    store = open_store(folder)
    register(store, folder, FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS)))
    return store


def _by_feast(store: FeatureStore, asked: pd.DataFrame) -> pl.DataFrame:
    views = [f"{view_name(whose)}:{name}" for whose in Whose for name in (day_name(whose), packed_name(whose))]
    with quiet():
        joined = store.get_historical_features(asked, features=views).to_arrow()
    return pl.DataFrame(joined)


def _by_polars(asked: pa.Table, folder: Path) -> pl.DataFrame:
    """The same by hand: days follow one another in the files' names, so the profiles come in order of time."""
    joined = pl.DataFrame(asked).lazy().sort(TIME)
    for whose in Whose:
        profiles = pl.scan_parquet(profiles_folder(folder, whose) / "*.parquet").set_sorted(TIME)
        joined = joined.join_asof(profiles, on=TIME, by=whose_name(whose), tolerance=ONE_DAY, check_sortedness=False)
    return joined.collect()


def _served(store: FeatureStore, asked: pd.DataFrame, features: FeatureSet) -> pd.DataFrame:
    with quiet():
        return store.get_historical_features(asked, features=store.get_feature_service(service_name(features))).to_df()
