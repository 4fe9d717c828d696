"""A history against Burana, and the figures that come of it."""

import asyncio
import math
import shutil
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from casework.effectiveness import effectiveness
from domain.errors import BundleError, HistoryError, LedgerError
from domain.identifiers import Identifiers
from features.batch import matrix_of
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.history import History, cut
from features.plan import Plan
from serving import replay
from serving.app import Burana
from serving.backfill import entries
from serving.settings import Settings
from serving.verification import verify
from tests.databases import bring_in
from tests.serving.running import file_in
from training.simulator import WorldSettings, simulate

IDENTIFIERS, NOW = Identifiers(b"a key for tests only"), datetime.now(UTC)
PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
FROM = datetime(2026, 1, 16, tzinfo=UTC)


@pytest.fixture(scope="module")
def history() -> History:
    return simulate(WorldSettings(seed=9, customers=300, days=20)).history


@pytest.fixture(scope="module")
def replayed(history: History, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, replay.Replayed]:
    """The last days of a history through the whole path in this process; no model, so everything is verified at least."""
    home = tmp_path_factory.mktemp("replayed")
    settings = Settings(home=home, models=home / "models", require_model=False)
    return home, asyncio.run(replay.in_process(cut(history, FROM, None), cut(history, None, FROM), settings))


def test_a_missing_model_is_said_before_the_ledger_is_filled(history: History, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="train a model first"):
        asyncio.run(replay.in_process(history, history, Settings(home=tmp_path / "home", models=tmp_path)))
    assert not (tmp_path / "home").exists()


def test_every_record_is_answered(history: History, replayed: tuple[Path, replay.Replayed]) -> None:
    _, result = replayed
    span = cut(history, FROM, None)
    assert result.records == len(span) > 1_000
    assert len(result.levels) == span.operations.num_rows
    assert not result.refusals


def test_the_ledgers_vectors_are_the_matrix_of_the_history_bit_for_bit(
    history: History, replayed: tuple[Path, replay.Replayed]
) -> None:
    """In process the order of history is the order of the ledger, so the rows are those of the batch matrix itself."""
    home, _ = replayed
    matrix = matrix_of(history, PLAN)
    ids = history.operations["operation_id"].to_pylist()
    burana = asyncio.run(_stored(home, ids))
    served = [(row, vector) for row, vector in enumerate(burana) if vector is not None]
    assert len(served) == cut(history, FROM, None).operations.num_rows
    assert all(matrix[row].tobytes() == vector for row, vector in served)


async def _stored(home: Path, ids: list[str]) -> list[bytes | None]:
    burana = Burana(Settings(home=home, models=home, require_model=False))
    await burana.open()
    try:
        found = [burana.ledger.find("operation", id_) for id_ in ids]
        return [None if entry is None else entry.vector for entry in found]
    finally:
        await burana.close()


def test_verify_recomputes_every_vector_from_the_records(replayed: tuple[Path, replay.Replayed]) -> None:
    home, result = replayed
    figures = verify(file_in(home), PLAN)
    assert figures["vectors"] == len(result.levels)
    assert figures["vectors_differ"] == 0


def test_verify_finds_a_single_flipped_bit(replayed: tuple[Path, replay.Replayed], tmp_path: Path) -> None:
    shutil.copy(replayed[0] / "burana.db", tmp_path / "burana.db")
    connection = sqlite3.connect(tmp_path / "burana.db")
    sequence, vector = connection.execute("SELECT sequence, vector FROM entries WHERE vector IS NOT NULL LIMIT 1").fetchone()
    connection.execute("DROP TRIGGER entries_are_not_updated")
    flipped = bytes([vector[0] ^ 1]) + vector[1:]
    connection.execute("UPDATE entries SET vector = ? WHERE sequence = ?", (flipped, sequence))
    connection.commit()
    connection.close()
    figures = verify(file_in(tmp_path), PLAN)
    assert figures["vectors_differ"] == 1
    assert f"{PLAN.names[0]} served" in figures["first_difference"]


def test_without_a_model_nothing_is_low(replayed: tuple[Path, replay.Replayed]) -> None:
    assert min(replayed[1].levels.values()) >= 1


