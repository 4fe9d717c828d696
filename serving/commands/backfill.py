"""Bring a history into the ledger, so that serving starts with the behaviour of before."""

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path

from casework import database
from casework.ledger import bring_in, last_sequence
from domain.instants import parse_day_or_instant
from features import history as histories
from features.history import cut
from serving.backfill import entries
from serving.settings import DATABASE_FILE, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--home", type=Path, default=Path("data"), help="folder of the database")
    parser.add_argument("--history", type=Path, required=True, help="folder of a canonical history")
    parser.add_argument("--to", dest="end", type=parse_day_or_instant, help="first day or instant (UTC) that is left out")


def run(arguments: argparse.Namespace) -> int:
    """All of it or nothing; the server must not be running."""
    began = time.perf_counter()
    history = cut(histories.read(arguments.history), None, arguments.end)
    path = arguments.home / DATABASE_FILE
    with database.hold(arguments.home):
        last = last_sequence(path)
        count = bring_in(path, entries(history, last, Settings(home=arguments.home).identifiers(), datetime.now(UTC)))
    print(f"{count:,} entries in {time.perf_counter() - began:.1f} s; the ledger ends at {last + count:,}")
    return 0
