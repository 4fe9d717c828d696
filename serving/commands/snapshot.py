"""Write the snapshot of the features as of the ledger's end, beside a running server or without one."""

import argparse
import os
import time

from casework.ledger import reading
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import place, recovery, snapshots
from serving.beside import LOWEST_PRIORITY
from serving.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    place.add_home(parser)
    parser.add_argument(
        "--least-free-mib", type=int, default=Settings().least_free_mib, help="MiB of the disk that stay free (default: 512)"
    )


def run(arguments: argparse.Namespace) -> int:
    """The last snapshot, what the ledger has after it, the new one in its place; every other process goes first."""
    os.nice(LOWEST_PRIORITY)
    began, settings = time.perf_counter(), place.settings_of(arguments)
    with reading(settings.database) as ledger:
        engine = recovery.rebuild(Plan(DEFINITIONS, RETAINED_ARRIVALS), ledger, settings.state)
        is_written = snapshots.save(engine, ledger, settings.state, arguments.least_free_mib)
    said = f"at entry {engine.applied:,}, {engine.nbytes >> 20:,} MiB" if is_written else "another process writes it now"
    print(f"{settings.state}: {said}, {time.perf_counter() - began:.1f} s")
    return 0
