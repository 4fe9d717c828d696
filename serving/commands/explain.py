"""Say what the score of a stored decision was made of: criteria, then features, exactly."""

import argparse
from pathlib import Path

from casework.ledger import reading
from domain.json_file import add_json, write_json
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import place
from serving.answers import Explanation
from serving.explanation import Explanations

SHOWN = 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--operation", required=True, help="its operation_id")
    place.add_home(parser)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles")
    parser.add_argument("--all", action="store_true", help=f"print every feature, not only the {SHOWN} strongest")
    add_json(parser, "write the explanation, as the endpoint answers it")


def run(arguments: argparse.Namespace) -> int:
    """Print it; a running server is not disturbed."""
    with reading(place.database_of(arguments)) as ledger:
        explanations = Explanations(arguments.models, Plan(DEFINITIONS, RETAINED_ARRIVALS))
        explanation = explanations.of(ledger, arguments.operation)
    _print(explanation, None if arguments.all else SHOWN)
    write_json(arguments.json, explanation)
    return 0


def _print(explanation: Explanation, most: int | None) -> None:
    print(f"operation {explanation.operation_id}: score {explanation.score:.6f} by {explanation.model}")
    print("log odds, and by how much they multiply the odds of fraud\n")
    print(f"{explanation.base_log_odds:+9.3f} {'':9}  the mean over the operations of the training")
    for part in explanation.criteria:
        print(f"{part.log_odds:+9.3f} {part.times:9.3g}  {part.criterion} {part.words}")
    print(f"{explanation.log_odds:+9.3f} {'':9}  together\n")
    for feature in explanation.features[:most]:
        print(
            f"{feature.log_odds:+9.3f} {feature.times:9.3g}  {feature.criterion or '':4} {feature.said} ({feature.feature})"
        )
