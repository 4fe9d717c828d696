"""Our engine on generated operations: the whole declared set entity by entity and in order of arrival, its matrix in Parquet, one by one."""

import resource
import time
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.feature_engine.generated import is_operation, slices
from features.by_entity import Block, Gathering, blocks, matrix_of
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.engine import Engine, Vector, numbered
from features.language import Own
from features.plan import Plan

Integers = NDArray[np.int64]
Made = TypeVar("Made")
ROUNDS = 2
"""Of the kernel and of writing its matrix: in the second both have the memory that the first one held."""
WRITING = ("write_cpu_s", "write_system_cpu_s")


class Spent:
    """cpu_s: CPU seconds of the engine alone, of all threads; system_cpu_s of them in the operating system, which gives memory as
    it is touched; warm_up_s: of loading or compiling the kernel, before.
    """

    def __init__(self, plan: Plan) -> None:
        began = time.process_time()
        _warm_up(plan)
        self.warm_up_s = time.process_time() - began
        self.cpu_s = self.system_cpu_s = 0.0

    def timed(self, make: Callable[[], Made]) -> Made:
        """What is made, its time counted."""
        began, in_system = time.process_time(), _system_s()
        made = make()
        self.cpu_s += time.process_time() - began
        self.system_cpu_s += _system_s() - in_system
        return made


class ByEntity(Spent):
    """A whole history entity by entity, on one thread."""

    def __init__(self, plan: Plan, operations: int) -> None:
        super().__init__(plan)
        self._plan, self._operations = plan, operations

    def blocks(self) -> Iterator[Block]:
        """The columns of the matrix, those of one kind of entity after those of another."""
        gathering = Gathering(2 * self._operations)
        for rows in shown(self._operations, "entity by entity"):
            asked = is_operation(rows)
            self.timed(lambda rows=rows, asked=asked: gathering.append(rows, asked))  # type: ignore[misc]
        self.arrivals = len(gathering.arrivals())
        found = blocks(self._plan, gathering.arrivals(), threads=1)
        while (block := self.timed(lambda: next(found, None))) is not None:
            yield block
            del block


class InOrder(Spent):
    """Slices of arrivals through an engine into one matrix, which is used again for each slice."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.engine = Engine(plan)
        self._matrix: Vector = np.empty((0, len(plan)))

    def __call__(self, rows: Integers) -> Vector:
        """The matrix (operations, features) of a slice; the next call overwrites it."""
        asked = is_operation(rows)
        count = int(asked.sum())
        if len(self._matrix) < count:
            self._matrix = np.empty((count, self._matrix.shape[1]))
        wanted = numbered(asked)
        self.timed(lambda: self.engine.replay(rows, self._matrix, wanted))
        return self._matrix[:count]


def _system_s() -> float:
    """CPU seconds that this process has spent in the operating system."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_stime


def _warm_up(plan: Plan) -> None:
    rows = next(slices(1_000))
    engine = Engine(plan)
    engine.replay(rows, np.empty((len(rows), len(plan))), np.arange(len(rows)))
    engine.read(rows[0].tolist())
    engine.apply(rows[0].tolist())
    gathering = Gathering(len(rows))
    gathering.append(rows, is_operation(rows))
    matrix_of(plan, gathering.arrivals())


def shown(operations: int, what: str) -> Iterator[Integers]:
    """The generated slices, with progress."""
    with tqdm(total=operations, desc=what, unit="operation", unit_scale=True, mininterval=5) as progress:
        for rows in slices(operations):
            yield rows
            progress.update(int(is_operation(rows).sum()))


def behavioural(plan: Plan) -> int:
    """How many declarations look at behaviour: values of the operation itself are not counted as features here."""
    return sum(not isinstance(declaration, Own) for declaration in plan.declarations)


def by_entity(operations: int) -> dict[str, Any]:
    """CPU seconds of every declared feature of every operation entity by entity; like a peer's columns, each block is dropped."""
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    replay = ByEntity(plan, operations)
    columns = 0
    for block in replay.blocks():
        columns += len(block.places)
        del block
    assert columns == len(plan)
    return _figures(plan, replay, operations) | {"arrivals": replay.arrivals}


