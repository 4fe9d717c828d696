"""Train a model on a history and write its bundle."""

import argparse
import json
import resource
from datetime import timedelta
from pathlib import Path

from domain.errors import SettingsError
from domain.instants import parse_day_or_instant
from training import bundles, tracking
from training.thresholds import Capacity
from training.train import Report, TrainSettings, train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--history", type=Path, required=True, help="folder of a canonical history")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder that takes the bundle")
    parser.add_argument("--mlflow", default="sqlite:///mlflow.db", help="tracking store: sqlite:///FILE or a server's URL")
    parser.add_argument("--from", dest="start", type=parse_day_or_instant, help="first day or instant (UTC) to train on")
    parser.add_argument("--to", dest="end", type=parse_day_or_instant, help="first day or instant after it")
    parser.add_argument("--as-of", type=parse_day_or_instant, help="only outcomes known by then are labels; default: --to")
    parser.add_argument("--delay-days", type=float, default=7, help="days until silence counts as legitimate")
    parser.add_argument("--trees", type=int, default=500, help="at most so many trees")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alerts-per-1000", type=float, default=5.0, help="operations of 1000 that can be verified")
    parser.add_argument("--high-precision", type=float, default=0.9, help="precision that rejecting requires, 0 to 1")
    parser.add_argument("--profiles", action="store_true", help="the model reads daily profiles too")
    parser.add_argument("--champion", action="store_true", help="serve this bundle from now on")
    parser.add_argument("--json", type=Path, help="write every printed figure")


def run(arguments: argparse.Namespace) -> int:
    """Train, print the figures, name the champion if asked or if there is none."""
    if arguments.delay_days < 0:
        raise SettingsError(f"--delay-days: seen {arguments.delay_days}, allowed 0 and more")
    settings = TrainSettings(
        start=arguments.start, end=arguments.end, as_of=arguments.as_of, delay=timedelta(days=arguments.delay_days),
        seed=arguments.seed, trees=arguments.trees, profiles=arguments.profiles,
        capacity=Capacity(alerts_per_1000=arguments.alerts_per_1000, high_precision=arguments.high_precision),
    )  # fmt: skip
    arguments.models.mkdir(parents=True, exist_ok=True)
    bundle, manifest, report = train(arguments.history, arguments.models, arguments.mlflow, settings)
    if arguments.champion or not (arguments.models / "CHAMPION").exists():
        bundles.set_champion(arguments.models, manifest.version)
        tracking.set_champion(arguments.mlflow, manifest.version)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _print(bundle, manifest.thresholds_argument, manifest.parity, report, peak_mib)
    if arguments.json:
        figures = {"metrics": report.metrics, "seconds": report.seconds, "parity": manifest.parity, "peak_mib": peak_mib,
                   "version": manifest.version, "medium": manifest.thresholds.medium, "high": manifest.thresholds.high}  # fmt: skip
        arguments.json.write_text(json.dumps(figures, indent=1))
    return 0


def _print(bundle: Path, argument: str, parity: dict[str, int], report: Report, peak_mib: float) -> None:
    for name, value in report.metrics.items():
        print(f"{name:28} {value:>14,.6g}")
    for name, count in parity.items():
        print(f"parity {name:21} {count:>14,}")
    print(
        "seconds  "
        + "  ".join(f"{name} {value:.1f}" for name, value in report.seconds.items())
        + f"  peak {peak_mib:,.0f} MiB"
    )
    print(argument)
    print(f"bundle   {bundle}")
