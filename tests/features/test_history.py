"""A history is three tables in one order of arrival, written whole or not at all, and told what is wrong with it."""

import os
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from domain.errors import HistoryError
from domain.events import Event, EventType, Outcome, OutcomeSource, Verdict
from domain.money import Money
from domain.operation import Kind, Operation, Party
from features import history
from features.history import (
    EVENTS,
    OPERATIONS,
    OUTCOMES,
    History,
    between,
    empty,
    records_of,
    sha256,
    table_of,
    whole_folder,
)
from tests import records

AT = datetime(2025, 6, 1, 12, tzinfo=UTC)
FILES = ("operations", "events", "outcomes")


def payment(name: str, at: datetime = AT) -> Operation:
    return Operation(name, at, Kind.E_WALLET, Money(100_00, "KGS"), Party(wallet="w1"), Party(wallet="w2"))


def small() -> History:
    """Two operations, an event and an outcome, arriving as 0, 2, 1 and 3."""
    event = Event("e-1", AT, EventType.LOGIN_FAILED, Party(wallet="w1"))
    outcome = Outcome("o-1", "op-1", Verdict.FRAUD, AT + timedelta(days=1), OutcomeSource.VERIFICATION)
    return History(
        table_of([payment("op-1"), payment("op-2")], Operation, [0, 2]),
        table_of([event], Event, [1]),
        table_of([outcome], Outcome, [3]),
    )


def with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), pa.field(name, values.type), values)


# ---- the schema ------------------------------------------------------------------------------------------------------


def test_the_columns_are_the_fields_of_the_domain() -> None:
    assert OPERATIONS.names[:8] == [
        "sequence", "operation_id", "occurred_at", "kind", "amount_minor", "currency", "sender_customer_id", "sender_account"
    ]  # fmt: skip
    assert {"recipient_virtual_asset_address", "device_ip", "access_agent_id", "funding_source", "purpose"} <= set(
        OPERATIONS.names
    )
    assert {"event_id", "type", "customer_phone", "device_vpn", "operation_id"} <= set(EVENTS.names)
    assert OUTCOMES.names == ["sequence", "outcome_id", "operation_id", "verdict", "known_at", "source", "scheme"]


def test_times_are_utc_milliseconds_and_what_every_row_has_cannot_be_null() -> None:
    assert OPERATIONS.field("occurred_at").type == pa.timestamp("ms", tz="UTC")
    required = [field.name for field in OPERATIONS if not field.nullable]
    assert required == ["sequence", "operation_id", "occurred_at", "kind", "amount_minor", "currency"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: t.drop_columns(["kind"]), r"missing \['kind \(string\)'\]"),
        (lambda t: t.append_column("score", pa.array([0.1, 0.2])), r"unknown \['score'\]"),
        (lambda t: with_column(t, "amount_minor", pa.array([1.0, 2.0])), "amount_minor: double, allowed int64"),
        (lambda t: with_column(t, "occurred_at", pa.array([AT, AT], pa.timestamp("us", tz="UTC"))), r"occurred_at: timestamp\[us"),
        (lambda t: with_column(t, "occurred_at", pa.array([0, 0], pa.timestamp("ms"))), r"occurred_at: timestamp\[ms\], allowed"),
        (lambda t: with_column(t, "purpose", pa.array(["a", "b"], pa.large_string())), "purpose: large_string, allowed string"),
        (lambda t: t.select(list(reversed(t.column_names))), "or in another order"),
    ],
    ids=["missing", "unknown", "float", "microseconds", "naive", "large string", "order"],
)  # fmt: skip
def test_a_table_that_differs_from_its_schema_is_told_how(spoil, said: str) -> None:
    with pytest.raises(HistoryError, match=f"operations does not have its schema: .*{said}"):
        changed(small(), operations=spoil(small().operations))


@pytest.mark.parametrize(
    ("name", "column"), [("operations", "kind"), ("operations", "sequence"), ("events", "type"), ("outcomes", "known_at")]
)
def test_a_row_without_what_every_row_must_have_is_told_which(name: str, column: str) -> None:
    table = getattr(small(), name)
    columns = [pa.nulls(len(table), field.type) if field.name == column else table[field.name] for field in table.schema]
    with pytest.raises(HistoryError, match=f"{name}: no value in {column}, which every row must have"):
        changed(small(), **{name: pa.Table.from_arrays(columns, schema=table.schema)})


# ---- the order -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sequence", [[1, 0], [5, 5]])
def test_a_sequence_that_does_not_rise_is_refused(sequence: list[int]) -> None:
    with pytest.raises(HistoryError, match="operations: sequence does not rise"):
        changed(small(), operations=table_of([payment("op-1"), payment("op-2")], Operation, sequence))


def test_a_sequence_number_shared_by_two_tables_is_refused() -> None:
    with pytest.raises(HistoryError, match="a sequence number stands in two of operations, events, outcomes"):
        changed(small(), operations=table_of([payment("op-1"), payment("op-2")], Operation, [0, 3]))


def test_a_sequence_may_have_gaps_and_begin_anywhere() -> None:
    operations = table_of([payment("op-1"), payment("op-2")], Operation, [-7, 10**12])
    assert len(changed(small(), operations=operations)) == 4


