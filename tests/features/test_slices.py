"""A history on disk, read in slices, gives the rows and the matrix of the whole, and is told the same of what is wrong."""

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from domain.errors import HistoryError
from domain.events import Event, EventType, Outcome, OutcomeSource, Verdict
from domain.money import Money
from domain.operation import Device, Kind, Operation, Party
from features import history as histories
from features.arrivals import rows_of_history
from features.batch import MatrixFile, blocks_of, matrix_of, write_blocks
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.history import History, between, cut, table_of
from features.plan import Plan
from features.slices import slices_in_memory, slices_of
from serving import cli

AT = datetime(2025, 6, 1, 12, tzinfo=UTC)
PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)


def operation(number: int) -> Operation:
    return Operation(
        f"op-{number}", AT + timedelta(hours=number), Kind.E_WALLET, Money(100 * number, "KGS"), Party(wallet=f"w{number % 7}"),
        Party(wallet=f"w{number % 5}"), Device(id=f"d{number % 3}"),
    )  # fmt: skip


def small(operations: int = 60) -> History:
    """Operations with an event after every fourth; half of them turn out to be something thirty arrivals later."""
    arrivals: list[Operation | Event | Outcome] = []
    for number in range(operations):
        arrivals.append(operation(number))
        if number % 4 == 0:
            arrivals.append(Event(f"e-{number}", arrivals[-1].occurred_at, EventType.LOGIN_FAILED, Party(wallet="w1")))
        if number >= 30 and number % 2:
            verdict = Verdict.FRAUD if number % 3 else Verdict.LEGITIMATE
            known_at = AT + timedelta(hours=number)
            arrivals.append(Outcome(f"o-{number}", f"op-{number - 30}", verdict, known_at, OutcomeSource.VERIFICATION))
    return History(*(_table(arrivals, struct) for struct in (Operation, Event, Outcome)))


def _table(arrivals: list[Operation | Event | Outcome], struct: type) -> object:
    mine = [(sequence, record) for sequence, record in enumerate(arrivals) if isinstance(record, struct)]
    return table_of([record for _, record in mine], struct, [sequence for sequence, _ in mine])


def on_disk(history: History, tmp_path: Path) -> Path:
    histories.write(history, tmp_path / "history")
    return tmp_path / "history"


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_the_rows_of_the_slices_are_those_of_the_whole(tmp_path: Path, size: int) -> None:
    history = small()
    slices = list(slices_of(on_disk(history, tmp_path), size))
    assert np.array_equal(np.concatenate([piece.rows for piece in slices]), rows_of_history(history)[0])
    ids = [name for piece in slices for name in piece.operations["operation_id"].to_pylist()]
    assert ids == history.operations["operation_id"].to_pylist()
    assert len(slices) > 20 or size > 1
    assert all(len(piece.rows) <= 3 * size for piece in slices)


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_the_slices_of_a_history_in_memory_have_its_rows_too(size: int) -> None:
    history = small()
    slices = list(slices_in_memory(history, size))
    assert np.array_equal(np.concatenate([piece.rows for piece in slices]), rows_of_history(history)[0])
    ids = [name for piece in slices for name in piece.operations["operation_id"].to_pylist()]
    assert ids == history.operations["operation_id"].to_pylist()
    assert {len(piece.rows) for piece in slices[:-1]} <= {size}


@pytest.mark.parametrize("start", [None, AT + timedelta(hours=20)])
def test_the_matrix_is_the_same_in_however_many_slices(start: datetime | None) -> None:
    whole = matrix_of(small(), PLAN, start=start)
    assert whole.tobytes() == matrix_of(small(), PLAN, start=start, size=7).tobytes()


def test_a_slice_never_reads_the_whole_history_ahead(tmp_path: Path) -> None:
    sizes = [len(piece.rows) for piece in slices_of(on_disk(small(), tmp_path), 5)]
    assert max(sizes) <= 15 and sum(sizes) == len(small())


def test_slices_end_where_a_cut_history_ends(tmp_path: Path) -> None:
    history, end = small(), AT + timedelta(hours=41)
    rows = np.concatenate([piece.rows for piece in slices_of(on_disk(history, tmp_path), 4, end)])
    assert np.array_equal(rows, rows_of_history(cut(history, None, end))[0])


