"""A backtest of the starter set over a million simulated operations, as an officer runs it: reading, replaying, asking, figures.

    python -m benchmarks.backtest [--customers 24000] [--history FOLDER] [--json FILE]

The command runs in a process of its own with one more for each core. CPU seconds are of all of them.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from domain.json_file import add_json, write_json
from training.simulator import WorldSettings, simulate, write

STARTER = Path(__file__).parents[1] / "serving" / "starter_rules.toml"
DAYS = 60
WITHIN_S = 120
"""What a backtest of a million operations may take on two cores."""


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--customers", type=int, default=24_000, help="of the simulated world; 43 operations each")
    parser.add_argument("--history", type=Path, help="a canonical history in its place")
    add_json(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="burana-backtest-") as folder:
        history = arguments.history or _simulated(arguments.customers, Path(folder) / "history")
        figures = measured(history, Path(folder) / "report.json")
    for name, value in figures.items():
        print(f"{name:24} {value}")
    write_json(arguments.json, figures | {"machine": machine("cel-expr-python", "numpy", "pyarrow")})


def _simulated(customers: int, folder: Path) -> Path:
    write(simulate(WorldSettings(customers=customers, days=DAYS)), folder)
    return folder


def measured(history: Path, report: Path) -> dict[str, Any]:
    """What one run of the command took, and of what."""
    command = [sys.executable, "-m", "serving.cli", "rules", "backtest", str(STARTER), "--history", str(history)]
    before, began = _children(), time.perf_counter()
    subprocess.run([*command, "--json", str(report)], check=True, stdout=subprocess.DEVNULL)
    seconds, used = time.perf_counter() - began, _children()
    told = json.loads(report.read_text())
    return {
        "operations": told["operations"], "rules": len(told["rules"]), "frauds": told["frauds"],
        "stopped": told["with_rules"]["stopped"], "resamples": told["asked"]["resamples"],
        "seconds": round(seconds, 1), "cpu_seconds": round(used - before, 1),
        "us_of_cpu_an_operation": round(1e6 * (used - before) / told["operations"], 1),
        "largest_process_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "within_two_minutes": seconds <= WITHIN_S,
    }  # fmt: skip


def _children() -> float:
    """CPU seconds of processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
