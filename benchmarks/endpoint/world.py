"""The world that is served: a simulated history in a ledger, a model, rules, a registry, profiles, all by Burana's own commands."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
from tqdm import tqdm

from benchmarks.endpoint import model, peer_store, rule_set
from benchmarks.endpoint.generator import request
from benchmarks.endpoint.processes import REPOSITORY, BenchmarkError
from casework import approvals, registry_import
from casework import database as databases
from casework.database import url_of
from casework.proposals import Ruling
from domain.identifiers import IdentifierKind
from domain.listing import Ground, List, Listing, Source
from domain.operation import Operation
from features import history as histories
from features.arrivals import rows_of_history
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feast_repo import materialise
from features.feature_set import FeatureSet
from features.history import History, between, cut, records_of
from features.layout import MISSING, Word
from features.plan import Plan
from features.profile_days import Habits
from features.profiles import day_of
from serving.contracts import encode
from serving.settings import CARD_KEY_FILE, DATABASE_FILE

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sizes:
    """customers, days: of the simulated world; served_days: the last of them, sent instead of brought in; trees, leaves: of the
    model; registry: entries; peer_operations: that a peer with a store is asked about, again and again."""

    customers: int = 36_000
    days: int = 47
    served_days: int = 8
    trees: int = 500
    leaves: int = 63
    registry: int = 100_000
    peer_operations: int = 2_000
    seed: int = 2

    @property
    def split(self) -> datetime:
        """The first served instant."""
        return START + timedelta(days=self.days - self.served_days)

    def serving(self, operations: int) -> "Sizes":
        """With so many more days that at least so many operations are served; a customer makes about 0.7 a day."""
        more = math.ceil(operations / (0.6 * self.customers))
        return replace(self, days=self.days + more, served_days=self.served_days + more)


QUICK = Sizes(customers=1_200, days=12, served_days=4, trees=30, leaves=3, registry=1_000, peer_operations=50)


@dataclass(frozen=True)
class World:
    """Where everything lies, and what is in it. home: the ledger as it was before the first served operation; nobody serves it."""

    folder: Path
    sizes: Sizes
    key: str = ""
    accounts: int = 0
    operations: int = 0
    entries: int = 0

    def told(self) -> dict[str, int]:
        """What is in it, by name."""
        sizes, features = self.sizes, len(FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS)))
        counted = {"accounts": self.accounts, "operations": self.operations, "entries": self.entries}
        return counted | {
            "features": features,
            "trees": sizes.trees,
            "leaves": sizes.leaves,
            "registry": sizes.registry,
            "rules": rule_set.RULES,
        }

    @property
    def history(self) -> Path:
        """The whole history, what is served included."""
        return self.folder / "history"

    @property
    def home(self) -> Path:
        """The ledger's folder."""
        return self.folder / "home"

    @property
    def models(self) -> Path:
        """The bundle, named champion."""
        return self.folder / "models"

    @property
    def snapshots(self) -> Path:
        """Snapshots of the profiles of each served day."""
        return self.folder / "snapshots"

    @property
    def peer_model(self) -> Path:
        """The same trees as MLflow keeps them."""
        return self.folder / "mlflow_model"

    @property
    def peer_store(self) -> Path:
        """Feast's repository of the stock assembly."""
        return self.folder / "feast"

    @property
    def asked(self) -> Path:
        """What the peers are asked."""
        return self.folder / "asked"


def made(folder: Path, sizes: Sizes) -> World:
    """The world of a folder, made unless it is there; BenchmarkError for a folder with one of other sizes."""
    path = folder / "world.json"
    if not path.exists():
        path.write_bytes(msgspec.json.encode(make(folder, sizes), enc_hook=str))
    world = msgspec.json.decode(path.read_bytes(), type=World, dec_hook=lambda _, text: Path(text))
    if world.sizes != sizes:
        raise BenchmarkError(f"{folder} holds a world of {world.sizes}, asked for {sizes}; name another --folder")
    return world


