"""Where an operator's things are: the arguments that the commands share."""

import argparse
import os
from pathlib import Path

from serving.settings import Settings

DATABASE = "BURANA_DATABASE"
"""The variable of the environment that names the database where no argument does: other users of the machine do not see it."""


def add_home(parser: argparse.ArgumentParser, note: str = "") -> None:
    """`--home` and `--database`."""
    parser.add_argument("--home", type=Path, default=Path("data"), help=f"folder of the server{note}")
    add_database(parser)


def add_database(parser: argparse.ArgumentParser) -> None:
    """`--database`."""
    parser.add_argument(
        "--database", default=os.environ.get(DATABASE), metavar="URL",
        help=f"postgresql://USER@HOST:PORT/DATABASE; its password by PGPASSWORD or ~/.pgpass (default: {DATABASE}, else the SQLite file in --home)",
    )  # fmt: skip


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Settings with the home and the database that were named."""
    return Settings(home=arguments.home, database_url=arguments.database or "")


def database_of(arguments: argparse.Namespace) -> str:
    """The URL of the database that was named."""
    return settings_of(arguments).database
