"""Whole lists at the command line: import by two persons, export, feeds in and out."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from casework import registry_feeds, registry_files, registry_import
from casework.database import Database
from casework.registry_entries import Filter
from casework.registry_feeds import FeedPage
from casework.registry_files import Difference
from domain.errors import SettingsError
from domain.identifiers import IdentifierKind
from domain.json_file import add_json, write_json
from domain.listing import TO_LIST_ON, List, Source
from serving.acting_person import add_key, person_of
from serving.commands.words import one_of
from serving.settings import Settings

ACTIONS = frozenset({"import", "export", "feed"})
Actions = Any


def add_arguments(actions: Actions, home: argparse.ArgumentParser) -> None:
    """The arguments of each action."""
    bring = actions.add_parser(
        "import", parents=[home], help="propose to list all of a CSV or JSON file; another person approves"
    )
    bring.add_argument("file", type=Path)
    bring.add_argument("--kind", **one_of(IdentifierKind), help="of every line, where the file does not say")
    bring.add_argument("--rejects", type=Path, metavar="FILE", help="the lines that are not taken, each with its reason")
    bring.add_argument("--dry-run", action="store_true", help="only tell what it would change")
    add_json(bring, "what is printed, as JSON")
    bring.add_argument("--reason", help="why (R111); asked for unless it is a dry run")
    add_key(bring)
    out = actions.add_parser("export", parents=[home], help="the live entries: a CSV per kind, or JSON")
    out.add_argument("out", type=Path, help="a folder for CSV; a file that ends with .json for JSON")
    out.add_argument("--kind", **one_of(IdentifierKind))
    out.add_argument("--list", **one_of(List))
    _add_feed(actions.add_parser("feed", help="follow a list that others keep; give out our own changes"), home)


def _add_feed(feed: argparse.ArgumentParser, home: argparse.ArgumentParser) -> None:
    steps = feed.add_subparsers(dest="step", required=True)
    propose = steps.add_parser(
        "propose", parents=[home], help="propose to follow a list under a name; another person approves"
    )
    propose.add_argument("feed")
    propose.add_argument("--list", required=True, **one_of(List))
    propose.add_argument("--ground", required=True, **one_of(TO_LIST_ON))
    propose.add_argument("--source", required=True, **one_of(Source))
    propose.add_argument("--caller", required=True, help="of the key by which its pages come")
    propose.add_argument("--reason", required=True)
    add_key(propose)
    take = steps.add_parser("take", parents=[home], help="take a page, a JSON file; one that came before changes nothing")
    take.add_argument("feed")
    take.add_argument("file", type=Path)
    add_key(take)
    cursor = steps.add_parser("cursor", parents=[home], help="up to which sequence number it was taken")
    cursor.add_argument("feed")
    give = steps.add_parser("give", parents=[home], help="our own cases' changes after a sequence number, as a page")
    give.add_argument("--list", required=True, **one_of(List))
    give.add_argument("--after", type=int, default=0)
    give.add_argument("out", type=Path)


def run(database: Database, settings: Settings, arguments: argparse.Namespace) -> None:
    """Do what was asked."""
    if arguments.action == "import":
        _import(database, settings, arguments)
    elif arguments.action == "export":
        _export(database, arguments)
    else:
        _feed(database, settings, arguments)


def _import(database: Database, settings: Settings, arguments: argparse.Namespace) -> None:
    found = registry_files.difference(database, settings.identifiers(), registry_files.read(arguments.file, arguments.kind))
    if arguments.rejects is not None:
        registry_files.write_rejects(arguments.rejects, found.rejects)
    told = {"new": len(found.new), "there": found.there, "rejected": len(found.rejects), "proposal": None}
    if not arguments.dry_run:
        told["proposal"] = _proposed(database, found, arguments)
    print(", ".join(f"{count} {name}" for name, count in told.items() if count is not None))
    for reject in found.rejects[:10]:
        print(f"line {reject.line}: {reject.reason}", file=sys.stderr)
    write_json(arguments.json, {**told, "rejects": found.rejects})


def _proposed(database: Database, found: Difference, arguments: argparse.Namespace) -> int:
    if not arguments.reason:
        raise SettingsError("an import needs --reason; or look first with --dry-run")
    return registry_import.propose(
        database, found.new, arguments.file.name, person_of(database, arguments), arguments.reason
    )


def _export(database: Database, arguments: argparse.Namespace) -> None:
    wanted = Filter(kind=arguments.kind, list=arguments.list)
    if arguments.out.suffix == ".json":
        entries = list(registry_files.exported(database, wanted))
        arguments.out.write_text(json.dumps(entries, ensure_ascii=False, indent=1), encoding="utf-8")
        print(f"{len(entries)} entries in {arguments.out}")
        return
    for file, count in registry_files.export_csv(database, arguments.out, wanted).items():
        print(f"{count} entries in {arguments.out / file}")


def _feed(database: Database, settings: Settings, arguments: argparse.Namespace) -> None:
    if arguments.step == "propose":
        made = registry_feeds.propose(
            database, arguments.feed, arguments.list, arguments.ground, arguments.source, arguments.caller,
            person_of(database, arguments), arguments.reason,
        )  # fmt: skip
        print(f"proposal {made}; another person approves it by `burana proposals approve {made}`")
    elif arguments.step == "take":
        caller, page = person_of(database, arguments), _page(arguments.file)
        taken = registry_feeds.take(database, settings.identifiers(), arguments.feed, page, caller)
        print(
            f"up to {taken.up_to}: {taken.added} added, {taken.withdrawn} withdrawn, {taken.known} known, {len(taken.rejects)} rejected"
        )
        for sequence, reason in taken.rejects:
            print(f"sequence {sequence}: {reason}", file=sys.stderr)
    elif arguments.step == "cursor":
        print(registry_feeds.cursor(database, arguments.feed))
    else:
        page = registry_feeds.given_out(database, arguments.after, arguments.list)
        arguments.out.write_bytes(msgspec.json.encode(page))
        print(f"{len(page.changes)} changes up to {page.up_to}")


def _page(file: Path) -> FeedPage:
    try:
        return msgspec.json.decode(file.read_bytes(), type=FeedPage)
    except msgspec.MsgspecError as error:
        raise SettingsError(f"{file} is no page of a feed: {error}") from error
