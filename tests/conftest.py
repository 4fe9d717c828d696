"""What every test may count on: fixed examples, and the public data where they are."""

import os
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import prometheus_client  # noqa: F401 before Feast, which would have all registries of a process share their values in files
import pytest
from hypothesis import Phase, settings

from casework.database import url_of
from tests import mlflow_store
from tests.once import made_once
from tests.postgresql import PostgreSQL

# Threads of LightGBM that wait for each other sleep: beside another busy process spinning took 10 to 22 s of CPU where this takes 1.6.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

# Fixed examples, not shrunk: a large failing history takes minutes to shrink. `--hypothesis-profile=search` looks further.
settings.register_profile("fixed", deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate), database=None)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("fixed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How far a test goes that could go on for ever."""
    parser.addoption("--bodies", type=int, default=3_000, help="how many generated bodies are sent (default: 3000)")
    parser.addoption(
        "--peers", action="store_true", help="run the endpoint's benchmark with its peers once, small (2 minutes)"
    )
    parser.addoption(
        "--moments", type=int, default=4, help="how many times a server is killed on each database (default: 4)"
    )
    parser.addoption("--every-flip", action="store_true", help="flip every bit of an audit log of 10,000 entries (minutes)")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Feast, once imported, leaves this behind; a server in the same process could then take no label off a metric."""
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data; tests that read it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"public data are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server; whoever stops it starts it again."""
    with closing(PostgreSQL()) as server:
        yield server


@pytest.fixture(scope="session")
def store_in(tmp_path_factory: pytest.TempPathFactory) -> mlflow_store.StoreIn:
    """Puts an empty MLflow store in a folder; its URI. The store is made once for all processes of a test run."""
    made = made_once(tmp_path_factory, "mlflow", mlflow_store.FILE, mlflow_store.make)
    return partial(mlflow_store.copied, made)


@pytest.fixture
def cloned(postgresql: PostgreSQL) -> Iterator[str]:
    """The URL of a PostgreSQL database of this test alone, with Burana's tables and nothing in them."""
    url = postgresql.clone()
    yield url
    postgresql.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of this test alone, one test on each kind."""
    return url_of(tmp_path / "burana.db") if request.param == "sqlite" else request.getfixturevalue("cloned")
