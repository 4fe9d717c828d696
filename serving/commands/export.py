"""Write what the ledger holds as a canonical history, with the decisions, to train on it."""

import argparse
import time
from pathlib import Path

from casework.ledger import reading
from serving import place
from serving.export import export


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    place.add_home(parser, "; it may be running")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the history")


def run(arguments: argparse.Namespace) -> int:
    """The whole folder or nothing."""
    began = time.perf_counter()
    with reading(place.database_of(arguments)) as ledger:
        counts = export(ledger, arguments.out)
    for name, count in counts.items():
        print(f"{name:12} {count:>12,}")
    print(f"{arguments.out} in {time.perf_counter() - began:.1f} s; it holds personal data as the ledger does")
    return 0
