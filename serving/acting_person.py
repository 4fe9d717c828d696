"""Who acts at the command line: where four eyes are asked for the caller of a key, so that one person cannot claim two names."""

import argparse
import os
import pwd
from pathlib import Path

from casework.database import Database
from casework.keys import Keys, Scope
from domain.errors import SettingsError

KEY = "BURANA_KEY"
"""The variable of the environment that holds the key where no file does: an argument would be seen by other users of the machine."""


def add_key(parser: argparse.ArgumentParser) -> None:
    """`--key-file`."""
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE", help=f"holds your key, as `burana keys make` showed it (default: {KEY})"
    )


def person_of(database: Database, arguments: argparse.Namespace, needed: Scope = Scope.REGISTRY) -> str:
    """Whose key it is; SettingsError for none, one that is not live, and one without the scope."""
    key = (
        os.environ.get(KEY, "")
        if arguments.key_file is None
        else arguments.key_file.read_text(encoding="utf-8", errors="replace")
    )
    caller = Keys(database).caller(key.strip())
    if caller is None:
        raise SettingsError(f"this takes the live key of a person: name a file by --key-file, or set {KEY}")
    if needed not in caller.scopes:
        raise SettingsError(f"the key of {caller.name} lacks the scope {needed}; seen {', '.join(sorted(caller.scopes))}")
    return caller.name


def user() -> str:
    """Whom the operating system knows the process as."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
