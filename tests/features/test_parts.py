"""A history computed in slices or in parts, here or elsewhere, is the same file to the byte as one computed at once."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import SettingsError
from features.batch import MatrixFile, write_in_slices
from features.engine import Engine
from features.language import Count, Feature, Group, Own, Sum, Where, days, marked
from features.layout import MISSING, WORDS, Fact, Slot, Word
from features.partition_files import MOST_PARTS, PartitionFiles
from features.parts import split
from features.plan import Plan
from features.runners import LOCAL, Runner, processes, ray_cluster, run_here
from features.shares import marking
from features.slices import Slice
from features.tasks import compute
from tests.features.test_engine import ALIKE, PLAN, SENT, SHORT, WIDE, WIDE_SHORT, arrivals

PLANS = pytest.mark.parametrize(
    "plan",
    [PLAN, SHORT, WIDE, WIDE_SHORT],
    ids=["declared", "declared, 16 retained", "every aggregate", "every aggregate, 8 retained"],
)


def slices_of_rows(rows: np.ndarray, size: int) -> Iterator[Slice]:
    is_operation = rows[:, Word.FACTS] & Fact.OPERATION != 0
    for first in range(0, len(rows), size):
        numbers = first + np.flatnonzero(is_operation[first : first + size])
        ids = pa.array([f"op-{number}" for number in numbers], pa.string())
        yield Slice(np.ascontiguousarray(rows[first : first + size]), pa.table({"sequence": numbers, "operation_id": ids}))


def in_order_of_arrival(rows: np.ndarray, plan: Plan, size: int) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "matrix.parquet"
        with MatrixFile(path, plan) as file:
            assert write_in_slices(slices_of_rows(rows, size), file, plan) == len(rows)
        return path.read_bytes()


def in_parts(rows: np.ndarray, plan: Plan, size: int, parts: int, runner: Runner = run_here) -> bytes:
    with TemporaryDirectory() as folder:
        path, work = Path(folder) / "matrix.parquet", Path(folder) / "work"
        work.mkdir()
        with MatrixFile(path, plan) as file:
            assert compute(slices_of_rows(rows, size), plan, file, work, parts, runner) == len(rows)
        return path.read_bytes()


def crowded(count: int) -> np.ndarray:
    """A history of few entities: ties, late arrivals, self-payments, what is not given, outcomes and events among operations."""
    random = np.random.default_rng(3)
    rows = random.integers(0, 12, (count, WORDS))
    rows[:, Word.KIND] %= 10
    rows[:, Word.SENDER :][random.random((count, WORDS - Word.SENDER)) < 0.1] = MISSING
    rows[:, Word.TIME] = 1_750_000_000_000 + np.cumsum(random.integers(-(10**6), 10**7, count) // 10**5 * 10**5)
    rows[:, Word.AMOUNT], rows[:, Word.ZONE_OFFSET] = random.integers(0, 10**6, count), 6 * 3_600_000
    rows[:, Word.FACTS] = random.choice(
        [Fact.OPERATION | Fact.TOP_UP, Fact.OPERATION, Fact.OPERATION | Fact.FOREIGN, Fact.LOGIN_FAILED, Fact.FRAUD_KNOWN],
        count,
    )
    located = (rows[:, [Word.LATITUDE, Word.LONGITUDE]] != MISSING).all(axis=1)
    rows[:, Word.FACTS] |= located * int(Fact.LOCATED)
    return rows


@PLANS
@settings(max_examples=12)
@given(rows=arrivals(), size=st.integers(1, 50), parts=st.sampled_from((1, 3)))
def test_parts_give_the_bytes_of_the_order_of_arrival(plan: Plan, rows: list[list[int]], size: int, parts: int) -> None:
    assert in_parts(np.array(rows), plan, size, parts) == in_order_of_arrival(np.array(rows), plan, len(rows))


@PLANS
def test_parts_of_a_long_crowded_history_give_the_bytes_of_the_order_of_arrival(plan: Plan) -> None:
    rows = crowded(3_000)
    expected = in_order_of_arrival(rows, plan, 3_000)
    assert in_parts(rows, plan, 700, 3) == expected
    assert in_parts(rows, plan, 3_000, 1) == expected


def test_slices_give_the_matrix_of_one_engine_bit_for_bit(tmp_path: Path) -> None:
    rows = crowded(2_000)
    asked = rows[:, Word.FACTS] & Fact.OPERATION != 0
    matrix = np.empty((int(asked.sum()), len(SHORT)))
    Engine(SHORT).replay(rows, matrix, np.where(asked, np.cumsum(asked) - 1, -1))
    with MatrixFile(tmp_path / "matrix.parquet", SHORT) as file:
        write_in_slices(slices_of_rows(rows, 300), file, SHORT)
    written = pq.read_table(tmp_path / "matrix.parquet")
    assert [written[name].to_numpy().tobytes() for name in SHORT.names] == [column.tobytes() for column in matrix.T]


@pytest.mark.parametrize("by", [Slot.DEVICE, ALIKE], ids=["a device", "a group"])
def test_marks_that_another_entity_gives_are_seen_in_every_part(by: Slot | Group) -> None:
    """The recipient counts operations of a busy device, or of a busy group: its part knows neither."""
    rows, received = crowded(400), Where("received", Fact.OPERATION | Fact.RECEIVING)
    busy = marked("busy", Feature(by, Count(), SENT, days(7)), 1)
    plan, unmarked = (
        Plan([Feature(Slot.RECIPIENT, Sum(), where, days(30)), Own("window_truncated")], 64)
        for where in (received & busy, received)
    )
    seen = in_parts(rows, plan, 90, 5)
    assert seen == in_order_of_arrival(rows, plan, 400)
    assert values(seen, plan)[0].tobytes() != values(in_order_of_arrival(rows, unmarked, 400), unmarked)[0].tobytes()


def values(matrix: bytes, plan: Plan) -> list[np.ndarray]:
    table = pq.read_table(pa.BufferReader(matrix))
    return [table[name].to_numpy() for name in plan.names]


def test_a_mark_without_a_value_is_not_set_whatever_its_feature_shows_there() -> None:
    feature = replace(Feature(Slot.DEVICE, Count(), SENT), missing=9.0)
    plan = Plan([Feature(Slot.CUSTOMER, Count(), SENT & marked("busy", feature, 3))], 64)
    found = marking(plan)
    assert found is not None and np.isnan(found[0].program.floats[0])
    assert in_parts(crowded(300), plan, 100, 3) == in_order_of_arrival(crowded(300), plan, 300)


@pytest.mark.parametrize("entity", [Slot.SENDER, Slot.DEVICE, ALIKE], ids=["accounts", "devices", "a group"])
def test_every_row_of_an_entity_is_in_one_part_and_in_order(entity: object) -> None:
    rows = crowded(500)
    found = split(rows, entity, 7)
    homes: dict[object, set[int]] = {}
    for part in range(7):
        index = found.index[found.bounds[part] : found.bounds[part + 1]]
        assert np.all(np.diff(index) > 0)
        for row, active in zip(rows[index], found.active[found.bounds[part] : found.bounds[part + 1]], strict=True):
            for slot in range(8):
                if active >> slot & 1:
                    key = row[Word.SENDER + slot] if slot < 7 else (row[Word.CUSTOMER], int(row[Word.AMOUNT]).bit_length())
                    homes.setdefault(key, set()).add(part)
    assert all(len(parts) == 1 for parts in homes.values())
    assert len(set.union(*homes.values())) == 7, "the parts share the entities"


def test_more_parts_than_files_may_be_open_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"seen 65, allowed 1 to {MOST_PARTS}"):
        PartitionFiles(tmp_path, {}, 65)


@pytest.mark.parametrize(
    "run_elsewhere", [lambda: processes(2), lambda: ray_cluster(LOCAL, 2)], ids=["two processes", "two of Ray"]
)
def test_tasks_run_elsewhere_give_the_same_bytes(run_elsewhere: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)  # or Ray writes one into the home folder
    rows = crowded(1_000)
    with run_elsewhere() as runner:
        assert in_parts(rows, SHORT, 400, 2, runner) == in_order_of_arrival(rows, SHORT, 1_000)


def test_a_cluster_that_is_not_there_is_told_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def refused(**_: object) -> None:
        raise ConnectionError("ray client connection timeout")

    monkeypatch.setattr(ray, "init", refused)
    with (
        pytest.raises(SettingsError, match=r"--ray: seen '192\.0\.2\.1:6379', .* or 'local': .* connection timeout"),
        ray_cluster("192.0.2.1:6379"),
    ):
        pass


def test_without_ray_the_extra_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    with pytest.raises(SettingsError, match=r"install burana\[distributed\]"), ray_cluster(LOCAL):
        pass