def in_order(operations: int) -> dict[str, Any]:
    """The same in order of arrival, slice by slice: for histories larger than memory."""
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    replay = InOrder(plan)
    for rows in shown(operations, "in order of arrival"):
        replay(rows)
    return _figures(plan, replay, operations) | _of_state(replay)


def matrix_file(operations: int, folder: Path) -> dict[str, Any]:
    """As `in_order`, and each slice of the matrix goes to a Parquet file, as `features.batch.write_in_slices` would write it.

    Both ROUNDS times, each time from nothing: the best round of each counts, and every round is given.
    """
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    rounds = [_matrix_file(plan, operations, folder / "matrix.parquet") for _ in range(ROUNDS)]
    best, written = min(rounds, key=itemgetter("cpu_s")), min(rounds, key=itemgetter("write_cpu_s"))
    return (
        best
        | {key: written[key] for key in WRITING}
        | {"rounds": [{key: each[key] for key in ("cpu_s", "system_cpu_s", *WRITING)} for each in rounds]}
    )


def _matrix_file(plan: Plan, operations: int, path: Path) -> dict[str, Any]:
    """One round: a new engine and a new file."""
    replay = InOrder(plan)
    schema = pa.schema([(name, pa.float64()) for name in plan.names])
    write_cpu_s = write_system_s = 0.0
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
        for rows in shown(operations, "in order of arrival, and Parquet"):
            matrix = replay(rows)
            began, in_system = time.process_time(), _system_s()
            writer.write_table(pa.table([pa.array(matrix[:, i]) for i in range(len(plan))], schema=schema))
            write_cpu_s += time.process_time() - began
            write_system_s += _system_s() - in_system
    size = path.stat().st_size
    path.unlink()
    return _figures(plan, replay, operations) | _of_state(replay) | {
        "write_cpu_s": write_cpu_s, "write_system_cpu_s": write_system_s, "file_gib": size / 2**30,
    }  # fmt: skip


def _figures(plan: Plan, replay: Spent, operations: int) -> dict[str, Any]:
    features = behavioural(plan)
    return {
        "declared": len(plan), "features": features, "cpu_s": replay.cpu_s,
        "system_cpu_s": replay.system_cpu_s,
        "cpu_s_per_feature": replay.cpu_s / features, "cpu_us_per_operation": replay.cpu_s / operations * 1e6,
        "warm_up_s": replay.warm_up_s,
    }  # fmt: skip


def _of_state(replay: InOrder) -> dict[str, Any]:
    return {"arrivals": replay.engine.applied, "state_gib": replay.engine.nbytes / 2**30}


def online(operations: int, singles: int) -> dict[str, Any]:
    """Microseconds of wall time of `read`, of `apply` and of both, one operation at a time after a history of `operations`."""
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    replay = InOrder(plan)
    later: list[Integers] = []
    done = 0
    for rows in shown(operations + singles, "history before single operations"):
        cut = int(np.searchsorted(np.cumsum(is_operation(rows)), operations - done, side="right"))
        replay(rows[:cut])
        later.append(rows[cut:])
        done += int(is_operation(rows[:cut]).sum())
    read_us, apply_us = _one_by_one(replay.engine, np.concatenate(later))
    return {
        "operations": len(read_us), "features": len(plan), "read_us": _percentiles(read_us),
        "apply_us": _percentiles(apply_us), "both_us": _percentiles(read_us + apply_us),
    }  # fmt: skip


def _one_by_one(engine: Engine, rows: Integers) -> tuple[Vector, Vector]:
    """Times of reading and of applying each operation; events and outcomes are applied between them, unmeasured."""
    clock = time.perf_counter_ns
    asked = is_operation(rows)
    times = np.empty((int(asked.sum()), 3), np.int64)
    place = 0
    for row, is_read in zip(rows, asked.tolist(), strict=True):
        if not is_read:
            engine.apply(row)
            continue
        began = clock()
        engine.read(row)
        between = clock()
        engine.apply(row)
        times[place] = began, between, clock()
        place += 1
    return (times[:, 1] - times[:, 0]) / 1000, (times[:, 2] - times[:, 1]) / 1000


def _percentiles(us: Vector) -> dict[str, float]:
    return {"p50": float(np.percentile(us, 50)), "p99": float(np.percentile(us, 99)), "mean": float(us.mean())}
