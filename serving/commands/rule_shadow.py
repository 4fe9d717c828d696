"""Show what the rules in shadow would have done so far: hits, what acted beside them, what was fraud, and since when."""

import argparse

from casework import database as databases
from domain import instants
from domain.json_file import add_json, write_json
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import place, shadow_rules
from serving.backtest.figures import Costs
from serving.backtest.report import Asked
from serving.commands.span import add_span, as_of_of, check_span, period_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's arguments."""
    add_span(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print it; a running server is not disturbed."""
    check_span(arguments)
    url = place.database_of(arguments)
    asked = Asked(databases.masked(url), "", arguments.delay_days, arguments.resamples, arguments.seed, Costs())
    delay = round(arguments.delay_days * instants.DAY)
    with databases.existing(url) as database:
        plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
        found = shadow_rules.report(database, plan, period_of(arguments), as_of_of(arguments), delay, asked)
    for line in shadow_rules.lines(found):
        print(line)
    write_json(arguments.json, found)
    return 0
