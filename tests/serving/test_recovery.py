"""From the ledger to the features: the same state by every way."""

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from casework import database as databases
from casework.ledger import Ledger
from casework.writers import bring_in
from domain.identifiers import Identifiers
from domain.operation import Operation
from features.arrivals import row_of_operation
from features.definitions import DEFINITIONS
from features.engine import Engine
from features.history import records_of
from features.plan import Plan
from serving import recovery
from serving.backfill import entries
from serving.recorded_at import RecordedAt
from serving.snapshots import save
from tests.serving.running import file_in
from training.simulator import WorldSettings, simulate

PLAN = Plan(DEFINITIONS, 1 << 14)
WORLD = simulate(WorldSettings(seed=4, customers=120, days=8)).history
QUESTIONS = [
    row_of_operation(record) for _, record in records_of(WORLD.operations.slice(WORLD.operations.num_rows - 50), Operation)
]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with databases.connect(file_in(tmp_path)) as database:
        bring_in(database, entries(WORLD, 0, Identifiers(b"a key for tests only"), datetime.now(UTC)))
        yield Ledger(database)


def answers(engine: Engine) -> list[bytes]:
    return [engine.read(row).tobytes() for row in QUESTIONS]


def rewritten(path: Path, statement: str) -> None:
    """What no release does: change recorded entries, as an older release would have written them."""
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER entries_are_not_updated")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_snapshot_and_the_whole_ledger_give_the_same_features(ledger: Ledger, tmp_path: Path) -> None:
    engine = recovery.rebuild(PLAN, ledger, tmp_path / "state.npz")
    save(engine, ledger, tmp_path / "state.npz", 0)
    restored = recovery.rebuild(PLAN, ledger, tmp_path / "state.npz")
    assert restored.applied == engine.applied == len(WORLD)
    assert answers(restored) == answers(engine)


def test_rows_of_another_release_are_made_again_from_their_records(ledger: Ledger, tmp_path: Path) -> None:
    engine = recovery.rebuild(PLAN, ledger, tmp_path / "none.npz")
    rewritten(tmp_path / "burana.db", "UPDATE entries SET row = x'00', encoding = 0 WHERE sequence % 3 = 0")
    assert answers(recovery.rebuild(PLAN, ledger, tmp_path / "none.npz")) == answers(engine)


def test_a_snapshot_of_another_ledger_is_left_aside(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The database was removed and filled again, longer than before, under the same name: the old state must not come back."""
    snapshot = tmp_path / "state.npz"
    save(recovery.rebuild(PLAN, ledger, snapshot), ledger, snapshot, 0)
    rewritten(tmp_path / "burana.db", "UPDATE entries SET recorded_at = '2026-01-01T00:00:00.000000+00:00'")
    with caplog.at_level(logging.WARNING):
        assert recovery.rebuild(PLAN, ledger, snapshot).applied == len(WORLD)
    assert "is of another ledger" in caplog.text


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9], ids=["empty", "cut early", "cut late"])
def test_a_snapshot_that_is_cut_off_is_left_aside(ledger: Ledger, tmp_path: Path, share: float) -> None:
    whole, cut = tmp_path / "whole.npz", tmp_path / "cut.npz"
    save(recovery.rebuild(PLAN, ledger, cut), ledger, whole, 0)
    shutil.copy(whole, cut)
    with cut.open("r+b") as file:
        file.truncate(int(whole.stat().st_size * share))
    assert recovery.rebuild(PLAN, ledger, cut).applied == len(WORLD)


def test_moments_go_on_from_what_another_process_recorded():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    moments = RecordedAt(lambda: now, None, lambda: None)
    moments.not_before(now + timedelta(seconds=3))
    assert moments.now() == (now + timedelta(seconds=3)).isoformat(timespec="microseconds")
