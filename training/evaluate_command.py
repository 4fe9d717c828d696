"""Measure honestly what a model would have caught and whom it would have stopped: by folds over time, or a bundle as it is."""

import argparse
import math
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.errors import SettingsError
from domain.instants import parse_day_or_instant
from domain.json_file import add_json, write_json
from training.baselines import BASELINES
from training.boosting import Boosting
from training.evaluate import BOOK, DECLARED, LIGHTGBM, Evaluation, evaluate_bundle, evaluate_folds
from training.fit_arguments import add_boosting, add_search, boosting_of, search_of
from training.protocols import Prequential

STOPS = {
    "alerts": "the {} highest scores of a day",
    "medium": "medium and high (verified or rejected)",
    "high": "high (rejected)",
}
CAUGHT = {"recall": "fraud caught", "value_recall": "fraud caught, by money", "precision": "fraud among the stopped",
          "false_positive_rate": "genuine operations stopped", "stopped_a_day": "operations stopped a day"}  # fmt: skip

OF_FOLDS = ("model", "features", "profiles", "train_days", "test_days", "drop_compromised", "validate", "trials", "search_seconds",
            "search_file", *Boosting().figures())  # fmt: skip
"""Arguments that say what is trained and how folds are cut: of no use where a bundle is tested as it is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--history", type=Path, required=True, help="folder of a canonical history")
    parser.add_argument("--protocol", choices=("prequential",), default="prequential", help="how folds are cut")
    parser.add_argument("--starts", type=_days, help="first days of the folds' training weeks, as 2018-07-25,2018-08-01")
    parser.add_argument("--train-days", type=int, default=7, help="of training, up to the end of the training week")
    parser.add_argument("--delay-days", type=int, default=7, help="until a label counts, in training and for the drop rule")
    parser.add_argument("--test-days", type=int, default=7)
    parser.add_argument("--drop-compromised", action="store_true", help="customers known to be compromised are not tested")
    parser.add_argument("--model", choices=(LIGHTGBM, *BASELINES), default=LIGHTGBM, help="the pipeline's, or a baseline")
    parser.add_argument(
        "--features", choices=(DECLARED, BOOK), default=DECLARED, help="book: the Handbook's 15, for baselines"
    )
    parser.add_argument("--profiles", action="store_true", help="the model reads daily profiles too")
    parser.add_argument("--matrix", type=Path, help="file of `burana features --out`, instead of computing the vectors")
    add_boosting(parser)
    add_search(parser)
    parser.add_argument("--validate", type=_days, help="starts of the folds that a search (--trials) is measured on")
    parser.add_argument("--bundle", type=Path, help="test this bundle as it is, on --from to --to; no folds")
    parser.add_argument("--from", dest="start", type=parse_day_or_instant, help="bundle: first day or instant (UTC)")
    parser.add_argument("--to", dest="end", type=parse_day_or_instant, help="bundle: first day or instant after it")
    parser.add_argument("--alerts-per-day", type=int, default=100, help="operations that people can verify a day")
    parser.add_argument("--bootstrap", type=int, default=1_000, help="resamples of customers for the intervals; 0: none")
    parser.add_argument("--seed", type=int, default=1)
    add_json(parser)
    parser.set_defaults(usual={name: parser.get_default(name) for name in OF_FOLDS})


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print a table, write all of it to --json."""
    _check(arguments)
    protocol = Prequential(arguments.train_days, arguments.delay_days, arguments.test_days, arguments.drop_compromised)
    settings = Evaluation(
        protocol, arguments.model, arguments.features, arguments.profiles, arguments.matrix,
        arguments.alerts_per_day, arguments.bootstrap, arguments.seed, boosting_of(arguments), tuple(arguments.validate or ()),
        search_of(arguments),
    )  # fmt: skip
    if arguments.bundle is None:
        found = evaluate_folds(arguments.history, arguments.starts, settings)
    else:
        found = evaluate_bundle(arguments.history, arguments.bundle, arguments.start, arguments.end, settings)
    print(table(found, arguments.alerts_per_day))
    write_json(arguments.json, found)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """SettingsError for arguments that would be passed over in silence."""
    if (arguments.bundle is None) == (arguments.starts is None):
        raise SettingsError("name --starts for folds, or --bundle with --from and --to, and not both")
    for name in ("starts", "validate"):
        days = getattr(arguments, name) or []
        if len(set(days)) < len(days):
            seen = ", ".join(f"{day:%Y-%m-%d}" for day in days)
            raise SettingsError(f"--{name}: seen {seen}, allowed: each day once, or its fold would count twice")
    if arguments.bundle is None:
        given, other = {"from": arguments.start, "to": arguments.end}, "a bundle (--bundle)"
    else:
        given, other = {name: getattr(arguments, name) != arguments.usual[name] for name in OF_FOLDS}, "folds (--starts)"
    if vain := [f"--{name.replace('_', '-')}" for name, value in given.items() if value]:
        raise SettingsError(f"{', '.join(vain)}: of {other} alone, and would change nothing here; leave them out")


