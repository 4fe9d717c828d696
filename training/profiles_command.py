"""Compute daily profiles, fill Feast's stores with them, write the snapshot that the endpoint reads."""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import SettingsError


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    """The arguments of both actions, beside --history, --from, --to and --json."""
    parser.add_argument("--store", type=Path, default=Path("profiles"), help="folder of the feature store")
    parser.add_argument("--online", help="redis://HOST:PORT[/DATABASE] instead of an SQLite file; remembered by the folder")
    parser.add_argument(
        "--matrix", type=Path, help="materialise: what `burana features --out` wrote, for Feast's training matrix"
    )
    parser.add_argument(
        "--snapshots",
        type=Path,
        help="folder of the endpoint's snapshots; default: snapshots in --store. "
        "verify: compare with these, not with the batch path",
    )
    parser.add_argument("--every-day", action="store_true", help="a snapshot of each day in the store, to replay past days")


def run(arguments: argparse.Namespace, ledger_rows: Callable[[], NDArray[np.int64]]) -> dict[str, Any]:
    """Figures of the run, and the snapshot that was written; ledger_rows: reads the rows of the ledger in --home."""
    try:
        actions = importlib.import_module("training.materialising")  # not before: it brings Feast and Polars along
    except ImportError as error:
        raise SettingsError(f"{error.name} is not installed here; install burana[training]") from error
    figures: dict[str, Any] = getattr(actions, arguments.action)(arguments, ledger_rows)
    return figures
