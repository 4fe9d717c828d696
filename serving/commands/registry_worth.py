"""What the lists are worth, at the command line: what a source's entries, or a file's, would have stopped; how good the registry is."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from casework import registry_files
from casework.database import Database, as_kept
from casework.ledger import Entry, Ledger
from casework.registry import Registry
from casework.registry_entries import Filter
from casework.registry_quality import quality
from casework.registry_value import value
from domain.errors import SettingsError
from domain.identifiers import IdentifierKind
from domain.json_file import add_json, write_json
from domain.listing import Listing, Source
from serving.commands.words import one_of
from serving.settings import Settings

ACTIONS = frozenset({"value", "quality"})
Actions = Any


def add_arguments(actions: Actions, home: argparse.ArgumentParser) -> None:
    """The arguments of each action."""
    worth = actions.add_parser("value", parents=[home], help="what a list would have stopped among recorded operations")
    which = worth.add_mutually_exclusive_group(required=True)
    which.add_argument("--source", **one_of(Source), help="the live entries of a source")
    which.add_argument("--file", type=Path, help="a list that is not imported yet, CSV or JSON")
    worth.add_argument("--kind", **one_of(IdentifierKind), help="of every line of the file")
    good = actions.add_parser("quality", parents=[home], help="relevance, completeness and timeliness (R121)")
    for action in (worth, good):
        action.add_argument("--days", type=int, default=30, help="that end now (default: 30)")
        add_json(action, "every figure that is printed")


def run(database: Database, settings: Settings, arguments: argparse.Namespace) -> None:
    """Print the figures."""
    now = datetime.now(UTC)
    since = now - timedelta(days=arguments.days)
    recorded = _recorded(database, since)
    if arguments.action == "value":
        figures: Any = value(settings.identifiers(), _listings(database, settings, arguments), recorded)
    else:
        figures = quality(database, Registry(database, settings.identifiers()), recorded, since, now)
    told = msgspec.to_builtins(figures)
    for name, figure in _lines(told):
        print(f"{name:28} {figure}")
    write_json(arguments.json, told)


def _listings(database: Database, settings: Settings, arguments: argparse.Namespace) -> list[Listing]:
    if arguments.file is None:
        rows = registry_files.exported(database, Filter(source=arguments.source))
        return [msgspec.convert(row, Listing, strict=False) for row in rows]
    found = registry_files.taken(settings.identifiers(), registry_files.read(arguments.file, arguments.kind))
    if not found:
        raise SettingsError(f"{arguments.file} has no line that can be taken; `burana registry import --dry-run` tells why")
    return found


def _recorded(database: Database, since: datetime) -> Iterator[Entry]:
    ledger = Ledger(database)
    after = ledger.last_before(as_kept(since))
    yield from tqdm(
        ledger.read(after), "ledger", ledger.last_sequence - after, delay=2, mininterval=1, unit="entry", unit_scale=True
    )


def _lines(told: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, figure in told.items():
        if isinstance(figure, dict):
            yield from _lines(figure, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", figure
