"""Check and load rule sets, and show the live one."""

import argparse
from pathlib import Path

from casework import database, rule_sets
from domain.errors import RuleError
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving.rules import Rules
from serving.settings import DATABASE_FILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    home = argparse.ArgumentParser(add_help=False)
    home.add_argument("--home", type=Path, default=Path("data"), help="folder of the database")
    actions = parser.add_subparsers(dest="action", required=True)
    check = actions.add_parser("check", parents=[home], help="check the types of a set without loading it")
    load = actions.add_parser("load", parents=[home], help="make a set the live one")
    for action in (check, load):
        action.add_argument("file", type=Path, help="rules in TOML")
    load.add_argument("--by", required=True, help="the responsible person (R109)")
    load.add_argument("--reason", required=True, help="why (R111)")
    actions.add_parser("show", parents=[home], help="the live set")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; a running server follows within a second."""
    names = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS)).names
    if arguments.action == "check":
        print(f"{len(Rules(_content(arguments.file), names).rules)} rules are well typed")
        return 0
    connection = database.existing(arguments.home / DATABASE_FILE)
    try:
        if arguments.action == "load":
            content = _content(arguments.file)
            Rules(content, names)
            print(f"rules-{rule_sets.load(connection, content, arguments.by, arguments.reason)}")
        else:
            stored = rule_sets.live(connection)
            if stored is None:
                raise RuleError("no set is loaded yet; the server loads its starter set when it first starts")
            print(stored.content)
    finally:
        connection.close()
    return 0


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{file} cannot be read: {error}") from error