# ---- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("struct", "strategy"),
    [(Operation, records.operations), (Event, records.events), (Outcome, records.outcomes())],
    ids=["operations", "events", "outcomes"],
)
@settings(max_examples=40)
@given(data=st.data())
def test_records_come_back_from_their_table(struct: type[Struct], strategy: st.SearchStrategy, data: st.DataObject) -> None:
    kept = data.draw(st.lists(strategy, max_size=8))
    sequence = sorted(data.draw(st.sets(st.integers(-(2**62), 2**62), min_size=len(kept), max_size=len(kept))))
    table = table_of(kept, struct, np.array(sequence, np.int64))
    assert table.schema == history.schema(struct)
    assert list(records_of(table, struct, batch=data.draw(st.integers(1, 3)))) == list(zip(sequence, kept, strict=True))


def test_a_history_comes_back_from_its_folder(tmp_path: Path) -> None:
    history.write(small(), tmp_path / "deep" / "folder")
    again = history.read(tmp_path / "deep" / "folder")
    assert again == small() and len(again) == 4
    assert sorted(path.name for path in (tmp_path / "deep").rglob("*")) == [
        "events.parquet",
        "folder",
        "operations.parquet",
        "outcomes.parquet",
    ]


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_column_without_values_comes_back_as_nulls_whether_the_file_counts_them_or_not(
    tmp_path: Path, statistics: bool, rows: int
) -> None:
    table = table_of([payment(f"o{place}") for place in range(rows)], Operation, range(rows))
    history.write(History(table, empty(Event), empty(Outcome)), tmp_path / "h")
    pq.write_table(table, tmp_path / "h" / "operations.parquet", write_statistics=statistics, row_group_size=2)
    assert history.read(tmp_path / "h").operations.equals(table)


def test_a_value_in_one_group_of_rows_alone_is_read(tmp_path: Path) -> None:
    explained = msgspec.structs.replace(payment("o2"), purpose="rent")
    table = table_of([payment("o0"), payment("o1"), explained], Operation, range(3))
    history.write(History(table, empty(Event), empty(Outcome)), tmp_path / "h")
    pq.write_table(table, tmp_path / "h" / "operations.parquet", row_group_size=2)
    assert history.read(tmp_path / "h").operations["purpose"].to_pylist() == [None, None, "rent"]


def test_the_hash_of_a_history_is_of_its_files(tmp_path: Path) -> None:
    for name in ("one", "same"):
        history.write(small(), tmp_path / name)
    history.write(changed(small(), outcomes=empty(Outcome)), tmp_path / "other")
    assert sha256(tmp_path / "one") == sha256(tmp_path / "same") != sha256(tmp_path / "other")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    history.write(small(), tmp_path / "h")
    (tmp_path / "h" / f"{name}.parquet").unlink()
    with pytest.raises(
        HistoryError, match=f"{name}.parquet is missing; a history is a folder with operations.parquet, events"
    ):
        history.read(tmp_path / "h")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_bytes(b"PAR1"), lambda path: path.write_bytes(path.read_bytes()[:-9])]
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, spoil) -> None:
    history.write(small(), tmp_path / "h")
    spoil(tmp_path / "h" / f"{name}.parquet")
    with pytest.raises(HistoryError, match=f"{name}.parquet is not a readable Parquet file"):
        history.read(tmp_path / "h")


# ---- whole or not at all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch], ids=["folder", "file"])
def test_what_exists_is_never_written_over(tmp_path: Path, make) -> None:
    make(tmp_path / "h")
    with pytest.raises(HistoryError, match="h exists; name a new folder or remove it first"):
        history.write(small(), tmp_path / "h")
    assert list(tmp_path.rglob("*")) == [tmp_path / "h"]


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_write_that_fails_in_the_middle_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def half(folder: Path) -> None:
        with whole_folder(folder) as draft:
            pq.write_table(small().operations, draft / "operations.parquet")
            raise error

    with pytest.raises(type(error)):
        half(tmp_path / "h")
    assert list(tmp_path.iterdir()) == []
    history.write(small(), tmp_path / "h")


def test_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bool]] = []

    def fsync(file: int) -> None:
        synced.append((Path(f"/proc/self/fd/{file}").readlink().name, (tmp_path / "h").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with whole_folder(tmp_path / "h") as draft:
        (draft / "file").touch()
    assert synced == [("file", False), (draft.name, False), (tmp_path.name, True)]


def test_nobody_sees_a_folder_before_it_is_whole(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "h") as draft:
        assert draft.is_dir() and not (tmp_path / "h").exists()
        (draft / "file").touch()
    assert [path.name for path in (tmp_path / "h").iterdir()] == ["file"]


# ---- cutting ---------------------------------------------------------------------------------------------------------

MOMENTS = [AT + timedelta(milliseconds=ms) for ms in range(6)]
bounds = st.none() | st.sampled_from(MOMENTS)


@given(start=bounds, end=bounds)
def test_between_takes_its_start_and_leaves_its_end(start: datetime | None, end: datetime | None) -> None:
    table = table_of([payment(f"op-{ms}", moment) for ms, moment in enumerate(MOMENTS)], Operation, range(6))
    wanted = [m for m in MOMENTS if (start is None or start <= m) and (end is None or m < end)]
    assert between(table, "occurred_at", start, end)["occurred_at"].to_pylist() == wanted


def test_slices_side_by_side_are_the_whole() -> None:
    table = table_of([payment(f"op-{ms}", moment) for ms, moment in enumerate(MOMENTS)], Operation, range(6))
    parts = [
        between(table, "occurred_at", *ends) for ends in ((None, MOMENTS[2]), (MOMENTS[2], MOMENTS[4]), (MOMENTS[4], None))
    ]
    assert pa.concat_tables(parts) == table
