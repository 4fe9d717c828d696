"""List prohibited and watched identifiers, propose to remove or to import, follow feeds, and see what the lists are worth."""

import argparse
from typing import Any

import msgspec

from casework import database as databases
from casework import registry_entries
from casework.database import Database
from casework.registry_entries import Filter
from domain.errors import SettingsError
from domain.identifiers import IdentifierKind, masked
from domain.json_file import add_json, write_json
from domain.listing import GROUNDS, TO_LIST_ON, List, Listing, RemovalGround, Source
from serving import card_key, place
from serving.acting_person import add_key, person_of
from serving.commands import registry_lists, registry_worth
from serving.commands.instants import instant
from serving.commands.lines import columns
from serving.commands.words import one_of
from serving.settings import Settings

HASHING = ("add", "import", "feed")
"""What hashes cards to stay."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    home = argparse.ArgumentParser(add_help=False)
    place.add_home(home)
    actions = parser.add_subparsers(dest="action", required=True)
    _add_adding(actions.add_parser("add", parents=[home], help="list an identifier"))
    remove = actions.add_parser(
        "remove", parents=[home], help="propose to take an entry off its list; another person approves"
    )
    remove.add_argument("entry_id", type=int)
    remove.add_argument("--ground", required=True, **one_of(RemovalGround))
    remove.add_argument("--reason", required=True, help="why (R111)")
    add_key(remove)
    _add_filter(actions.add_parser("list", parents=[home], help="the live entries, or those of a past moment"))
    show = actions.add_parser("show", parents=[home], help="an entry, and every other one of its identifier")
    show.add_argument("entry_id", type=int)
    registry_lists.add_arguments(actions, home)
    registry_worth.add_arguments(actions, home)


def _add_adding(add: argparse.ArgumentParser) -> None:
    add.add_argument("--kind", required=True, **one_of(IdentifierKind))
    add.add_argument("--value", required=True, help="in any form; it is normalised")
    add.add_argument("--list", required=True, **one_of(List))
    said = "; ".join(f"{ground}: {GROUNDS[ground]}" for ground in TO_LIST_ON)
    add.add_argument("--ground", required=True, **one_of(TO_LIST_ON), help=said)
    add.add_argument("--source", required=True, **one_of(Source), help="whose information it is (R103)")
    add.add_argument("--reference", help="of the letter, the case or the record")
    add.add_argument("--valid-from", type=instant, metavar="INSTANT", help="with its zone; default: at once")
    add.add_argument("--valid-to", type=instant, metavar="INSTANT", help="default: without end")
    add.add_argument("--by", required=True, help="the responsible person (R109)")
    add.add_argument("--reason", required=True, help="why (R111)")


def _add_filter(listed: argparse.ArgumentParser) -> None:
    listed.add_argument("--at", type=instant, metavar="INSTANT", help="as it was then, with its zone")
    listed.add_argument("--kind", **one_of(IdentifierKind))
    listed.add_argument("--list", **one_of(List))
    listed.add_argument("--source", **one_of(Source))
    add_json(listed, "the same, unmasked, into a file")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; a running server follows within a second."""
    settings = place.settings_of(arguments)
    with databases.existing(settings.database) as database:
        if arguments.action in HASHING:
            card_key.use(settings, database)
        for room in (registry_lists, registry_worth):
            if arguments.action in room.ACTIONS:
                room.run(database, settings, arguments)
                return 0
        _run(database, settings, arguments)
    return 0


def _run(database: Database, settings: Settings, arguments: argparse.Namespace) -> None:
    if arguments.action == "add":
        _add(database, settings, arguments)
    elif arguments.action == "remove":
        person = person_of(database, arguments)
        made = registry_entries.propose_removal(database, arguments.entry_id, arguments.ground, person, arguments.reason)
        print(f"proposal {made}; another person approves it by `burana proposals approve {made}`")
    elif arguments.action == "list":
        found = registry_entries.listed(database, _filter(arguments))
        _print(found)
        write_json(arguments.json, found)
    else:
        _print(registry_entries.history(database, arguments.entry_id))


def _add(database: Database, settings: Settings, arguments: argparse.Namespace) -> None:
    told = {name: getattr(arguments, name) for name in Listing.__struct_fields__}
    try:
        listing = msgspec.convert(told, Listing)
    except msgspec.ValidationError as error:
        raise SettingsError(f"nothing was listed: {error}") from error
    entry_id = registry_entries.add(database, settings.identifiers(), listing, arguments.by, arguments.reason)
    print(f"entry {entry_id}")


def _filter(arguments: argparse.Namespace) -> Filter:
    at = None if arguments.at is None else registry_entries.as_instant(arguments.at)
    return Filter(kind=arguments.kind, list=arguments.list, source=arguments.source, at=at)


def _print(entries: list[dict[str, Any]]) -> None:
    """A line an entry, the identifier masked."""
    for entry in entries:
        shown = {**entry, "value": masked(str(entry["value"]))}
        print(columns(*(f"{name}={value}" for name, value in shown.items() if value is not None)))
