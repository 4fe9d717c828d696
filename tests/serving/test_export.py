"""A ledger as a history: what came in, in its order, and what was decided of it."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from casework.ledger import Entry, reading
from domain.errors import HistoryError
from features import history as histories
from features.history import History, cut
from serving import cli, export, replay
from serving.settings import Settings
from tests.databases import bring_in
from tests.serving.running import file_in
from training.simulator import WorldSettings, simulate

WORLD = WorldSettings(seed=4, customers=200, days=12)
FROM = WORLD.start + timedelta(days=9)


@pytest.fixture(scope="module")
def world() -> History:
    return simulate(WORLD).history


@pytest.fixture(scope="module")
def served(world: History, models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, replay.Replayed]:
    """The last days through the whole path, a fifth of what would pass drawn; the days before were brought in."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), models=models, control_verify_share=0.2)
    return settings, asyncio.run(replay.in_process(cut(world, FROM, None), cut(world, None, FROM), settings))


@pytest.fixture(scope="module")
def exported(served: tuple[Settings, replay.Replayed], tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("exported") / "history"
    assert cli.main(["export", "--home", str(served[0].home), "--out", str(folder)]) == 0
    return histories.read(folder)


def test_what_came_in_comes_out(world: History, exported: History) -> None:
    assert exported.arrivals == world.arrivals


def test_every_operation_that_was_decided_has_its_decision(
    served: tuple[Settings, replay.Replayed], world: History, exported: History
) -> None:
    """Those that were brought in were never decided."""
    assert exported.decisions is not None
    rows = {row["operation_id"]: row for row in exported.decisions.to_pylist()}
    assert list(rows) == cut(world, FROM, None).operations["operation_id"].to_pylist()
    _, replayed = served
    assert {id_: replay.LEVELS[row["level"]] for id_, row in rows.items()} == replayed.levels
    assert {id_: row["score"] for id_, row in rows.items()} == replayed.scores
    assert {row["model"] for row in rows.values()} == {(served[0].models / "CHAMPION").read_text().strip()}


def test_the_lot_is_kept_with_its_probability(served: tuple[Settings, replay.Replayed], exported: History) -> None:
    rows = exported.decisions.to_pylist()
    low = [row for row in rows if row["would_be"] == "low"]
    drawn = [row for row in low if row["level"] == "medium"]
    assert len(drawn) == served[1].control["control_verified"]
    assert 0.1 < len(drawn) / len(low) < 0.3
    assert {(row["propensity"], tuple(row["asked"])) for row in low} == {(0.2, ())}
    assert all(row["asked"] and row["propensity"] == 1 for row in rows if row["would_be"] != "low")


def test_a_ledger_is_exported_alike_in_parts_of_any_size(
    served: tuple[Settings, replay.Replayed], exported: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CHUNK", 997)
    with reading(served[0].database) as ledger:
        counts = export.export(ledger, tmp_path / "history")
    assert histories.read(tmp_path / "history") == exported
    assert counts == {name: table.num_rows for name, table in exported.tables.items()}


def test_a_decision_of_before_there_were_lots_was_certain(served: tuple[Settings, replay.Replayed], tmp_path: Path) -> None:
    old = tmp_path / "old"
    bring_in(file_in(old), (entry._replace(evidence=b"{}") for entry in _entries(served[0].database)))
    assert cli.main(["export", "--home", str(old), "--out", str(tmp_path / "history")]) == 0
    rows = histories.read(tmp_path / "history").decisions.to_pylist()
    assert {(row["level"] == row["would_be"], row["level"] == "low", row["propensity"]) for row in rows} == {
        (True, True, 0.0), (True, False, 1.0)
    }  # fmt: skip


def _entries(url: str) -> list[Entry]:
    with reading(url) as ledger:
        return list(ledger.read())


def test_a_folder_that_is_there_is_left_alone(served: tuple[Settings, replay.Replayed], tmp_path: Path, capsys) -> None:
    assert cli.main(["export", "--home", str(served[0].home), "--out", str(tmp_path)]) == 2
    assert "exists" in capsys.readouterr().err


def test_decisions_of_operations_that_are_not_there_are_refused(exported: History) -> None:
    with pytest.raises(HistoryError, match=r"decisions: [0-9]+ of operations that are not in the history"):
        History(exported.operations.slice(0, 5), exported.events, exported.outcomes, exported.decisions)


def test_a_cut_takes_the_decisions_of_its_operations(exported: History) -> None:
    middle = FROM + timedelta(days=1)
    parts = cut(exported, None, middle), cut(exported, middle, None)
    assert [part.decisions.num_rows > 0 for part in parts] == [True, True]
    assert sum(part.decisions.num_rows for part in parts) == exported.decisions.num_rows


def test_the_decisions_are_part_of_what_a_model_was_trained_on(exported: History, tmp_path: Path) -> None:
    histories.write(exported, tmp_path / "with")
    shutil.copytree(tmp_path / "with", tmp_path / "without")
    (tmp_path / "without" / "decisions.parquet").unlink()
    assert histories.read(tmp_path / "without").decisions is None
    assert histories.sha256(tmp_path / "with") != histories.sha256(tmp_path / "without")
