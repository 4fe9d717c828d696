"""What contributions cost, beside LightGBM's own of the same booster: one vector at a time, one thread, CPU seconds.

    python -m benchmarks.contributions [--trees 173 --leaves 31] [--json FILE]

Grown on random columns, so that figures say something about size alone.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np

from domain.json_file import add_json, write_json
from training.contributions import contributions_of
from training.export import Platt

ROWS, COLUMNS, ASKED = 50_000, 188, 100
ROUNDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trees", type=int, default=173)
    parser.add_argument("--leaves", type=int, default=31)
    add_json(parser)
    arguments = parser.parse_args()
    figures = measure(arguments.trees, arguments.leaves)
    for name, value in figures.items():
        print(f"{name:32} {value:12,.6g}")
    write_json(arguments.json, figures)


def measure(trees: int, leaves: int) -> dict[str, float]:
    """Microseconds a vector, the lowest of ROUNDS rounds that take turns; bytes; the largest difference in log odds."""
    booster, rows = _grown(trees, leaves)
    contributions = contributions_of(booster, Platt(1, 0))
    theirs = np.asarray(booster.predict(rows, pred_contrib=True, num_threads=1))[:, :-1]
    calls: dict[str, Callable[[Any], Any]] = {
        "contributions, us": contributions.of,
        "LightGBM pred_contrib, us": lambda row: booster.predict(row[None], pred_contrib=True, num_threads=1),
    }
    rounds = [[_cpu_us(call, rows) for call in calls.values()] for _ in range(ROUNDS)]
    return {
        **dict(zip(calls, np.min(rounds, axis=0).tolist(), strict=True)), "nodes": len(contributions.nodes),
        "bytes": len(contributions.encode()), "largest difference, log odds": float(np.abs(contributions.of_many(rows) - theirs).max()),
        "most features on a path": int(contributions.nodes["asked"].max()),
    }  # fmt: skip


def _cpu_us(call: Callable[[Any], Any], rows: Any) -> float:
    began = time.process_time()
    for row in rows:
        call(row)
    return (time.process_time() - began) / len(rows) * 1e6


def _grown(trees: int, leaves: int) -> tuple[lgb.Booster, Any]:
    """A booster of so many trees with so many leaves, and ASKED vectors."""
    random = np.random.default_rng(1)
    matrix = random.lognormal(size=(ROWS, COLUMNS))
    matrix[random.random(matrix.shape) < 0.2] = np.nan
    odds = np.nansum(np.log(matrix[:, :30]) * random.normal(size=30), axis=1)
    labels = random.random(ROWS) < 1 / (1 + np.exp(3 - odds))
    settings = {"objective": "binary", "num_leaves": leaves, "learning_rate": 0.05, "feature_fraction": 0.5, "min_data_in_leaf": 50,
                "num_threads": 2, "verbosity": -1, "seed": 1}  # fmt: skip
    booster = lgb.train(settings, lgb.Dataset(matrix, labels.astype(int), params={"verbosity": -1}), trees)
    return booster, matrix[:ASKED]


if __name__ == "__main__":
    main()
