"""Show what a rule does to one operation, step by step, and the decision with it and without it."""

import argparse
from pathlib import Path

import msgspec

from casework import database as databases
from casework.database import Database
from casework.ledger import Ledger
from domain.errors import InputError
from domain.json_file import add_json, write_json
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving import chosen_rules
from serving import settings as configuration
from serving.asked_now import asked_now
from serving.contracts import OPERATION
from serving.decision_replay import Then, asked_then
from serving.hearing import Question
from serving.rule_trial import lines, tested
from serving.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's arguments."""
    parser.add_argument(
        "rule", metavar="FILE|ID", help="a file with one rule in TOML, or the id of a rule that was saved or runs"
    )
    parser.add_argument(
        "--operation",
        required=True,
        metavar="ID|FILE",
        help="a recorded operation, with what was known when it came, or a file with one in JSON, as if it came now",
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles and CHAMPION")
    parser.add_argument("--profiles", type=Path, help="folder of the snapshots of profiles")
    parser.add_argument("--without-model", action="store_true", help="of a file: without a champion")
    add_json(parser, "write everything that is shown")


def run(arguments: argparse.Namespace) -> int:
    """Print it; nothing is recorded, and a running server is not disturbed."""
    settings = configuration.load(
        None, home=arguments.home, models=arguments.models, profiles=arguments.profiles, database_url=arguments.database,
        require_model=False if arguments.without_model else None,
    )  # fmt: skip
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    with databases.existing(settings.database) as database:
        rule = chosen_rules.named(database, arguments.rule)
        question, recorded = _asked(arguments.operation, settings, database, plan)
    found = tested(rule, question, FeatureSet(plan).entries, recorded)
    print("\n".join(lines(found)))
    write_json(arguments.json, found)
    return 0


def _asked(operation: str, settings: Settings, database: Database, plan: Plan) -> tuple[Question, str | None]:
    """What is asked, and the level that was answered, None for an operation out of a file."""
    if not Path(operation).exists():
        question, decision = asked_then(Ledger(database), Then(settings, database, plan), operation)
        return question, decision.level
    try:
        read = OPERATION.decode(Path(operation).read_bytes())
    except msgspec.DecodeError as error:
        raise InputError("operation", str(error), "one operation in JSON, as POST /v1/operations takes it") from error
    return asked_now(settings, database, plan, read), None
