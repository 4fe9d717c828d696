"""Our engine on the very features that a peer computed, and every value beside the peer's."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.feature_engine import asked, peers
from benchmarks.feature_engine.generated import slices
from benchmarks.feature_engine.ours import ByEntity
from features.engine import Vector
from features.language import Declaration
from features.plan import Plan

TOLERANCE = 1e-12
"""Of our value, for what ends in a division or a root: Polars divides by 1000 by multiplying, and is off by a last bit. A
millisecond in 60 days is 2e-10. Counts, sums, distinct values and flags are compared to the last bit."""


def compare(peer: str, operations: int, folder: Path) -> dict[str, Any]:
    """How many values differ, by feature where any does, and our CPU seconds on these features alone.

    The log keeps all arrivals here, because a peer forgets nothing.
    """
    declarations = peers.declarations_of(peer)
    replay = ByEntity(Plan(declarations, _room_for(sum(len(rows) for rows in slices(operations)))), operations)
    theirs = [np.load(peers.column_file(folder / peer, declaration), mmap_mode="r") for declaration in declarations]
    differ = np.zeros(len(declarations), np.int64)
    for block in replay.blocks():
        for column, place in enumerate(block.places.tolist()):
            declaration = declarations[place]
            differ[place] = differing(declaration, block.values[:, column], _filled(declaration, theirs[place]))
    return {
        "features": len(declarations), "values_compared": operations * len(declarations), "values_differ": int(differ.sum()),
        "differing": {d.name: int(count) for d, count in zip(declarations, differ, strict=True) if count},
        "ours_cpu_s": replay.cpu_s, "ours_cpu_s_per_feature": replay.cpu_s / len(declarations),
    }  # fmt: skip


def _filled(declaration: Declaration, theirs: Vector) -> Vector:
    """A peer's values with the declared one where they are missing."""
    return np.where(np.isnan(theirs), declaration.missing, theirs)


def differing(declaration: Declaration, ours: Vector, theirs: Vector) -> int:
    """How many values are not the same; NaN is the same as NaN."""
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    if not asked.is_whole(declaration):
        same |= np.abs(ours - theirs) <= TOLERANCE * np.abs(ours)
    return int(np.count_nonzero(~same))


def _room_for(arrivals: int) -> int:
    """The smallest power of two that holds so many."""
    return 1 << max(arrivals - 1, 8).bit_length()
