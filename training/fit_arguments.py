"""Arguments that training and evaluation share: how trees are grown, how they are searched for, how thresholds are chosen."""

import argparse
from pathlib import Path

from training.boosting import Boosting
from training.search import SearchSettings
from training.thresholds import Capacity, Costs, Policy


def add_search(parser: argparse.ArgumentParser) -> None:
    """How long to search for better ways of growing trees."""
    group = parser.add_argument_group("search for better ways of growing trees")
    group.add_argument("--trials", type=int, help="trials in all, those of earlier runs on the same data included")
    group.add_argument("--search-seconds", type=float, default=1_800, help="no new trial after so long")
    group.add_argument(
        "--search-file", type=Path, default=Path("search.db"), help="keeps the trials; a search goes on from it"
    )


def search_of(arguments: argparse.Namespace) -> SearchSettings | None:
    """The search that the command line asks for, None for none."""
    if arguments.trials is None:
        return None
    return SearchSettings(arguments.trials, arguments.search_seconds, arguments.search_file)


def add_boosting(parser: argparse.ArgumentParser) -> None:
    """How trees are grown."""
    group, usual = parser.add_argument_group("how trees are grown"), Boosting()
    helps = {
        "trees": "at most so many", "learning_rate": "what each tree adds", "leaves": "of a tree, at most",
        "leaf_operations": "of a leaf, at least", "feature_share": "of features that a tree sees",
        "row_share": "of operations that a tree sees", "l2": "holds leaf values down",
        "bins": "of a feature's values, at most: thresholds lie between them",
        "fraud_weight": "genuine operations that a fraud weighs as much as",
    }  # fmt: skip
    for name, value in usual.figures().items():
        group.add_argument(
            f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"{helps[name]} (default %(default)s)"
        )


def boosting_of(arguments: argparse.Namespace) -> Boosting:
    """The growing that the command line asks for."""
    return Boosting(**{name: getattr(arguments, name) for name in Boosting().figures()})


def add_policy(parser: argparse.ArgumentParser) -> None:
    """How thresholds are chosen."""
    group, capacity, costs = parser.add_argument_group("thresholds, from what people can do"), Capacity(), Costs()
    group.add_argument(
        "--alerts-per-1000", type=float, default=capacity.alerts_per_1000, help="operations of 1000 that can be verified"
    )
    group.add_argument("--alerts-per-day", type=float, help="the same as a number a day, used when given")
    group.add_argument(
        "--high-precision", type=float, default=capacity.high_precision, help="share of the rejected that must be fraud"
    )
    group.add_argument(
        "--wrongly-rejected-per-1000", type=float, default=capacity.wrongly_rejected_per_1000,
        help="genuine operations of 1000 that may be rejected, at most",
    )  # fmt: skip
    priced = parser.add_argument_group("thresholds, from what errors cost (instead; minor units of money)")
    priced.add_argument("--costs", action="store_true", help="choose what costs least")
    helps = {"lost": "share of a fraud's amount that is lost when it passes", "verified_lost": "the same when it is verified",
             "analyst": "a verification", "friction": "a genuine operation that is verified",
             "rejection": "a genuine operation that is rejected"}  # fmt: skip
    for name, words in helps.items():
        priced.add_argument(
            f"--cost-{name.replace('_', '-')}",
            type=float,
            default=getattr(costs, name),
            help=f"{words} (default %(default)s)",
        )


def policy_of(arguments: argparse.Namespace) -> Policy:
    """The policy that the command line asks for."""
    if arguments.costs:
        return Costs(arguments.cost_lost, arguments.cost_verified_lost, arguments.cost_analyst, arguments.cost_friction,
                     arguments.cost_rejection)  # fmt: skip
    return Capacity(
        alerts_per_1000=arguments.alerts_per_1000, alerts_per_day=arguments.alerts_per_day,
        high_precision=arguments.high_precision, wrongly_rejected_per_1000=arguments.wrongly_rejected_per_1000,
    )  # fmt: skip
