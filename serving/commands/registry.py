"""Add, remove and list prohibited and watched identifiers."""

import argparse

from casework import database as databases
from casework import registry
from casework.registry import List
from domain.identifiers import IdentifierKind, masked
from serving import place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    home = argparse.ArgumentParser(add_help=False)
    place.add_home(home)
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", parents=[home], help="list an identifier")
    add.add_argument("--kind", required=True, type=IdentifierKind, choices=list(IdentifierKind))
    add.add_argument("--value", required=True, help="in any form; it is normalised")
    add.add_argument("--list", required=True, type=List, choices=list(List))
    add.add_argument(
        "--source", required=True, help="whose information it is: own case, state body, National Bank, participant"
    )
    remove = actions.add_parser("remove", parents=[home], help="take an entry off its list")
    remove.add_argument("entry_id", type=int)
    for change in (add, remove):
        change.add_argument("--by", required=True, help="the responsible person (R109)")
        change.add_argument("--reason", required=True, help="why (R111)")
    actions.add_parser("list", parents=[home], help="the live entries")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; a running server follows within a second."""
    settings = place.settings_of(arguments)
    with databases.existing(settings.database) as database:
        if arguments.action == "add":
            entry_id = registry.add(
                database, settings.identifiers(), arguments.kind, arguments.value, arguments.list, arguments.source,
                arguments.by, arguments.reason,
            )  # fmt: skip
            print(f"entry {entry_id}")
        elif arguments.action == "remove":
            registry.remove(database, arguments.entry_id, arguments.by, arguments.reason)
        else:
            for entry in registry.listed(database):
                print("\t".join(str(value) for value in {**entry, "value": masked(str(entry["value"]))}.values()))
    return 0
