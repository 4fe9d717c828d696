"""The ledger on PostgreSQL beside the ledger on SQLite: the database on the endpoint's own core, then on the other one."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.endpoint import world as worlds
from benchmarks.endpoint.postgresql_server import PostgreSQL
from benchmarks.endpoint.processes import REPOSITORY, SENT_FROM, SERVED_ON
from benchmarks.endpoint.rounds import Effort, measure
from benchmarks.endpoint.targets import Target, ours
from benchmarks.endpoint.world import World

CORES = {"one_core": SERVED_ON, "two_cores": SENT_FROM}


def is_possible() -> bool:
    """Whether `burana serve` takes a database by URL."""
    command = [sys.executable, "-m", "serving.cli", "serve", "--help"]
    return "--database" in subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout


def beside_sqlite(world: World, sqlite_home: Path, effort: Effort) -> dict[str, Any]:
    """Both ledgers hold the same history and are sent the same operations, their rounds alternate; by the core of the database."""
    home = worlds.empty_home(world, world.folder / "postgresql home")
    with tempfile.TemporaryDirectory(prefix="burana_postgresql_") as folder:
        Path(folder).chmod(0o755)
        database = PostgreSQL(Path(folder) / "server")
        database.start(SERVED_ON)
        try:
            key = _filled(world, home, database.url)
            waiting = {"sqlite": worlds.served_requests(world, world.key), "postgresql": worlds.served_requests(world, key)}
            figures = {}
            for name, core in CORES.items():
                database.stop()
                database.start(core)
                figures[name] = _compared(world, {"sqlite": sqlite_home, "postgresql": home}, database.url, waiting, effort)
            return figures
        finally:
            database.stop()


def _filled(world: World, home: Path, url: str) -> str:
    """A key, after history, rules and registry are in."""
    worlds.fill(world, home, "--database", url)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        worlds.list_identifiers(cursor, world.sizes.registry, "%s")
    return worlds.make_key(home, "--database", url)


def _compared(
    world: World, homes: dict[str, Path], url: str, waiting: dict[str, Iterator[bytes]], effort: Effort
) -> dict[str, Any]:
    with (
        ours(world, homes["sqlite"]) as sqlite,
        ours(world, homes["postgresql"], "--database", url) as postgresql,
    ):
        targets = {"sqlite": Target(sqlite, waiting["sqlite"]), "postgresql": Target(postgresql, waiting["postgresql"])}
        found = measure(targets, effort, world.folder, frozenset())
    return found | {"postgresql_over_sqlite": found["postgresql"]["per_s"] / found["sqlite"]["per_s"]}