def make(folder: Path, sizes: Sizes) -> World:
    """All of it, in a folder that is not there yet."""
    world = World(folder, sizes)
    since = START.date().isoformat()
    burana(
        "simulate",
        "--out",
        world.history,
        "--customers",
        sizes.customers,
        "--days",
        sizes.days,
        "--start",
        since,
        "--seed",
        sizes.seed,
    )
    history = histories.read(world.history)
    asked = model.make(history, sizes.split, world.models, world.peer_model, sizes.trees, sizes.leaves)
    asked = asked.last(sizes.peer_operations)
    asked.write(world.asked)
    peer_store.make(world.peer_store, asked)
    _profiles(world, history)
    fill(world, world.home)
    list_identifiers(url_of(world.home / DATABASE_FILE), sizes.registry)
    accounts, operations, entries = _counted(cut(history, None, sizes.split))
    return replace(world, key=make_key(world.home), accounts=accounts, operations=operations, entries=entries)


def fill(world: World, home: Path, *database: str) -> None:
    """A home with history, rules and registry; database: arguments that name another database than the home's own file."""
    burana("backfill", "--home", home, *database, "--history", world.history, "--to", world.sizes.split.isoformat())
    rules = world.folder / "rules.toml"
    rules.write_text(rule_set.content(), encoding="utf-8")
    burana("rules", "load", rules, "--home", home, *database, "--by", "benchmark", "--reason", "thirty live rules")
    burana("audit", "batch", "--home", home, *database)  # what was brought in joins the audit log once, for seconds


def make_key(home: Path, *database: str) -> str:
    """A key for everything."""
    return burana("keys", "make", "--home", home, *database, "--caller", "benchmark", "--by", "benchmark").strip()


def burana(*arguments: object) -> str:
    """What a command prints; BenchmarkError when it fails."""
    command = [sys.executable, "-m", "serving.cli", *map(str, arguments)]
    print("$ burana", *arguments, flush=True)
    done = subprocess.run(command, cwd=REPOSITORY, env=os.environ, check=False, text=True, stdout=subprocess.PIPE)
    if done.returncode:
        raise BenchmarkError(f"`burana {' '.join(map(str, arguments))}` ended with {done.returncode}")
    return done.stdout


def served_requests(world: World, key: str) -> Iterator[bytes]:
    """Every served operation as a request with a key, in order, once."""
    operations = between(histories.read(world.history).operations, "occurred_at", world.sizes.split, None)
    encoded = (request("/v1/operations", encode(each), key) for _, each in records_of(operations, Operation))
    return iter(
        list(tqdm(encoded, "requests", operations.num_rows, unit="request", unit_scale=True, delay=2, mininterval=1))
    )


def _profiles(world: World, history: History) -> None:
    """Snapshots of the days that served operations read, as the offline store has them; the online store is not asked."""
    store, first = world.folder / "profiles", day_of((world.sizes.split - timedelta(days=2)).date())
    rows, _ = rows_of_history(history)
    materialise.compute_days(Habits.of(rows), store, first)
    materialise.past_snapshots(store, world.snapshots, materialise.newest_day(store) + 1)


def _counted(history: History) -> tuple[int, int, int]:
    """Accounts, operations, entries."""
    rows, _ = rows_of_history(history)
    accounts = np.unique(rows[:, [Word.SENDER, Word.RECIPIENT]])
    return int((accounts != MISSING).sum()), history.operations.num_rows, len(rows)


def list_identifiers(url: str, count: int) -> None:
    """Identifiers that no operation has, half prohibited, half watched, by an approved import: each of the commands lists one, durably."""
    forms = {"account": "99{:014}", "phone": "+99655{:07}", "wallet": "w99{:010}", "device": "d{:014}", "customer": "x{:09}"}
    kinds, lists = [IdentifierKind(kind) for kind in forms], list(List)
    listings = [
        Listing(
            kind=kinds[n % 5], value=forms[kinds[n % 5]].format(n), list=lists[n // 5 % 2],
            ground=Ground.INTERNAL_INVESTIGATION, source=Source.OWN_CASE,
        )
        for n in range(count)
    ]  # fmt: skip
    with databases.connect(url) as database:
        proposal = registry_import.propose(database, listings, "a file", "benchmark", "size")
        approvals.decide(database, proposal, Ruling.APPROVED, "another", "size")


def copy_of_home(world: World, name: str) -> Path:
    """A home as it was before the first served operation, in place of one of an earlier run."""
    shutil.rmtree(world.folder / name, ignore_errors=True)
    return Path(shutil.copytree(world.home, world.folder / name))


def empty_home(world: World, home: Path) -> Path:
    """A home without history, with the card key of the world's."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    return Path(shutil.copy2(world.home / CARD_KEY_FILE, home / CARD_KEY_FILE)).parent
