"""Say what rules, thresholds and a list would have done to recorded operations, as of then."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from casework import database as databases
from casework.ledger import reading
from domain import instants
from domain.errors import RuleError, SettingsError
from domain.json_file import add_json, write_json
from domain.levels import Thresholds
from domain.rules import Rule
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving import chosen_rules, place, scoring
from serving.backtest import listed
from serving.backtest.asking import Trial
from serving.backtest.figures import Costs
from serving.backtest.of_history import HistorySource
from serving.backtest.of_ledger import LedgerSource
from serving.backtest.recorded import Source
from serving.backtest.report import Asked, Report, moment, report
from serving.backtest.table import SOM, table
from serving.backtest.trying import heard
from serving.commands.span import add_span, as_of_of, check_span, period_of, within
from serving.rule_language import names_in, written_out
from serving.settings import Settings
from serving.templates import completed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's arguments."""
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="rules in TOML (default: the set in force); every one is tried as if it were live",
    )
    parser.add_argument(
        "--rule", action="append", metavar="ID", help="try this one alone, a draft that was saved too; may be repeated"
    )
    parser.add_argument("--without", action="append", default=[], metavar="ID", help="leave this one out; may be repeated")
    parser.add_argument("--history", type=Path, help="folder of a canonical history, in place of the ledger in --home")
    add_span(parser)
    parser.add_argument("--thresholds", metavar="MEDIUM,HIGH", help="scores from which operations would be medium and high")
    parser.add_argument(
        "--list", type=Path, help="CSV (kind, value, list): identifiers as if they had been prohibited or watched"
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles")
    parser.add_argument(
        "--model", metavar="VERSION", help="with --history: the bundle that gives scores where none were recorded"
    )
    parser.add_argument(
        "--analyst-som", type=float, default=Costs().analyst / SOM, help="what one verification costs (default: %(default)g)"
    )
    parser.add_argument(
        "--friction-som",
        type=float,
        default=Costs().friction / SOM,
        help="what stopping a genuine customer costs (default: %(default)g)",
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes that ask the rules (default: one a core)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the figures; nothing is changed, and a running server is not disturbed."""
    _check(arguments)
    found = backtest(arguments)
    for line in table(found):
        print(line)
    write_json(arguments.json, found)
    return 0


def backtest(arguments: argparse.Namespace) -> Report:
    """The report of what the arguments ask."""
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    features = FeatureSet(plan).names
    rules = tuple(completed(_rules(arguments), features))
    used = names_in([written_out(rule) for rule in rules])
    names = tuple(name for name in features if name in used)
    with _source(arguments, plan, names) as (source, trial_thresholds, limit):
        settings = Settings(home=arguments.home)
        on_list = None if arguments.list is None else listed.read(arguments.list, settings.identifiers())
        trial = Trial(rules, names, _thresholds(arguments.thresholds) or trial_thresholds, on_list, limit)
        asked = _asked(arguments, source)
        delay = round(arguments.delay_days * instants.DAY)
        everything = heard(source, trial, delay, period_of(arguments), arguments.workers)
    return report(everything, asked, arguments.list is not None)


def _rules(arguments: argparse.Namespace) -> tuple[Rule, ...]:
    """The rules on trial; RuleError names an id that no rule has."""
    named, left_out = arguments.rule or [], set(arguments.without)
    if arguments.files:
        rules = [rule for file in arguments.files for rule in chosen_rules.of_file(file)]
        if unknown := sorted((left_out | set(named)) - {rule.id for rule in rules}):
            raise RuleError(f"no rule {', '.join(unknown)}; there are {', '.join(rule.id for rule in rules)}")
        chosen = [rule for rule in rules if rule.id in named] if named else chosen_rules.tried(rules)
    else:
        with databases.existing(place.database_of(arguments)) as database:
            chosen = [chosen_rules.of_id(database, name) for name in named] if named else chosen_rules.in_force(database)
    return tuple(rule for rule in chosen if rule.id not in left_out)


@contextmanager
def _source(
    arguments: argparse.Namespace, plan: Plan, names: tuple[str, ...]
) -> Iterator[tuple[Source, Thresholds | None, int | None]]:
    """Where the operations come from, the thresholds of the scores that are made anew, and the limit of checks that were not recorded."""
    start, end = period_of(arguments)
    as_of = as_of_of(arguments)
    if arguments.history is None:
        with reading(place.database_of(arguments)) as ledger:
            yield LedgerSource(ledger, plan, names, start, end, as_of), None, None
        return
    model = None if arguments.model is None else scoring.load(arguments.models / arguments.model, plan)
    history = histories.read(arguments.history)
    source = HistorySource(history, plan, names, start, end, as_of, model)
    limit = Settings(home=arguments.home).limit_tyiyn if history.decisions is None else None
    yield source, None if model is None else model.thresholds, limit


def _asked(arguments: argparse.Namespace, source: Source) -> Asked:
    where = str(arguments.history) if arguments.history else databases.masked(place.database_of(arguments))
    costs = Costs(arguments.analyst_som * SOM, arguments.friction_som * SOM)
    return Asked(where, moment(source.as_of), arguments.delay_days, arguments.resamples, arguments.seed, costs)


def _thresholds(text: str | None) -> Thresholds | None:
    if text is None:
        return None
    try:
        medium, high = map(float, text.split(","))
    except ValueError:
        raise SettingsError(f"--thresholds: seen {text!r}, allowed two numbers such as 0.2,0.8") from None
    return Thresholds(medium, high)


def _check(arguments: argparse.Namespace) -> None:
    check_span(arguments)
    within("--workers", arguments.workers, 1, 256)
    within("--analyst-som", arguments.analyst_som, 0, 1e6)
    within("--friction-som", arguments.friction_som, 0, 1e6)
    if arguments.model is not None and arguments.history is None:
        raise SettingsError("--model: a ledger has the scores that were given; it goes with --history")
