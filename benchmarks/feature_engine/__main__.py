"""The command: run the parts, print the table, write the JSON."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.feature_engine import report
from benchmarks.feature_engine.parts import PARTS, Sizes, run_apart, run_here
from benchmarks.machine import machine
from domain.json_file import add_json, write_json

PACKAGES = ("numpy", "numba", "pyarrow", "duckdb", "polars", "feast")


def main() -> None:
    """Measure, print, write."""
    arguments = _arguments()
    sizes = Sizes(arguments.rows, arguments.large_rows, arguments.singles)
    if arguments.part:
        figures = run_here(arguments.part, sizes, arguments.folder)
    else:
        figures = measure(sizes, arguments.skip, run_apart, arguments.folder)
        print(report.table(figures))
    write_json(arguments.json, figures)


def measure(
    sizes: Sizes, skip: list[str], run: Callable[[str, Sizes, Path], dict[str, Any]], folder: Path | None = None
) -> dict[str, Any]:
    """The figures of every part but those that are skipped, `duckdb` with `duckdb_values`; `run` runs one part."""
    names = [name for name in PARTS if name.partition("_")[0] not in skip]
    with tempfile.TemporaryDirectory(prefix="features_benchmark_", dir=folder) as kept:
        parts = {name: run(name, sizes, Path(kept)) for name in names}
    return report.figures_of(parts, sizes.rows, sizes.large_rows) | {"machine": machine(*PACKAGES)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/features.py", description="The feature engine beside named peers.")
    parser.add_argument("--rows", type=int, default=Sizes.rows, help="generated operations")
    parser.add_argument("--large-rows", type=int, default=Sizes.large_rows, help="of the part that shows how cost grows")
    parser.add_argument("--singles", type=int, default=Sizes.singles, help="operations one at a time")
    parser.add_argument("--skip", type=lambda text: text.split(","), default=[], help="parts left out, such as large,feast")
    parser.add_argument("--folder", type=Path, help="where peers' columns are kept meanwhile (about 9 GB at 5M)")
    add_json(parser)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
