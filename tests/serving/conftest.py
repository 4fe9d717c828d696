"""A real bundle, made once for all processes of a test run, and Buranas that run on it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from casework import database as databases
from domain.bundle import champion
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving.live_rules import live_rules
from serving.settings import Settings
from tests.mlflow_store import StoreIn
from tests.once import made_once
from tests.serving.running import REPOSITORY, InProcess, Server, file_in

PATIENCE_MS = 10_000
"""Tests run beside others: only those of the deadline itself may meet it."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, store_in: StoreIn) -> Path:
    """A folder of bundles with its champion; nobody changes it."""
    return _made(tmp_path_factory, store_in, "bundle") / "models"


@pytest.fixture(scope="session")
def profiled(tmp_path_factory: pytest.TempPathFactory, store_in: StoreIn) -> Path:
    """A folder with `models`, whose champion reads profiles, and the `world` that it was trained on; nobody changes it."""
    return _made(tmp_path_factory, store_in, "profiled", "--profiles")


@pytest.fixture(scope="session")
def rival(tmp_path_factory: pytest.TempPathFactory, store_in: StoreIn) -> Path:
    """The folder of a bundle of fewer trees, trained on the world of `models`; nobody changes it."""
    return champion(_made(tmp_path_factory, store_in, "rival", "--trees", "8") / "models")


@pytest.fixture
def line(models: Path, rival: Path, profiled: Path, tmp_path: Path) -> Path:
    """A folder of three bundles, which a test may change: the champion, its rival, and one that reads profiles."""
    shutil.copytree(models, tmp_path / "models")
    for other in (rival, champion(profiled / "models")):
        shutil.copytree(other, tmp_path / "models" / other.name)
    return tmp_path / "models"


def _made(tmp_path_factory: pytest.TempPathFactory, store: StoreIn, name: str, *arguments: str) -> Path:
    def make(folder: Path) -> None:
        store(folder)
        command = [sys.executable, "-m", "tests.serving.make_bundle", str(folder), *arguments]
        made = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr

    return made_once(tmp_path_factory, name, "models/CHAMPION", make)


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the tables and the starter rules, as the first start leaves them, and no records; nobody changes it.

    A copy of it opens in 75 ms of CPU, an empty home in 165.
    """
    home = tmp_path_factory.mktemp("begun")
    with databases.connect(file_in(home)) as database:
        live_rules(database, FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS)))
    return home


@pytest.fixture
def settings(tmp_path: Path, models: Path, begun: Path) -> Settings:
    """Settings of a Burana with nothing recorded; changes are followed quickly."""
    shutil.copytree(begun, tmp_path / "home")
    return Settings(home=tmp_path / "home", models=models, refresh_s=0.05, deadline_ms=PATIENCE_MS)


@pytest.fixture
def burana(settings: Settings) -> Iterator[InProcess]:
    """An open Burana of this test alone."""
    with InProcess(settings) as running:
        yield running


@pytest.fixture(scope="module")
def shared_burana(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[InProcess]:
    """An open Burana for all tests of a file."""
    with InProcess(
        Settings(home=tmp_path_factory.mktemp("home"), models=models, refresh_s=0.05, deadline_ms=PATIENCE_MS)
    ) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Server]:
    """A `burana serve` for all tests of a file."""
    with Server(tmp_path_factory.mktemp("served"), models) as running:
        yield running
