"""The served endpoint beside its peers: one run, one table, one JSON.

    python benchmarks/serving.py [--quick] [--postgresql] [--soak] [--json FILE]

Every server runs alone in its turn on core 0, started by its real command; the generator sends from core 1. Rounds of ours and
of the peers alternate, so that a machine that drifts does so for all. A figure is a ratio within one run.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    # this file's folder must not be searched first: its own name is that of the package that it measures
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    runpy.run_module("benchmarks.endpoint", run_name="__main__")