def test_an_empty_history_has_no_rows(tmp_path: Path) -> None:
    nothing = History(*(histories.empty(struct) for struct in (Operation, Event, Outcome)))
    assert sum(len(piece.rows) for piece in slices_of(on_disk(nothing, tmp_path), 5)) == 0


def written(folder: Path, history: History) -> Path:
    """The folder of a history that is not checked when it is written."""
    folder.mkdir()
    for name in ("operations", "events", "outcomes"):
        pq.write_table(getattr(history, name), folder / f"{name}.parquet")
    return folder


def test_what_is_wrong_with_a_history_is_said_of_slices_too(tmp_path: Path) -> None:
    good = small()
    twice = table_of([operation(1), operation(2), operation(1)], Operation, [0, 1, 2])
    unknown = table_of([replace(_first_outcome(), operation_id="op-99")], Outcome, [500])
    early = table_of([replace(_first_outcome(), operation_id="op-59")], Outcome, [good.events["sequence"][-1].as_py()])
    wrong = {
        "stands in operations.parquet more than once": History(twice, good.events.slice(0, 0), good.outcomes.slice(0, 0)),
        "operation 'op-99' is not in operations": History(good.operations, good.events, unknown),
        "'o-1' arrives before its operation": History(good.operations, good.events.slice(0, 0), early),
    }
    for number, (said, history) in enumerate(wrong.items()):
        with pytest.raises(HistoryError, match=said):
            list(slices_of(written(tmp_path / str(number), history), 9))
        if "stands" not in said:  # ids that stand twice are found where a history is read
            with pytest.raises(HistoryError, match=said):
                list(slices_in_memory(history, 9))


def _first_outcome() -> Outcome:
    return Outcome("o-1", "op-1", Verdict.FRAUD, AT, OutcomeSource.VERIFICATION)


def test_a_file_that_is_missing_or_of_another_schema_is_named(tmp_path: Path) -> None:
    folder = on_disk(small(), tmp_path)
    pq.write_table(pq.read_table(folder / "events.parquet").drop_columns(["type"]), folder / "events.parquet")
    with pytest.raises(HistoryError, match="events does not have its schema"):
        next(slices_of(folder, 5))
    (folder / "events.parquet").unlink()
    with pytest.raises(HistoryError, match=r"events\.parquet is missing"):
        next(slices_of(folder, 5))


@pytest.mark.parametrize(
    "options",
    [["--slice-rows", "9"], ["--parts", "3"], ["--parts", "2", "--slice-rows", "11", "--workers", "1"]],
    ids=["slices", "parts", "slices, parts and a process"],
)
def test_the_command_writes_the_bytes_of_the_matrix_in_memory(tmp_path: Path, options: list[str]) -> None:
    history, start = small(), AT + timedelta(hours=20)
    folder, out = on_disk(history, tmp_path), tmp_path / "out.parquet"
    with MatrixFile(tmp_path / "whole.parquet", PLAN) as file:
        write_blocks(blocks_of(history, PLAN, start=start), between(history.operations, "occurred_at", start, None), file)
    mask = os.umask(0o077)
    try:
        arguments = ["features", "--history", str(folder), "--out", str(out), "--from", start.isoformat(), *options]
        assert cli.main(arguments) == 0
    finally:
        os.umask(mask)
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert all(a < b for a, b in pairwise(pq.read_table(out)["sequence"].to_pylist()))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--slice-rows", "0"], "--slice-rows: seen 0, allowed 1 and more"),
        (["--parts", "65"], "parts: seen 65, allowed 1 to 64"),
        (["--ray", "192.0.2.1:6379"], "--work: name a folder that every machine of the Ray cluster sees"),
        (["--workers", "0"], "workers: seen 0, allowed 1 and more"),
        (["--parts", "2", "--work", "nowhere"], "--work: seen 'nowhere', allowed: a folder that is there"),
    ],
)
def test_the_command_refuses_what_is_out_of_bounds_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    folder, out = on_disk(small(), tmp_path), tmp_path / "out.parquet"
    mask = os.umask(0o077)
    try:
        assert cli.main(["features", "--history", str(folder), "--out", str(out), *options]) == 2
    finally:
        os.umask(mask)
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history"]
