"""A sample of the served vectors recomputed by the batch path: the standing proof that training sees what was served.

A vector depends on the arrivals that were retained when it was served, and their marks on those retained when they came: so twice
what the engine remembers is replayed, however long the ledger is; the rows before are read for the latest time among them alone.
The sampled operations' own rows are made again from their records.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from casework.ledger import Entry, Ledger, reading
from domain.errors import StateError
from domain.events import Event, Outcome
from domain.operation import Operation
from features.arrivals import rows_of_history
from features.engine import Engine, numbered
from features.history import History, empty, table_of
from features.layout import MISSING, Word
from features.plan import Plan
from serving import beside, recovery
from serving.contracts import OPERATION

COUNT, NEWEST = 200, 100_000
"""Vectors of one check, and among how many of the newest entries they are drawn."""
PATIENCE_S = 3_600


def spot_check(database: str, plan: Plan, count: int = COUNT, newest: int = NEWEST) -> dict[str, Any]:
    """Recompute the behaviour of `count` operations, drawn among the `newest` entries of a ledger, and compare the bits.

    `vectors` compared, `vectors_differ` and `first_difference` in words, `replayed` arrivals.
    """
    with reading(database) as ledger:
        drawn = {entry.sequence: entry for entry in ledger.draw(count, newest) if _is_of(entry, plan)}
        vectors, replayed = _recomputed(ledger, plan, drawn)
    served = {sequence: np.frombuffer(entry.vector or b"", "<f8")[: len(plan)] for sequence, entry in drawn.items()}
    differing = [sequence for sequence in drawn if vectors[sequence].tobytes() != served[sequence].tobytes()]
    figures: dict[str, Any] = {"vectors": len(drawn), "vectors_differ": len(differing), "replayed": replayed}
    if differing:
        first = differing[0]
        figures["first_difference"] = f"operation {drawn[first].id}: " + differences(plan, served[first], vectors[first])
    return figures


def differences(plan: Plan, served: NDArray[np.float64], batch: NDArray[np.float64]) -> str:
    """Which features of two vectors differ, with both values."""
    return "; ".join(
        f"{name} served {a!r}, batch {b!r}"
        for name, a, b in zip(plan.names, served.tolist(), batch.tolist(), strict=False)
        if a != b and not (np.isnan(a) and np.isnan(b))
    )


def _is_of(entry: Entry, plan: Plan) -> bool:
    """Whether an entry's vector begins with these features."""
    evidence = msgspec.json.decode(entry.evidence or b"{}")
    return plan.hash in (evidence.get("declarations"), evidence.get("behaviour"))


def _recomputed(ledger: Ledger, plan: Plan, drawn: dict[int, Entry]) -> tuple[dict[int, NDArray[np.float64]], int]:
    """The vectors of drawn operations by their sequence numbers, and how many arrivals were replayed for them."""
    if not drawn:
        return {}, 0
    start = max(0, min(drawn) - 2 * plan.retained - 2)  # and one more, so that the time of what was evicted last is known
    engine = Engine(plan, applied=start, clock=_clock_before(ledger, start))
    vectors: dict[int, NDArray[np.float64]] = {}
    replayed = 0
    for sequences, rows in _rows(ledger, start, max(drawn)):
        for place in np.flatnonzero(np.isin(sequences, list(drawn))):
            rows[place] = _row_again(drawn[int(sequences[place])])
        wanted = numbered(np.isin(sequences, list(drawn)))
        matrix = np.empty((int(wanted.max(initial=-1)) + 1, len(plan)))
        engine.replay(rows, matrix, wanted)
        vectors |= {int(sequences[i]): matrix[wanted[i]] for i in np.flatnonzero(wanted >= 0)}
        replayed += len(rows)
    return vectors, replayed


def _rows(ledger: Ledger, after: int, last: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Sequence numbers and rows of after < sequence <= last, in chunks."""
    for chunk in ledger.rows(after):
        part = [stored for stored in chunk if stored[0] <= last]
        if part:
            yield np.array([stored[0] for stored in part]), recovery.rows_of(ledger, part)
        if len(part) < len(chunk):
            return


def _clock_before(ledger: Ledger, sequence: int) -> int:
    """The latest time of the entries up to a sequence number: what the features' clock showed then."""
    latest = MISSING
    for _, rows in _rows(ledger, 0, sequence) if sequence else ():
        latest = max(latest, int(rows[:, Word.TIME].max()))
    return latest


def _row_again(entry: Entry) -> NDArray[np.int64]:
    """The row of an operation by the batch encoder, from its record."""
    table = table_of([OPERATION.decode(entry.body)], Operation, [entry.sequence])
    return rows_of_history(History(table, empty(Event), empty(Outcome)))[0][0]


# ---- beside a server -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checked:
    """What a check found."""

    vectors: int
    differing: int
    first_difference: str | None


async def check(database: str) -> Checked:
    """One check in a process of its own at the lowest priority: the thread that answers callers is not held up.

    StateError when it could not be made; the process ends with its task.
    """
    with tempfile.TemporaryDirectory(prefix="burana") as folder:
        file = Path(folder) / "figures.json"
        arguments = ("features", "verify", "--sample", str(COUNT), "--yield-cpu", "--json", str(file))
        ended = await beside.run(*arguments, database=database, patience_s=PATIENCE_S)
        if not file.exists():
            raise StateError(f"the vectors could not be verified: {ended.said}")
        figures = json.loads(file.read_text(encoding="utf-8"))
    return Checked(figures["vectors"], figures["vectors_differ"], figures.get("first_difference"))
