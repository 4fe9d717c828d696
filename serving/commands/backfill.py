"""Bring a history into the ledger, so that serving starts with the behaviour of before."""

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path

from casework import database as databases
from casework.ledger import Ledger
from casework.writers import bring_in
from domain.instants import parse_day_or_instant
from features import history as histories
from features.history import cut
from serving import card_key, place
from serving.backfill import entries


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    place.add_home(parser)
    parser.add_argument("--history", type=Path, required=True, help="folder of a canonical history")
    parser.add_argument("--to", dest="end", type=parse_day_or_instant, help="first day or instant (UTC) that is left out")


def run(arguments: argparse.Namespace) -> int:
    """All of it or nothing; the server must not be running."""
    began = time.perf_counter()
    history = cut(histories.read(arguments.history), None, arguments.end)
    settings = place.settings_of(arguments)
    with databases.connect(settings.database) as database:
        card_key.use(settings, database)
        last, recorded_at = Ledger(database).end
        count = bring_in(database, entries(history, last, settings.identifiers(), datetime.now(UTC), recorded_at))
    print(f"{count:,} entries in {time.perf_counter() - began:.1f} s; the ledger ends at {last + count:,}")
    return 0
