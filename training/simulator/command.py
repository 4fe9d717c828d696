"""Make a payment world with customers, habits and fraud actors, and write it as a canonical history.

A simulated world shows that the way from history to bundle works and gives stress tests their attacks; a score on it is a
fact about the simulator, never about the quality of detection.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from domain import instants
from domain.json_file import add_json, write_json
from training.simulator.settings import WorldSettings
from training.simulator.simulation import STEPS, SimulatedHistory, simulate, write

CAVEAT = "This is a simulated world: scores on it are facts about the simulator, never a measure of quality."

Figures = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `burana simulate`."""
    usual = WorldSettings()
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="new folder for the history and truth.parquet"
    )
    parser.add_argument("--customers", type=int, default=usual.customers, help="how many customers (default %(default)s)")
    parser.add_argument("--days", type=int, default=usual.days, help="how many days (default %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=usual.seed, help="the same seed gives the same files (default %(default)s)"
    )
    parser.add_argument(
        "--start", default="2026-01-01", help="first day, or an instant with its offset (default %(default)s)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Simulate, write, and say what was made."""
    start = instants.parse_day_or_instant(arguments.start)
    settings = WorldSettings(seed=arguments.seed, customers=arguments.customers, days=arguments.days, start=start)
    began = time.perf_counter()
    with tqdm(total=len(STEPS) + 1, desc="simulate", unit="step") as bar:
        simulated = simulate(settings, lambda step: (bar.set_postfix_str(step), bar.update()))
        write(simulated, arguments.out)
        bar.update()
    made = figures(simulated) | {"seconds": round(time.perf_counter() - began, 2), "caveat": CAVEAT}
    print(table(made))
    write_json(arguments.json, made)
    return 0


def figures(simulated: SimulatedHistory) -> Figures:
    """Counts and shares of a world: by kind, by type of event, and by scheme what was done, reported and known."""
    history = simulated.history
    operations, events = pl.DataFrame(history.operations), pl.DataFrame(history.events)
    outcomes, truth = pl.DataFrame(history.outcomes), pl.DataFrame(simulated.truth)
    fraud = truth.filter(pl.col("scheme").is_not_null())
    # a customer who does not remember his own payment is no fraud that became known
    known = outcomes.filter(pl.col("verdict") == "fraud").join(fraud, on="operation_id", how="semi")
    return {
        "operations": _counts(operations["kind"]),
        "events": _counts(events["type"]),
        "outcomes": _counts(outcomes["verdict"]),
        "fraud": _counts(fraud["scheme"]),
        "fraud_reported": _counts(fraud.filter("reported")["scheme"]),
        "fraud_known": _counts(known["scheme"]),
        "fraud_share": len(fraud) / max(1, len(truth)),
        "unreported_share": 1 - fraud["reported"].sum() / max(1, len(fraud)),
        "habitual_share": fraud["habitual"].sum() / max(1, len(fraud)),
    }


def _counts(column: pl.Series) -> dict[str, int]:
    """How often each word stands in the column, in alphabetical order, and `all`."""
    counted = column.value_counts().sort(column.name)
    return {"all": len(column), **dict(counted.iter_rows())}


def table(made: Figures) -> str:
    """The figures for people."""
    lines: list[str] = []
    for title in ("operations", "events", "outcomes"):
        lines += [f"{title:<34}{made[title]['all']:>12,}", *_rows(made[title])]
    lines.append(f"{'fraud by scheme':<34}{'operations':>12}{'reported':>12}{'known':>12}")
    columns = [made[name] for name in ("fraud", "fraud_reported", "fraud_known")]
    for scheme in columns[0]:
        lines.append(f"  {scheme:<32}" + "".join(f"{column.get(scheme, 0):>12,}" for column in columns))
    for share in ("fraud_share", "unreported_share", "habitual_share"):
        lines.append(f"{share.replace('_', ' '):<34}{made[share]:>12.2%}")
    return "\n".join([*lines, f"{'seconds':<34}{made['seconds']:>12}", made["caveat"]])


def _rows(counted: dict[str, int]) -> list[str]:
    return [f"  {word:<32}{count:>12,}" for word, count in counted.items() if word != "all"]
