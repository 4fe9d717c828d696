"""Draw the coverage map: for each criterion and kind of operation which rules, templates and features serve it, and what they found."""

import argparse
import os
from pathlib import Path

from casework import database as databases
from domain import instants
from domain.json_file import add_json, file_to_write, write_json
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import settings as configuration
from serving.commands.span import add_span, as_of_of, check_span, period_of
from serving.coverage import made
from serving.coverage.cells import Lives
from serving.coverage.lines import by_criterion, lines
from serving.coverage.picture import picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's arguments."""
    add_span(parser)
    parser.add_argument(
        "--history", type=Path, help="what the rules in force find in a canonical history, in place of the ledger"
    )
    parser.add_argument(
        "--after", type=int, default=0, metavar="SEQUENCE", help="leave out the ledger's entries up to this one, unread"
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles and CHAMPION")
    parser.add_argument(
        "--all", action="store_true", help="print what lives in each cell, and the features of each criterion"
    )
    add_json(parser, "write the map as data")
    parser.add_argument("--svg", type=file_to_write, metavar="FILE", help="write the map as a picture")


def run(arguments: argparse.Namespace) -> int:
    """1 when nothing lives in a cell to which its criterion can apply."""
    check_span(arguments)
    settings = configuration.load(None, home=arguments.home, models=arguments.models, database_url=arguments.database)
    delay = round(arguments.delay_days * instants.DAY)
    span = made.Span(*period_of(arguments), as_of_of(arguments), delay, arguments.resamples, arguments.seed, arguments.after)
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    with databases.existing(settings.database) as database:
        if arguments.history is None:
            found = made.of_ledger(settings, database, plan, span)
        else:
            history = histories.read(arguments.history)
            found = made.of_history(settings, database, plan, history, span, os.cpu_count() or 1)
    for line in [*lines(found), *(by_criterion(found) if arguments.all else ())]:
        print(line)
    write_json(arguments.json, found)
    if arguments.svg:
        arguments.svg.write_text(picture(found), encoding="utf-8")
    return 1 if found.counts[Lives.NOTHING] else 0
