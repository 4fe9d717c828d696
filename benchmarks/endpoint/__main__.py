"""The command: make the world, measure, print the table, write the JSON."""

import argparse
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.endpoint import postgresql, report, rounds, soak, starts, world
from benchmarks.endpoint.levels import levels_of
from benchmarks.endpoint.rounds import Effort
from benchmarks.endpoint.targets import PEERS, Target, peer
from benchmarks.endpoint.world import Sizes, World
from benchmarks.machine import machine
from domain.json_file import add_json, write_json

PACKAGES = ("numpy", "numba", "onnxruntime", "uvicorn", "fastapi", "pydantic", "feast", "mlflow", "lightgbm")
AT_RATE = frozenset({"ours", "echo"})


@dataclass(frozen=True)
class Wanted:
    """What is measured. soak: operations of the long run, 0 for none."""

    sizes: Sizes
    effort: Effort
    postgresql: bool
    soak: int


def main() -> None:
    """Measure, print, write."""
    arguments = _arguments()
    sizes, effort = (world.QUICK, rounds.QUICK) if arguments.quick else (Sizes(), Effort())
    wanted = Wanted(sizes.serving(arguments.soak), effort, arguments.postgresql, arguments.soak)
    figures = measure(wanted, arguments.folder)
    print(report.table(figures))
    write_json(arguments.json, figures)


def measure(wanted: Wanted, folder: Path | None = None) -> dict[str, Any]:
    """Every figure by name. folder: keeps the world, so that another run finds it; None: a temporary one."""
    with tempfile.TemporaryDirectory(prefix="serving_benchmark_") as kept:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:  # its memory goes with it
            made = apart.submit(world.made, folder or Path(kept) / "world", wanted.sizes).result()
        measured = _beside_peers(made, wanted.effort)
        if wanted.postgresql:
            measured |= _on_postgresql(made, wanted.effort)
        if wanted.soak:
            home = world.copy_of_home(made, "soaked")
            measured["soak"] = soak.measure(made, home, world.served_requests(made, made.key), wanted.soak)
    return report.figures_of(measured | {"machine": machine(*PACKAGES)})


def _beside_peers(made: World, effort: Effort) -> dict[str, Any]:
    """Starts, then the rounds of ours and of every peer."""
    home, empty = world.copy_of_home(made, "served"), world.empty_home(made, made.folder / "empty")
    requests = world.served_requests(made, made.key)
    server, started = starts.measure(made, home, empty, effort.starts)
    with server:
        running = {"ours": Target(server, requests)}
        try:
            for name in PEERS:
                running[name] = peer(name, made)
            servers = rounds.measure(running, effort, home, AT_RATE)
            levels = levels_of(server.port, made.key)
        finally:
            for name in running.keys() - {"ours"}:
                running[name].server.stop()
    return {"world": made.told() | levels, "starts": started, "servers": servers}


def _on_postgresql(made: World, effort: Effort) -> dict[str, Any]:
    if not postgresql.is_possible():
        print("PostgreSQL is left out: `burana serve` takes no --database yet")
        return {}
    home = world.copy_of_home(made, "beside postgresql")
    return {"postgresql": postgresql.beside_sqlite(made, home, effort)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/serving.py", description="The served endpoint beside named peers.")
    parser.add_argument("--quick", action="store_true", help="a small world and short rounds: that it runs, not how fast")
    parser.add_argument("--postgresql", action="store_true", help="the ledger on PostgreSQL beside the one on SQLite, too")
    parser.add_argument(
        "--soak", type=int, nargs="?", const=1_000_000, default=0, help="a long run too, of so many operations"
    )
    parser.add_argument("--folder", type=Path, help="keeps the world for the next run, on the disk to measure (about 10 GB)")
    add_json(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
