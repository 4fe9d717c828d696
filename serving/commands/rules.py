"""Check and load rule sets, and show the live one."""

import argparse
from pathlib import Path

from casework import database as databases
from casework import rule_sets
from domain.errors import RuleError
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving import place
from serving.commands import rule_backtest, rule_shadow, rule_test
from serving.rules import Rules

TRIALS = {"test": rule_test, "backtest": rule_backtest, "shadow-report": rule_shadow}
"""Actions that show what rules do and did, a module each; none changes anything."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    home = argparse.ArgumentParser(add_help=False)
    place.add_home(home)
    actions = parser.add_subparsers(dest="action", required=True)
    check = actions.add_parser("check", parents=[home], help="check the types of a set without loading it")
    load = actions.add_parser("load", parents=[home], help="make a set the live one")
    for action in (check, load):
        action.add_argument("file", type=Path, help="rules in TOML")
    load.add_argument("--by", required=True, help="the responsible person (R109)")
    load.add_argument("--reason", required=True, help="why (R111)")
    actions.add_parser("show", parents=[home], help="the live set")
    for name, module in TRIALS.items():
        text = (module.__doc__ or "").strip()
        module.add_arguments(actions.add_parser(name, parents=[home], help=text[0].lower() + text[1:], description=text))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; a running server follows within a second."""
    if (trial := TRIALS.get(arguments.action)) is not None:
        return int(trial.run(arguments))
    names = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS)).names
    if arguments.action == "check":
        print(f"{len(Rules(_content(arguments.file), names).rules)} rules are well typed")
        return 0
    with databases.existing(place.database_of(arguments)) as database:
        if arguments.action == "load":
            content = _content(arguments.file)
            Rules(content, names)
            print(f"rules-{rule_sets.load(database, content, arguments.by, arguments.reason)}")
        else:
            stored = rule_sets.live(database)
            if stored is None:
                raise RuleError("no set is loaded yet; the server loads its starter set when it first starts")
            print(stored.content)
    return 0


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{file} cannot be read: {error}") from error
