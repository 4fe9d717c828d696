"""Train a model on a history and write its bundle."""

import argparse
import resource
from datetime import timedelta
from pathlib import Path

from domain.bundle import Manifest
from domain.errors import SettingsError
from domain.instants import parse_day_or_instant
from domain.json_file import add_json, write_json
from training import champions
from training.fit_arguments import add_boosting, add_policy, boosting_of, policy_of, search_of
from training.pipeline import FitSettings
from training.promote_command import announce
from training.train import Report, TrainSettings, train

MOST_DAYS, MOST_SEED = 36_500, 2**31 - 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--history", type=Path, required=True, help="folder of a canonical history")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder that takes the bundle")
    parser.add_argument("--mlflow", default="sqlite:///mlflow.db", help="tracking store: sqlite:///FILE or a server's URL")
    parser.add_argument("--from", dest="start", type=parse_day_or_instant, help="first day or instant (UTC) to train on")
    parser.add_argument("--to", dest="end", type=parse_day_or_instant, help="first day or instant after it")
    parser.add_argument("--as-of", type=parse_day_or_instant, help="only outcomes known by then are labels; default: --to")
    parser.add_argument("--delay-days", type=float, default=7, help="days until silence counts as legitimate")
    parser.add_argument(
        "--warm-up-days", type=float, default=30, help="without --from, so many first days of the history are not trained on"
    )
    parser.add_argument("--profiles", action="store_true", help="the model reads daily profiles too")
    parser.add_argument("--seed", type=int, default=1)
    add_boosting(parser)
    add_policy(parser)
    search = parser.add_argument_group("search for better ways of growing trees")
    search.add_argument("--trials", type=int, help="trials in all, those of earlier runs on the same data included")
    search.add_argument("--search-seconds", type=float, default=1_800, help="no new trial after so long")
    search.add_argument(
        "--search-file", type=Path, default=Path("search.db"), help="keeps the trials; a search goes on from it"
    )
    parser.add_argument("--champion", action="store_true", help="serve this bundle from now on, compared with nothing")
    parser.add_argument("--by", default="", help="the responsible person (R109), with --champion")
    parser.add_argument("--reason", default="trained to be the champion", help="why (R111), with --champion")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, print the figures, name the champion if asked or if there is none."""
    if arguments.champion and not arguments.by.strip():
        raise SettingsError("--champion changes what is served and needs --by PERSON; `burana promote` compares first")
    by = arguments.by or "burana train"
    champions.check_said(by, arguments.reason)
    arguments.models.mkdir(parents=True, exist_ok=True)
    bundle, manifest, report = train(arguments.history, arguments.models, arguments.mlflow, _settings(arguments))
    before = champions.in_force(arguments.models)
    if arguments.champion or before is None:
        promotion = champions.promote(
            arguments.models, manifest.version, by, arguments.reason, expected=before, override=before is not None
        )
        announce(promotion, arguments.models, arguments.mlflow)
    figures = _figures(manifest, report)
    _print(bundle, manifest, figures)
    write_json(arguments.json, figures)
    return 0


def _settings(arguments: argparse.Namespace) -> TrainSettings:
    for name in ("delay_days", "warm_up_days"):
        if not 0 <= getattr(arguments, name) <= MOST_DAYS:
            raise SettingsError(f"--{name.replace('_', '-')}: seen {getattr(arguments, name)}, allowed 0 to {MOST_DAYS}")
    if not 0 <= arguments.seed <= MOST_SEED:
        raise SettingsError(f"--seed: seen {arguments.seed}, allowed 0 to {MOST_SEED}")
    return TrainSettings(
        start=arguments.start, end=arguments.end, as_of=arguments.as_of, delay=timedelta(days=arguments.delay_days),
        warm_up=timedelta(days=arguments.warm_up_days), profiles=arguments.profiles, search=search_of(arguments),
        fit=FitSettings(boosting=boosting_of(arguments), seed=arguments.seed, policy=policy_of(arguments)),
    )  # fmt: skip


def _figures(manifest: Manifest, report: Report) -> dict[str, object]:
    """Every figure of a run; `outside_over_fit`: seconds of everything but growing trees, over those of growing."""
    growing = report.seconds["search"] + report.seconds["fit"]
    return {
        "metrics": report.metrics, "seconds": report.seconds, "parity": manifest.parity,
        "outside_over_fit": (sum(report.seconds.values()) - growing) / growing,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "version": manifest.version, "medium": manifest.thresholds.medium, "high": manifest.thresholds.high,
    }  # fmt: skip


def _print(bundle: Path, manifest: Manifest, figures: dict[str, object]) -> None:
    for name, value in manifest.metrics.items():
        print(f"{name:32} {value:>14,.6g}")
    for name, count in manifest.parity.items():
        print(f"parity {name:25} {count:>14,}")
    seconds = figures["seconds"]
    assert isinstance(seconds, dict)
    stages = "  ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    print(f"seconds  {stages}  outside/fit {figures['outside_over_fit']:.2f}  peak {figures['peak_mib']:,.0f} MiB")
    print(manifest.thresholds_argument)
    print(f"bundle   {bundle}")
