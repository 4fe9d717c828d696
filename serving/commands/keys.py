"""Make, list and revoke the keys of calling systems and of officers."""

import argparse
from contextlib import closing

from casework import card_keys, keys
from casework import database as databases
from casework.keys import OF_SYSTEMS, Scope
from casework.writers import writer
from serving import place
from serving.commands.lines import columns
from serving.commands.words import one_of
from serving.settings import card_key
from serving.signatures import id_of, secret_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    home = argparse.ArgumentParser(add_help=False)
    place.add_home(home)
    actions = parser.add_subparsers(dest="action", required=True)
    make = actions.add_parser("make", parents=[home], help="make a key; it is shown this once")
    make.add_argument(
        "--caller", required=True, help="the system or the person that will call; two keys of one caller are one person"
    )
    make.add_argument(
        "--scope",
        action="append",
        **one_of(Scope),
        help="may be repeated; default: those of calling systems",
    )
    make.add_argument(
        "--signed", action="store_true", help="every request by it must be signed; shows the secret to sign with"
    )
    make.add_argument("--by", required=True, help="who makes it")
    actions.add_parser("list", parents=[home], help="the live keys, without their secrets")
    revoke = actions.add_parser("revoke", parents=[home], help="make a key worthless at once")
    revoke.add_argument("key_id")
    revoke.add_argument("--by", required=True)
    revoke.add_argument("--reason", required=True)
    card = actions.add_parser(
        "card",
        parents=[home],
        help="let the card key of --home be the one in use, as when the last was lost; no server may run meanwhile",
    )
    card.add_argument("--by", required=True)
    card.add_argument("--reason", required=True)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; a running server follows within a second."""
    opened = databases.connect if arguments.action == "make" else databases.existing
    with opened(place.database_of(arguments)) as database:
        if arguments.action == "make":
            scopes = set(arguments.scope or OF_SYSTEMS)
            signs = card_key(arguments.home) if arguments.signed else None  # before there is a key that needs it
            key = keys.make(database, arguments.caller, scopes, arguments.by, is_signed=arguments.signed)
            print(key)
            if signs is not None:
                print(secret_of(signs, id_of(key)))
        elif arguments.action == "revoke":
            keys.revoke(database, arguments.key_id, arguments.by, arguments.reason)
        elif arguments.action == "card":
            with closing(writer(database)):  # a server that went on would hash cards under the key of before
                card_keys.exchange(database, card_key(arguments.home), arguments.by, arguments.reason)
        else:
            for row in keys.listed(database):
                print(columns(*row))
    return 0
