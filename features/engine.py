"""The engine: one state of behaviour, read and applied one arrival at a time, or replayed over many."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import StateError
from features import kernel
from features.kernel import M_FREE, META_WORDS, Scratch, State
from features.layout import MISSING, SLOTS, SPACES, WORDS
from features.plan import MAX_FAMILIES, Plan

Vector = NDArray[np.float64]
SNAPSHOT_FORMAT = 1


class Engine:
    """Behaviour of every customer, recipient, device and so on, as of the last arrival applied.

    Not safe for several threads: one process applies arrivals in one order, which is the order of the ledger.
    """

    def __init__(self, plan: Plan, state: State | None = None) -> None:
        if kernel.compiled_layout() != kernel.LAYOUT:
            raise StateError("the compiled kernel is older than features/layout.py or plan.py; remove features/__pycache__")
        self.plan = plan
        self._state = _empty_state(plan) if state is None else state
        self._scratch = _scratch(plan)

    @property
    def applied(self) -> int:
        """How many arrivals were applied since the beginning."""
        return int(self._state.meta[kernel.M_APPENDED])

    @property
    def entities(self) -> int:
        """How many accounts, customers, devices and so on have history."""
        return int(self._state.meta[kernel.M_LIVE])

    @property
    def nbytes(self) -> int:
        """Bytes held by the state."""
        return sum(array.nbytes for array in self._state)

    def read(self, row: list[int]) -> Vector:
        """The vector (features,) float64 of an operation that has not arrived yet; changes nothing."""
        self._scratch.row[:] = row
        vector = np.empty(len(self.plan), np.float64)
        kernel.read(self.plan.program, self._state, self._scratch.row, self._scratch, vector)
        return vector

    def apply(self, row: list[int]) -> None:
        """Let an arrival happen: once for each, in the ledger's order."""
        while not kernel.has_room(self.plan.program, self._state):
            self._grow()
        self._scratch.row[:] = row
        kernel.apply(self.plan.program, self._state, self._scratch.row, self._scratch)

    def replay(self, rows: NDArray[np.int64], matrix: Vector, wanted: NDArray[np.int64]) -> None:
        """Read and apply rows (n, WORDS) in order; row i's vector goes to matrix[wanted[i]], none where wanted[i] < 0."""
        done = 0
        while True:
            done = kernel.replay(self.plan.program, self._state, rows, self._scratch, matrix, wanted, done)
            if done == len(rows):
                return
            self._grow()

    def _grow(self) -> None:
        self._state = _grown(self.plan, self._state)

    def snapshot(self, path: Path, **notes: Any) -> None:
        """Write the state whole or not at all; notes (such as the ledger's sequence) come back from `restore`."""
        header = {"format": SNAPSHOT_FORMAT, "plan": self.plan.hash, "notes": notes}
        draft = path.with_name(path.name + ".draft")
        with draft.open("wb") as file:
            arrays: dict[str, Any] = {
                "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
                **_trimmed(self._state),
            }
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    @classmethod
    def restore(cls, plan: Plan, path: Path) -> tuple["Engine", dict[str, Any]]:
        """The engine and the notes of a snapshot; StateError if another plan made it or it is damaged."""
        try:
            with path.open("rb") as opened, np.load(opened) as file:
                header = json.loads(file["header"].tobytes())
                arrays = {name: file[name] for name in State._fields}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StateError(
                f"{path} is not a readable snapshot ({error}); remove it, the state is rebuilt from the ledger"
            ) from error
        if header["format"] != SNAPSHOT_FORMAT or header["plan"] != plan.hash:
            raise StateError(f"{path} was made by features {header['plan'][:12]}, running are {plan.hash[:12]}; remove it")
        return cls(plan, State(**arrays)), header["notes"]


def _empty_state(plan: Plan, entities: int = 1 << 10) -> State:
    meta = np.zeros(META_WORDS, np.int64)
    meta[kernel.M_LAST_TIME] = meta[kernel.M_EVICTED_TIME] = MISSING
    meta[M_FREE : M_FREE + SPACES] = -1
    pairs = np.zeros((1 << 11, 3), np.int64)
    pairs[:, 0] = -1
    return State(
        meta=meta,
        log=np.zeros((min(1 << 10, plan.retained), kernel.LOG_WORDS), np.int64),
        pool=np.zeros(entities * int(plan.program.limits[2]), np.int64),
        entities=np.zeros(entities, np.int64),
        directory=np.full(4 * entities, -1, np.int64),
        pairs=pairs,
    )


def _scratch(plan: Plan) -> Scratch:
    return Scratch(
        records=np.zeros(SLOTS * int(plan.program.limits[2]), np.int64),
        entities=np.zeros(SLOTS, np.int64),
        bases=np.zeros(SLOTS, np.int64),
        previous=np.zeros(MAX_FAMILIES, np.int64),
        row=np.zeros(WORDS, np.int64),
    )


def _trimmed(state: State) -> dict[str, NDArray[Any]]:
    """The arrays of a state without the room at their ends, at least a little of each."""
    meta = state.meta
    used = min(int(meta[kernel.M_APPENDED]), len(state.log))
    return state._replace(
        log=state.log[: max(used, 1)], pool=state.pool[: max(int(meta[kernel.M_POOL]), 1)],
        entities=state.entities[: max(int(meta[kernel.M_ENTITIES]), 1)],
    )._asdict()  # fmt: skip


def _grown(plan: Plan, state: State) -> State:
    """A state with more room wherever little is left; a hash table that grew is filled anew."""
    meta, width = state.meta, int(plan.program.limits[2])
    log, pool, entities, directory, pairs = state[1:]
    if meta[kernel.M_APPENDED] >= len(log) and len(log) < plan.retained:
        log = _longer(log, min(plan.retained, max(2 * len(log), 1 << 10)))
    if meta[kernel.M_POOL] + SLOTS * width > len(pool):
        pool = _longer(pool, 2 * len(pool) + SLOTS * width)
    if meta[kernel.M_ENTITIES] + SLOTS > len(entities):
        entities = _longer(entities, 2 * len(entities) + SLOTS)
    if 5 * (meta[kernel.M_PAIRS] + SLOTS * MAX_FAMILIES) > 3 * len(pairs):
        pairs = np.empty((2 * len(pairs), 3), np.int64)
        pairs[:, 0] = -1
        kernel.reindex_pairs(pairs, state.pairs)
    if 2 * (meta[kernel.M_LIVE] + SLOTS) > len(directory):
        directory = np.full(2 * len(directory), -1, np.int64)
        grown = State(meta, log, pool, entities, directory, pairs)
        kernel.reindex_entities(grown)
        return grown
    return State(meta, log, pool, entities, directory, pairs)


def _longer(array: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    longer = np.zeros((length, *array.shape[1:]), np.int64)
    longer[: len(array)] = array
    return longer
