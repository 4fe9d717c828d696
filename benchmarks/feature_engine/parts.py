"""The parts of the measurement by name; each runs in a process of its own, so that CPU seconds and peak memory are its alone."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.feature_engine import comparison, feast_join, feast_online, ours, peers


@dataclass(frozen=True)
class Sizes:
    """Operations: of most parts, of the large part, and one by one."""

    rows: int = 5_000_000
    large_rows: int = 20_000_000
    singles: int = 200_000


Part = Callable[[Sizes, Path], dict[str, Any]]
PARTS: dict[str, Part] = {
    "kernel": lambda sizes, folder: ours.matrix_file(sizes.rows, folder),
    "entities": lambda sizes, _: ours.by_entity(sizes.rows),
    "online": lambda sizes, _: ours.online(sizes.rows, sizes.singles),
    "large": lambda sizes, _: ours.in_order(sizes.large_rows),
    "polars": lambda sizes, folder: peers.measure("polars", sizes.rows, folder),
    "polars_values": lambda sizes, folder: comparison.compare("polars", sizes.rows, folder),
    "duckdb": lambda sizes, folder: peers.measure("duckdb", sizes.rows, folder),
    "duckdb_values": lambda sizes, folder: comparison.compare("duckdb", sizes.rows, folder),
    "feast": lambda sizes, folder: feast_join.join(sizes.rows, folder / "feast"),
    "feast_service": lambda sizes, folder: feast_join.service(sizes.rows, folder / "feast_service"),
    "feast_online": lambda sizes, folder: feast_online.online(sizes.rows, folder / "feast_online"),
}
"""In the order in which they run; a comparison reads what its peer left in the folder."""


def run_here(name: str, sizes: Sizes, folder: Path) -> dict[str, Any]:
    """The figures of a part, with the most memory that this process has held."""
    figures = PARTS[name](sizes, folder)
    return figures | {"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def run_apart(name: str, sizes: Sizes, folder: Path) -> dict[str, Any]:
    """As `run_here`, in a process of its own, with memory at hand: see `memory`."""
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-m", "benchmarks.feature_engine.memory"], check=True, cwd=root)
    result = folder / f"{name}.json"
    command = [sys.executable, "-m", "benchmarks.feature_engine", "--part", name, "--folder", str(folder),
               "--rows", str(sizes.rows), "--large-rows", str(sizes.large_rows), "--singles", str(sizes.singles),
               "--json", str(result)]  # fmt: skip
    subprocess.run(command, check=True, cwd=root)
    figures: dict[str, Any] = json.loads(result.read_text())
    return figures
