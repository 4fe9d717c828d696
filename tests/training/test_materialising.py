"""`burana features materialise`: from a history or from the ledger, and the matrix for Feast."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from domain.identifiers import Identifiers
from features.arrivals import rows_of_history
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feast_repo import sources
from features.feast_repo.store import open_store
from features.feast_repo.views import service_name
from features.feature_set import FeatureSet
from features.history import read
from features.packed_profiles import Profiles, newest
from features.plan import Plan
from features.profile_language import Whose
from serving import backfill, cli
from serving.recovery import all_arrivals
from serving.settings import Settings
from tests.databases import bring_in
from training.simulator import WorldSettings, simulate, write
from training.vectors import vectors


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history, and a ledger that holds it."""
    folder = tmp_path_factory.mktemp("world")
    write(simulate(WorldSettings(seed=7, customers=100, days=20, late_share=0.05)), folder / "history")
    found = read(folder / "history")
    entries = backfill.entries(found, 0, Identifiers(b"a key of tests only, 32 bytes ok"), datetime.now(UTC))
    bring_in(Settings(home=folder).database, entries)
    return folder


def test_the_ledger_gives_the_profiles_that_its_history_gives(world: Path, tmp_path: Path) -> None:
    rows, _ = rows_of_history(read(world / "history"))
    np.testing.assert_array_equal(all_arrivals(Settings(home=world).database), rows)
    assert cli.main(["features", "materialise", "--history", str(world / "history"), "--store", str(tmp_path / "a")]) == 0
    assert cli.main(["features", "materialise", "--home", str(world), "--store", str(tmp_path / "b")]) == 0
    for whose in Whose:
        days = sources.days_done(tmp_path / "a", whose)
        assert days and days < sources.days_done(tmp_path / "b", whose), "a ledger knows that later days have passed too"
        for day in days:
            seen, wanted = (sources.read_profiles(tmp_path / name, whose, day) for name in "ba")
            assert seen.rows.tobytes() == wanted.rows.tobytes()


def test_the_command_makes_feast_s_training_matrix_possible(world: Path, tmp_path: Path) -> None:
    matrix, store_folder = tmp_path / "matrix.parquet", tmp_path / "store"
    assert cli.main(["features", "--history", str(world / "history"), "--out", str(matrix), "--from", "2026-01-05"]) == 0
    command = ["features", "materialise", "--history", str(world / "history"), "--store", str(store_folder)]
    assert cli.main([*command, "--matrix", str(matrix), "--json", str(tmp_path / "figures.json")]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["vectors"] == pq.read_metadata(matrix).num_rows and figures["online"] > 0
    features = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS))
    store = open_store(store_folder)
    service = store.get_feature_service(service_name(features))
    frame = store.get_historical_features(sources.entity_frame(store_folder).to_pandas(), features=service).to_df()
    ids = pq.read_table(matrix)["operation_id"].to_pylist()
    start = datetime(2026, 1, 5, tzinfo=UTC)
    wanted = vectors(read(world / "history"), features, start)
    np.testing.assert_array_equal(frame.set_index("operation_id").loc[ids, list(features.names)].to_numpy(), wanted)


def test_snapshot_alone_writes_what_was_removed(world: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert cli.main(["features", "materialise", "--history", str(world / "history"), "--store", str(store)]) == 0
    first = newest(store / "snapshots")
    assert first is not None
    before = Profiles.load(first).customer.rows.tobytes()
    shutil.rmtree(first)
    assert cli.main(["features", "snapshot", "--store", str(store)]) == 0
    assert newest(store / "snapshots") == first
    assert Profiles.load(first).customer.rows.tobytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["snapshot"], "holds no profiles"),
        (["materialise", "--home", "nowhere"], "nowhere"),
        (["materialise", "--history", "nowhere"], "operations.parquet is missing"),
    ],
)
def test_a_refusal_says_what_to_do(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["features", *arguments, "--store", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (["--to", "2025-01-01"], "no operation had arrived by then"),
        (["--to", "2026-01-01T12:00:00+06:00"], "the operations begin on 2026-01-01, and that day was not over"),
        (["--from", "2027-01-01"], "--from: seen 2027-01-01, allowed up to 2026-01-20"),
        (["--from", "2026-01-15", "--to", "2026-01-10"], "--from: seen 2026-01-15, allowed up to 2026-01-09"),
    ],
)
def test_a_span_in_which_no_day_was_over_is_told(
    world: Path, span: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["features", "materialise", "--history", str(world / "history"), "--store", str(tmp_path)]
    assert cli.main([*command, *span]) == 2
    assert said in capsys.readouterr().err


def test_a_matrix_of_other_features_is_refused(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = tmp_path / "matrix.parquet"
    pq.write_table(pq.read_table(world / "history" / "operations.parquet"), matrix)
    command = ["features", "materialise", "--history", str(world / "history"), "--store", str(tmp_path / "store")]
    assert cli.main([*command, "--matrix", str(matrix)]) == 2
    assert "make it again" in capsys.readouterr().err
