"""Write what the ledger holds as a canonical history, with the decisions, to train on it."""

import argparse
import time
from pathlib import Path

from casework import database
from casework.ledger import Ledger
from serving.export import export
from serving.settings import DATABASE_FILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--home", type=Path, default=Path("data"), help="folder of the database; the server may be running")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the history")


def run(arguments: argparse.Namespace) -> int:
    """The whole folder or nothing."""
    began = time.perf_counter()
    database.existing(arguments.home / DATABASE_FILE).close()
    ledger = Ledger(arguments.home / DATABASE_FILE)
    try:
        counts = export(ledger, arguments.out)
    finally:
        ledger.close()
    for name, count in counts.items():
        print(f"{name:12} {count:>12,}")
    print(f"{arguments.out} in {time.perf_counter() - began:.1f} s; it holds personal data as the ledger does")
    return 0
