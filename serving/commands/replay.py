"""Replay a history against a running endpoint or in this process, and compare levels with outcomes."""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from tqdm import tqdm

from casework import database as databases
from casework.ledger import Ledger
from domain.errors import SettingsError
from domain.instants import parse_day_or_instant
from domain.json_file import add_json, write_json
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.history import cut
from features.plan import Plan
from serving import decision_replay, place, replay
from serving import settings as configuration
from serving.decision_replay import Again, NotMade
from serving.recomputed_profiles import from_snapshots

NEWEST = 1_000_000
"""Entries that a sample is drawn from."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--history", type=Path, help="folder of a canonical history")
    what.add_argument(
        "--operation",
        action="append",
        metavar="ID",
        help="make the stored decision on it again, and say equal or where it differs; may be repeated",
    )
    what.add_argument(
        "--sample", type=int, metavar="N", help="the same of N of the newest million decisions, drawn at random"
    )
    parser.add_argument("--from", dest="start", type=parse_day_or_instant, help="first day or instant (UTC)")
    parser.add_argument("--to", dest="end", type=parse_day_or_instant, help="first day or instant after it")
    parser.add_argument("--url", help="http://HOST:PORT of a running endpoint; without it the replay runs in this process")
    parser.add_argument(
        "--key", help="a key of that endpoint; or set BURANA_KEY, which other users of the machine cannot see"
    )
    parser.add_argument("--rate", type=float, help="records a second, open loop; default: as fast as it goes")
    parser.add_argument("--in-flight", type=int, default=16, help="connections at most (1 keeps history's order exactly)")
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("models"),
        help="in this process and of decisions: folder of bundles and CHAMPION",
    )
    parser.add_argument("--profiles", type=Path, help="likewise: folder of the snapshots of profiles")
    parser.add_argument(
        "--home", type=Path,
        help="in this process: a new folder that keeps the ledger (default: a temporary one); of decisions: the folder of the server (default: data)",
    )  # fmt: skip
    place.add_database(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 when everything was answered, or every decision is the same again; 1 when something was refused or differs."""
    if arguments.history is None:
        return _decisions(arguments)
    if arguments.in_flight < 1 or (arguments.rate is not None and arguments.rate <= 0):
        raise SettingsError("--in-flight: allowed 1 and more; --rate: allowed above 0")
    history = histories.read(arguments.history)
    span = cut(history, arguments.start, arguments.end)
    if arguments.url:
        key = arguments.key or os.environ.get("BURANA_KEY")
        if not key:
            raise SettingsError(
                "--key or BURANA_KEY: a key of the endpoint with operations, events and outcomes in its scope"
            )
        replayed = asyncio.run(replay.over_http(span, arguments.url, key, arguments.rate, arguments.in_flight))
    else:
        before = cut(history, None, arguments.start) if arguments.start else cut(history, arguments.end, arguments.end)
        with tempfile.TemporaryDirectory() as temporary:
            settings = configuration.load(
                None, home=arguments.home or Path(temporary), models=arguments.models, profiles=arguments.profiles
            )
            if (file := settings.home / configuration.DATABASE_FILE).exists():
                raise SettingsError(f"--home: {file} exists; a replay in process needs a new folder")
            replayed = asyncio.run(replay.in_process(span, before, settings))
    figures = replay.report(replayed, replay.compare(history, replayed))
    for line in replay.table(figures):
        print(line)
    write_json(arguments.json, figures)
    return 1 if replayed.refusals else 0


def _decisions(arguments: argparse.Namespace) -> int:
    """Make stored decisions again; a running server is not disturbed."""
    settings = configuration.load(
        None, home=arguments.home, models=arguments.models, profiles=arguments.profiles, database_url=arguments.database
    )
    with databases.existing(settings.database) as database:
        ids = arguments.operation or [entry.id for entry in Ledger(database).draw(arguments.sample, NEWEST)]
        plan, snapshots = Plan(DEFINITIONS, RETAINED_ARRIVALS), from_snapshots(settings.profiles)
        made = decision_replay.replay(settings, database, plan, ids, snapshots)
        found = list(tqdm(made, "decisions", len(ids), delay=2, mininterval=1))
    equal = sum(isinstance(one, Again) and one.is_equal for one in found)
    for one in found:
        if line := _said(one, named=bool(arguments.operation)):
            print(line)
    print(f"{equal} of {len(found)} decisions are the same again, to the byte")
    write_json(arguments.json, {"decisions": len(found), "equal": equal})
    return 0 if equal == len(found) else 1


def _said(one: Again | NotMade, named: bool) -> str:
    """A line about a decision; nothing about an equal one that was not asked for by name."""
    if isinstance(one, NotMade):
        return f"{one.operation_id}: cannot be made again: {one.reason}"
    if one.is_equal:
        return f"{one.operation_id}: equal" if named else ""
    return f"{one.operation_id}: differs: " + "; ".join(
        f"{name} was {was!r}, is {is_!r}" for name, was, is_ in one.differences
    )
