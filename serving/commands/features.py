"""Compute the point-in-time matrix of a history, verify the vectors of a ledger against it, or say what each feature means."""

import argparse
import importlib
import importlib.metadata
import os
import resource
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from domain.errors import HistoryError, SettingsError
from domain.instants import parse_day_or_instant
from domain.json_file import add_json, file_to_write, write_json
from features import history as histories
from features.batch import MatrixFile, blocks_of, write_blocks, write_in_slices
from features.catalogue import catalogue
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.history import between, cut
from features.partition_files import MOST_PARTS
from features.plan import Plan
from features.profiles import PROFILE_FEATURES
from features.runners import LOCAL, Runner, processes, ray_cluster, run_here
from features.slices import slices_of
from features.tasks import compute
from serving import place
from serving.beside import LOWEST_PRIORITY
from serving.recomputed_profiles import by_batch, from_snapshots
from serving.recovery import all_arrivals
from serving.spot_check import spot_check
from serving.verification import verify

SLICE_ROWS = 1 << 17
PARTS = MOST_PARTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments, and those of the actions that are found by entry point."""
    others = _others()
    parser.add_argument("action", nargs="?", choices=("compute", "verify", "catalogue", *others), default="compute")
    parser.add_argument("--history", type=Path, help="compute, materialise: folder of a canonical history")
    parser.add_argument(
        "--out",
        type=file_to_write,
        metavar="FILE",
        help="compute: Parquet file for the matrix; catalogue: Markdown file, else it is printed",
    )
    parser.add_argument("--from", dest="start", type=parse_day_or_instant, help="compute: first operations in the matrix")
    parser.add_argument("--to", dest="end", type=parse_day_or_instant, help="compute: first arrivals that are left out")
    place.add_home(parser, ": for verify, and for materialise without --history")
    parser.add_argument("--sample", type=int, help="verify: so many vectors drawn among the newest, instead of all")
    parser.add_argument("--yield-cpu", action="store_true", help="let every other process go first")
    parser.add_argument(
        "--slice-rows", type=int, help=f"compute: read so many arrivals at a time, never the whole history ({SLICE_ROWS})"
    )
    parser.add_argument("--parts", type=int, help=f"compute: by so many parts of the entities, 1 to {MOST_PARTS} ({PARTS})")
    parser.add_argument("--workers", type=int, help="compute: by parts, in so many processes")
    parser.add_argument("--ray", metavar="ADDRESS", help=f"compute: by parts, on a Ray cluster; {LOCAL} starts one here")
    parser.add_argument(
        "--work", type=Path, help="compute: folder for what passes between parts; every machine of Ray sees it"
    )
    add_json(parser)
    for module in dict.fromkeys(others.values()):
        names = " and ".join(name for name, its in others.items() if its is module)
        module.add_arguments(parser.add_argument_group(names, module.__doc__))


def run(arguments: argparse.Namespace) -> int:
    """1 when verifying found a difference."""
    if arguments.yield_cpu:
        os.nice(LOWEST_PRIORITY)
    if arguments.action == "catalogue":
        return _catalogued(arguments.out)
    figures = _figures(arguments)
    figures["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    for name, value in figures.items():
        print(f"{name:24} {value:>16,}" if isinstance(value, int | float) else f"{name:24} {value}")
    write_json(arguments.json, figures)
    return 1 if figures.get("vectors_differ") or figures.get("vectors") == 0 else 0


def _catalogued(out: Path | None) -> int:
    text = catalogue(Plan(DEFINITIONS, RETAINED_ARRIVALS), PROFILE_FEATURES)
    if out is None:
        print(text)
    else:
        out.write_text(text, encoding="utf-8")
    return 0


def _figures(arguments: argparse.Namespace) -> dict[str, Any]:
    others, plan = _others(), Plan(DEFINITIONS, RETAINED_ARRIVALS)
    if arguments.action in others:
        figures: dict[str, Any] = others[arguments.action].run(arguments, lambda: all_arrivals(place.database_of(arguments)))
        return figures
    return _verified(arguments, plan) if arguments.action == "verify" else _computed(arguments, plan)


def _others() -> dict[str, ModuleType]:
    """Action -> module: what belongs to training is found by entry point, and is absent where only serving is installed."""
    points = importlib.metadata.entry_points(group="burana.features")
    return {point.name: importlib.import_module(point.value) for point in sorted(points, key=lambda point: point.name)}


def _verified(arguments: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    if arguments.sample is None:
        snapshots = getattr(arguments, "snapshots", None)
        return verify(place.database_of(arguments), plan, by_batch if snapshots is None else from_snapshots(snapshots))
    if arguments.sample < 1:
        raise SettingsError(f"--sample: seen {arguments.sample}, allowed 1 or more")
    return spot_check(place.database_of(arguments), plan, arguments.sample)


def _computed(arguments: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    if arguments.history is None:
        raise SettingsError("--history: name the folder of a canonical history")
    if arguments.out is not None and arguments.out.exists():
        raise HistoryError(f"{arguments.out} exists; name a new file or remove it first")
    in_parts = any(asked is not None for asked in (arguments.parts, arguments.workers, arguments.ray))
    if in_parts or arguments.slice_rows is not None:
        return _computed_to_file(arguments, plan, in_parts)
    history = histories.read(arguments.history)
    history = cut(history, None, arguments.end)
    began, cpu = time.perf_counter(), time.process_time()
    blocks = blocks_of(history, plan, start=arguments.start)
    figures: dict[str, Any] = {
        "operations": len(blocks), "arrivals": len(history), "features": len(plan),
        "seconds": round(time.perf_counter() - began, 2), "cpu_seconds": round(time.process_time() - cpu, 2),
        "share_missing": round(blocks.missing / max(1, len(blocks) * len(plan)), 4), "declarations": plan.hash[:16],
    }  # fmt: skip
    if arguments.out is not None:
        with MatrixFile(arguments.out, plan) as file:
            write_blocks(blocks, between(history.operations, "occurred_at", arguments.start, None), file)
    return figures


def _computed_to_file(arguments: argparse.Namespace, plan: Plan, in_parts: bool) -> dict[str, Any]:
    """The same matrix, of a history that is never whole in memory."""
    if arguments.out is None:
        raise SettingsError("--out: name a Parquet file; a matrix made in slices or parts is never whole in memory")
    size = SLICE_ROWS if arguments.slice_rows is None else arguments.slice_rows
    if size < 1:
        raise SettingsError(f"--slice-rows: seen {size}, allowed 1 and more")
    slices = slices_of(arguments.history, size, arguments.end)
    began, cpu = time.perf_counter(), _cpu_seconds()
    with _runner(arguments) as runner, MatrixFile(arguments.out, plan) as file:
        if in_parts:
            parts = PARTS if arguments.parts is None else arguments.parts
            with tempfile.TemporaryDirectory(prefix="burana-parts-", dir=arguments.work) as work:
                arrivals = compute(slices, plan, file, Path(work), parts, runner, arguments.start)
        else:
            arrivals = write_in_slices(slices, file, plan, arguments.start)
    return {
        "operations": file.rows, "arrivals": arrivals, "features": len(plan),
        "seconds": round(time.perf_counter() - began, 2), "cpu_seconds": round(_cpu_seconds() - cpu, 2),
        "share_missing": round(file.missing / max(1, file.rows * len(plan)), 4), "declarations": plan.hash[:16],
        "worker_peak_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }  # fmt: skip


def _runner(arguments: argparse.Namespace) -> AbstractContextManager[Runner]:
    if arguments.ray not in (None, LOCAL) and arguments.work is None:
        raise SettingsError("--work: name a folder that every machine of the Ray cluster sees")
    if arguments.work is not None and not arguments.work.is_dir():
        raise SettingsError(f"--work: seen {str(arguments.work)!r}, allowed: a folder that is there")
    if arguments.ray is not None:
        return ray_cluster(arguments.ray, arguments.workers)
    return nullcontext(run_here) if arguments.workers is None else processes(arguments.workers)


def _cpu_seconds() -> float:
    """Of this process and of its workers that have ended; of Ray's own processes nothing is known here."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
