"""The profile part of served vectors made again: by the batch path over the ledger, or from the snapshots that were served."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.errors import SettingsError
from features.packed_profiles import Profiles, id_of, snapshot_folder
from features.profile_kernel import Integers
from features.profiles import PROFILE_NAMES

NOT_COMPARED = -1


@dataclass(frozen=True)
class Asked:
    """Every arrival of a ledger in order, and what those operations that were compared with profiles were compared with.

    rows (n, WORDS); days_behind (n,): of the day used, behind the due one, NOT_COMPARED for what was compared with nothing;
    snapshots (n,): the id of the snapshot.
    """

    rows: Integers
    days_behind: Integers
    snapshots: NDArray[np.str_]


Recompute = Callable[[Asked], tuple[NDArray[np.float64], NDArray[np.bool_]]]
"""-> values (n, len(PROFILE_NAMES)), NaN where nothing was compared, and (n,) where they could be made."""


def by_batch(asked: Asked) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """From the ledger's own rows, as training makes them; SettingsError where only serving is installed."""
    try:
        days = importlib.import_module("features.profile_days")  # by name: what serves goes without it, and without Polars
    except ImportError as error:
        raise SettingsError(f"{error.name} is not installed here; install burana[training] or name --snapshots") from error
    compared = asked.days_behind != NOT_COMPARED
    values = np.full((len(asked.rows), len(PROFILE_NAMES)), np.nan)
    days.values(asked.rows, values, np.where(compared, np.arange(len(asked.rows)), -1), asked.days_behind)
    return values, np.ones(len(asked.rows), np.bool_)


def from_snapshots(folder: Path) -> Recompute:
    """From the snapshots in a folder that the decisions name; those of one that is gone cannot be made."""

    def recompute(asked: Asked) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        values = np.full((len(asked.rows), len(PROFILE_NAMES)), np.nan)
        made = asked.days_behind == NOT_COMPARED
        for header in snapshot_folder(folder).glob("[!.]*/header.json"):
            mine = (asked.snapshots == id_of(header.read_bytes())) & ~made
            if mine.any():
                profiles = Profiles.load(header.parent)
                for behind in np.unique(asked.days_behind[mine]).tolist():
                    some = mine & (asked.days_behind == behind)
                    values[some] = profiles.values(asked.rows[some], days_behind=behind)
                made |= mine
        return values, made

    return recompute
