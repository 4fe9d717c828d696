"""Compute the point-in-time matrix of a history, or verify the vectors of a ledger against it."""

import argparse
import importlib
import importlib.metadata
import json
import os
import resource
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from domain.errors import HistoryError, SettingsError
from domain.instants import parse_day_or_instant
from features import history as histories
from features.batch import matrix_of, write_matrix
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.history import History, between, cut
from features.plan import Plan
from serving.recomputed_profiles import by_batch, from_snapshots
from serving.recovery import all_arrivals
from serving.spot_check import spot_check
from serving.verification import verify

LOWEST_PRIORITY = 19


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments, and those of the actions that are found by entry point."""
    others = _others()
    parser.add_argument("action", nargs="?", choices=("compute", "verify", *others), default="compute")
    parser.add_argument("--history", type=Path, help="compute, materialise: folder of a canonical history")
    parser.add_argument("--out", type=Path, help="compute: Parquet file for the matrix; without it only figures are printed")
    parser.add_argument("--from", dest="start", type=parse_day_or_instant, help="compute: first operations in the matrix")
    parser.add_argument("--to", dest="end", type=parse_day_or_instant, help="compute: first arrivals that are left out")
    parser.add_argument(
        "--home", type=Path, default=Path("data"), help="verify, materialise without --history: folder of the database"
    )
    parser.add_argument("--sample", type=int, help="verify: so many vectors drawn among the newest, instead of all")
    parser.add_argument("--yield-cpu", action="store_true", help="let every other process go first")
    parser.add_argument("--json", type=Path, help="write every printed figure")
    for module in dict.fromkeys(others.values()):
        names = " and ".join(name for name, its in others.items() if its is module)
        module.add_arguments(parser.add_argument_group(names, module.__doc__))


def run(arguments: argparse.Namespace) -> int:
    """1 when verifying found a difference."""
    if arguments.yield_cpu:
        os.nice(LOWEST_PRIORITY)
    figures = _figures(arguments)
    figures["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    for name, value in figures.items():
        print(f"{name:24} {value:>16,}" if isinstance(value, int | float) else f"{name:24} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    return 1 if figures.get("vectors_differ") or figures.get("vectors") == 0 else 0


def _figures(arguments: argparse.Namespace) -> dict[str, Any]:
    others, plan = _others(), Plan(DEFINITIONS, RETAINED_ARRIVALS)
    if arguments.action in others:
        figures: dict[str, Any] = others[arguments.action].run(arguments, lambda: all_arrivals(arguments.home))
        return figures
    return _verified(arguments, plan) if arguments.action == "verify" else _computed(arguments, plan)


def _others() -> dict[str, ModuleType]:
    """Action -> module: what belongs to training is found by entry point, and is absent where only serving is installed."""
    points = importlib.metadata.entry_points(group="burana.features")
    return {point.name: importlib.import_module(point.value) for point in sorted(points, key=lambda point: point.name)}


def _verified(arguments: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    if arguments.sample is None:
        snapshots = getattr(arguments, "snapshots", None)
        return verify(arguments.home, plan, by_batch if snapshots is None else from_snapshots(snapshots))
    if arguments.sample < 1:
        raise SettingsError(f"--sample: seen {arguments.sample}, allowed 1 or more")
    return spot_check(arguments.home, plan, arguments.sample)


def _computed(arguments: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    if arguments.history is None:
        raise SettingsError("--history: name the folder of a canonical history")
    if arguments.out is not None and arguments.out.exists():
        raise HistoryError(f"{arguments.out} exists; name a new file or remove it first")
    history = histories.read(arguments.history)
    history = cut(history, None, arguments.end)
    began, cpu = time.perf_counter(), time.process_time()
    matrix = matrix_of(history, plan, start=arguments.start)
    figures: dict[str, Any] = {
        "operations": len(matrix), "arrivals": len(history), "features": len(plan),
        "seconds": round(time.perf_counter() - began, 2), "cpu_seconds": round(time.process_time() - cpu, 2),
        "share_missing": round(float(np.isnan(matrix).mean()), 4), "declarations": plan.hash[:16],
    }  # fmt: skip
    if arguments.out is not None:
        operations = between(history.operations, "occurred_at", arguments.start, None)
        write_matrix(arguments.out, History(operations, history.events, history.outcomes), matrix, plan)
    return figures