def test_the_figures_add_up(history: History, replayed: tuple[Path, replay.Replayed]) -> None:
    _, result = replayed
    figures = replay.report(result, replay.compare(history, result))
    total = figures["effectiveness"]
    assert sum(total[f"{kind}_{level}"] for kind in ("fraud", "genuine") for level in ("low", "medium", "high")) == len(
        result.levels
    )
    assert total["recall"] + total["missed"] == 1
    assert sum(row["fraud_medium"] for row in figures["by_kind"].values()) == total["fraud_medium"]
    assert len(list(replay.table(figures))) > 10


def test_a_share_of_nothing_is_told_as_none(history: History, replayed: tuple[Path, replay.Replayed]) -> None:
    compared = replay.compare(history, replayed[1])
    nobody = replace(compared, is_fraud=np.zeros_like(compared.is_fraud))
    lines = "\n".join(replay.table(replay.report(replayed[1], nobody)))
    assert "recall (stopped: medium or high)      -   missed -   rejected at once -" in lines
    assert "nan" not in lines


def test_both_readings_of_the_false_positive_rate() -> None:
    levels = np.array([2, 2, 1, 1, 0, 0, 0, 0])
    fraud = np.array([True, False, True, False, True, False, False, False])
    seen = effectiveness(levels, fraud)
    assert (seen.fraud, seen.genuine) == ((1, 1, 1), (3, 1, 1))
    assert seen.recall == pytest.approx(2 / 3)
    assert seen.precision == pytest.approx(1 / 2)
    assert seen.false_positives_of_stopped == pytest.approx(1 / 2)
    assert seen.false_positives_of_genuine == pytest.approx(2 / 5)
    assert math.isnan(effectiveness(levels[:0], fraud[:0]).recall)


def test_a_span_with_nothing_in_it_is_refused(history: History) -> None:
    with pytest.raises(HistoryError, match="no operation of the span was answered"):
        replay.compare(history, replay.Replayed())


def test_a_history_comes_into_the_ledger_whole_or_not_at_all(history: History, tmp_path: Path) -> None:
    before = cut(history, None, history_start(history) + timedelta(days=2))
    assert bring_in(file_in(tmp_path), entries(before, 0, IDENTIFIERS, NOW)) == len(before)
    with pytest.raises(LedgerError, match="nothing was recorded"):
        bring_in(file_in(tmp_path), entries(before, len(before), IDENTIFIERS, NOW))
    assert _count(tmp_path) == len(before)


def history_start(history: History) -> datetime:
    return history.operations["occurred_at"][0].as_py()


def _count(home: Path) -> int:
    connection = sqlite3.connect(home / "burana.db")
    try:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])
    finally:
        connection.close()


def test_a_history_later_than_now_or_not_in_normal_form_is_refused_whole(history: History, tmp_path: Path) -> None:
    start = history_start(history)
    with pytest.raises(HistoryError, match="nothing was brought in"):
        bring_in(file_in(tmp_path), entries(history, 0, IDENTIFIERS, start + timedelta(days=3)))
    column = history.operations.schema.get_field_index("sender_customer_id")
    shouted = pc.utf8_upper(history.operations["sender_customer_id"])
    disguised = replace(
        history, operations=history.operations.set_column(column, history.operations.schema.field(column), shouted)
    )
    with pytest.raises(HistoryError, match="not in normal form"):
        bring_in(file_in(tmp_path), entries(disguised, 0, IDENTIFIERS, NOW))
    assert _count(tmp_path) == 0


def test_the_cut_follows_the_order_of_arrival_not_time(history: History) -> None:
    """A late operation stays behind those that it arrived after."""
    before, after = cut(history, None, FROM), cut(history, FROM, None)
    assert len(before) + len(after) == len(history)
    parts = [
        np.concatenate([t["sequence"].to_numpy() for t in (h.operations, h.events, h.outcomes)]) for h in (before, after)
    ]
    assert parts[0].max() < parts[1].min()
    times = before.operations["occurred_at"].cast("int64").to_numpy()
    assert times.max() < int(FROM.timestamp() * 1000)


def test_replay_over_connections_that_are_closed_loses_nothing(history: History) -> None:
    """A server that answers three requests on a connection and hangs up: every record is answered all the same."""
    few = cut(history, None, history_start(history) + timedelta(hours=14))
    result = asyncio.run(_against_a_server_that_hangs_up(few))
    assert result.records == len(few) > 50
    assert not result.refusals


async def _against_a_server_that_hangs_up(history: History) -> replay.Replayed:
    answer = b'{"level":"low","score":0.1,"reasons":[]}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await replay.over_http(history, f"http://127.0.0.1:{port}", "key", None, 4)
