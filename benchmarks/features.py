"""The feature engine beside DuckDB and Polars on generated operations: one run, one table, one JSON.

    python benchmarks/features.py [--rows 5000000] [--skip large,duckdb] [--json FILE]

CPU seconds count, of all threads: ours runs on one. Our set is computed in the order of arrival, slice by slice, and entity
by entity. Each part runs in a process of its own, and before each, ours or a peer's, memory is touched and freed, so that
none pays for what the machine's host hands out. The kernel and the writing of its matrix run twice in turns, slice by slice,
and the better round of each counts; all others run once. Every value that a peer gives is compared with ours. What is counted
for a peer: windows, sums and values of each declared feature that it can express, in the order of operations, as the matrix
has them; what is not: loading, and the columns derived from kind, amount and time. Feast's join of daily profiles stands
beside Polars' of the same files, with the rates of its online stores.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    # this file's folder must not be searched first: its own name is that of the package that it measures
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    runpy.run_module("benchmarks.feature_engine", run_name="__main__")
