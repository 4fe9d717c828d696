"""A named peer computes the declared features that it can express; its columns are kept for the comparison."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from benchmarks.feature_engine import asked
from benchmarks.feature_engine.arrivals_table import arrivals_table
from benchmarks.feature_engine.duckdb_frames import DuckDB
from benchmarks.feature_engine.polars_frames import Polars
from features.definitions import DEFINITIONS
from features.language import Declaration, Group


class Peer(Protocol):
    """What a peer is asked, space after space: first its accumulations, then the values of each slot or group."""

    def __init__(self, arrivals: pa.Table, folder: Path) -> None: ...

    @staticmethod
    def is_asked(declaration: Declaration) -> bool:
        """Whether the peer is asked for a declaration."""
        ...

    def accumulate(self, declarations: Sequence[Declaration]) -> None:
        """Windows and sums of one space of entities."""
        ...

    def values(self, declarations: Sequence[Declaration]) -> pa.Table:
        """Column `number` and one a declaration of one slot or group, in the order of operations; null for missing."""
        ...


PEERS: dict[str, type[Peer]] = {"duckdb": DuckDB, "polars": Polars}


def declarations_of(name: str) -> list[Declaration]:
    """The declarations that a peer is asked for."""
    return [declaration for declaration in DEFINITIONS if PEERS[name].is_asked(declaration)]


def measure(name: str, operations: int, folder: Path) -> dict[str, Any]:
    """CPU seconds of a peer over generated operations, all its threads; its columns go to `folder`."""
    groups = {entity for entity in map(asked.entity_of, declarations_of(name)) if isinstance(entity, Group)}
    peer = PEERS[name](arrivals_table(operations, groups), folder)
    accumulating: dict[str, float] = {}
    ordering: dict[str, float] = {}
    for declarations in asked.by_space(declarations_of(name)):
        word = asked.column_of(asked.entity_of(declarations[0]))
        print(f"{name}: {len(declarations)} features of {word}", flush=True)
        began = time.process_time()
        peer.accumulate(declarations)
        accumulating[word] = time.process_time() - began
        for entity in asked.roles_of(asked.entity_of(declarations[0])):
            of_entity = [declaration for declaration in declarations if asked.entity_of(declaration) == entity]
            began = time.process_time()
            table = peer.values(of_entity)
            ordering[asked.column_of(entity)] = time.process_time() - began
            _keep(folder / name, table, operations)
    features = len(declarations_of(name))
    cpu = sum(accumulating.values()) + sum(ordering.values())
    return {
        "features": features, "not_asked": [d.name for d in DEFINITIONS if not PEERS[name].is_asked(d)], "cpu_s": cpu, "cpu_s_per_feature": cpu / features,
        "accumulating_cpu_s": accumulating, "values_in_order_cpu_s": ordering,
    }  # fmt: skip


def column_file(folder: Path, declaration: Declaration) -> Path:
    """Where a peer's values of a declaration are kept: (operations,) float64, NaN for missing."""
    return folder / f"{declaration.name}.npy"


def _keep(folder: Path, table: pa.Table, operations: int) -> None:
    folder.mkdir(exist_ok=True)
    number = table["number"].to_numpy()
    for name in table.column_names[1:]:
        values = np.full(operations, np.nan)
        values[number] = table[name].cast(pa.float64()).to_numpy()
        np.save(folder / f"{name}.npy", values)