def table(found: dict[str, Any], alerts: int) -> str:
    """The figures in words, a line each: mean, its 95% interval, standard deviation over folds, and every fold."""
    lines = [*map(_heading, found["folds"]), "", _line("", ["mean", "95% interval", "sd", *map(_name, found["folds"])])]
    for title, names in _sections(found["mean"], alerts):
        lines += ["", title, *(_line(f"  {words}", _cells(found, name, share)) for name, words, share in names)]
    return "\n".join([*lines, *_by_scheme(found["folds"], alerts)])


def _heading(fold: dict[str, Any]) -> str:
    trained = ""
    if "train_from" in fold:
        trained = (
            f"trained {_span(fold, 'train')} on {fold['train_operations']:,} operations, {fold['train_frauds']:,} fraud; "
        )
    tested = f"tested {_span(fold, 'test')} on {fold['test_operations']:,}, {fold['test_frauds']:,} fraud"
    argument = f"\n  {fold['thresholds_argument']}" if fold.get("thresholds_argument") else ""
    return f"{_name(fold)}: {trained}{tested}{argument}"


def _span(fold: dict[str, Any], part: str) -> str:
    return f"{fold[f'{part}_from']} to {fold[f'{part}_to']}"


def _name(fold: dict[str, Any]) -> str:
    return str(fold.get("start", "bundle"))


def _sections(mean: dict[str, Any], alerts: int) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Titles, and under each the figures: name, words, whether it is a share that reads as a percentage."""
    rates = [name for name in mean if name.startswith("recall_at_fpr_")]
    ranked = [("auc", "AUC: a fraud scores above a genuine operation", False), ("ap", "average precision", False),
              ("cp100", "defrauded among the 100 highest customers a day (CP@100)", False), ("cp100_max", "  at most", False)]  # fmt: skip
    at_rates = [(name, f"fraud caught, stopping {float(name[14:]):.2%} of the genuine", True) for name in rates]
    sections = [("How well scores rank", [*ranked, *at_rates])]
    for key, words in STOPS.items():
        prefix, title = (f"alerts_{alerts}", words.format(alerts)) if key == "alerts" else (key, words)
        stopped = [(f"{prefix}_{name}", said, name != "stopped_a_day") for name, said in CAUGHT.items()]
        sections += [(f"Stopped: {title}", stopped)] if f"{prefix}_recall" in mean else []
    calibrated = [("calibration_error", "expected calibration error", False), ("brier", "Brier score", False),
                  ("scores_over_frauds", "frauds that scores expect / frauds", False)]  # fmt: skip
    return [*sections, ("Scores as probabilities", calibrated)]


def _cells(found: dict[str, Any], name: str, share: bool) -> list[str]:
    low, high = found["intervals"].get(name, (None, None))
    of_folds = [_number(fold[name], share) for fold in found["folds"]]
    between = "" if low is None else f"{_number(low, share)} - {_number(high, share)}"
    return [_number(found["mean"][name], share), between, _number(found["sd"][name], share), *of_folds]


def _number(value: float | None, share: bool) -> str:
    if value is None or math.isnan(value):
        return "-"
    if share:
        return f"{value:.2%}" if value < 0.1 else f"{value:.1%}"
    return f"{value:,.0f}" if value >= 10 else f"{value:.4f}"


def _line(words: str, cells: list[str]) -> str:
    widths = [10, 20, 10, *[12] * (len(cells) - 3)]
    return f"{words:62}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _by_scheme(folds: list[dict[str, Any]], alerts: int) -> list[str]:
    """Fraud caught by scheme and by kind, where the history knows more than one."""
    stop = "medium" if folds[0]["thresholds"] else f"alerts_{alerts}"
    lines = []
    for key, words in (("by_scheme", "scheme"), ("by_kind", "kind of operation")):
        names = sorted({name for fold in folds for name in fold[key]})
        if len(names) > 1:
            lines += ["", f"Fraud caught ({stop.replace('_', ' ')}), by {words}: frauds of all tests, then every test"]
            lines += [
                _line(f"  {name}", ["", f"{_frauds(folds, key, name):,}", "", *_recalls(folds, key, name, stop)])
                for name in names
            ]
    return lines


def _frauds(folds: list[dict[str, Any]], key: str, name: str) -> int:
    return sum(fold[key].get(name, {}).get("frauds", 0) for fold in folds)


def _recalls(folds: list[dict[str, Any]], key: str, name: str, stop: str) -> list[str]:
    return [_number(fold[key].get(name, {}).get(f"{stop}_recall"), True) for fold in folds]


def _days(text: str) -> list[datetime]:
    return [parse_day_or_instant(day.strip()) for day in text.split(",")]
