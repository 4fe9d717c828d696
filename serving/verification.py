"""Proof that what was served is what training sees: the ledger's vectors against the batch path over the ledger's records."""

import itertools
import math
from datetime import date
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from casework.ledger import Ledger, reading
from domain.events import Event, Outcome
from domain.operation import Operation
from features.arrivals import rows_of_history
from features.batch import matrix_of
from features.feature_set import FeatureSet
from features.history import History, empty, table_of
from features.layout import Fact, Word
from features.plan import Plan
from serving.recomputed_profiles import NOT_COMPARED, Asked, Recompute, by_batch

STRUCTS: dict[str, type[msgspec.Struct]] = {"operation": Operation, "event": Event, "outcome": Outcome}
CHUNK = 50_000
Vector = NDArray[np.float64]
NOTHING: Vector = np.empty(0)


class Profiles(msgspec.Struct):
    """What is read of the profiles that a decision used."""

    due: date
    day: date | None = None
    snapshot: str | None = None


class _Evidence(msgspec.Struct):
    """What is read of a decision's evidence."""

    declarations: str = ""
    profiles: Profiles | None = None


EVIDENCE = msgspec.json.Decoder(_Evidence)


class Stored(NamedTuple):
    """What is kept of one operation: id, vector, evidence."""

    id: str
    vector: bytes | None
    evidence: _Evidence


def verify(database: str, plan: Plan, profiles: Recompute = by_batch) -> dict[str, Any]:
    """Recompute the vector of every decision of a ledger from the stored records, and compare the bits.

    database: its URL, as in all that reads a ledger.
    profiles: how the part that was compared with profiles is made again; an operation that was decided without them is compared
    with what is missing there. `vectors` compared, `vectors_differ` and `first_difference` in words.
    """
    with reading(database) as ledger:
        history, stored = _read(ledger)
    matrix, by_hash = matrix_of(history, plan), {of.hash: of for of in (FeatureSet(plan, False), FeatureSet(plan))}
    served = [(row, one) for row, one in enumerate(stored) if one.vector and one.evidence.declarations in by_hash]
    figures: dict[str, Any] = {"entries": len(history), "vectors": len(served), "vectors_differ": 0}
    right = _profile_parts(history, [(row, one) for row, one in served if one.evidence.profiles], profiles, figures)
    for row, one in served:
        again = np.concatenate([matrix[row], right.get(row, NOTHING)])
        seen = np.frombuffer(one.vector or b"", "<f8")
        if right.get(row) is NOTHING:  # that part cannot be made again
            seen = seen[: len(plan)]
        if again.tobytes() != seen.tobytes():
            figures["vectors_differ"] += 1
            names = by_hash[one.evidence.declarations].names
            figures.setdefault("first_difference", f"operation {one.id}: {_differences(names, seen, again)}")
    others = sum(one.vector is not None for one in stored) - len(served)
    if others:
        figures["vectors_of_other_features"] = others
    return figures


def _profile_parts(
    history: History, decided: list[tuple[int, Stored]], recompute: Recompute, figures: dict[str, Any]
) -> dict[int, Vector]:
    """Operation -> its values of profiles made again, NOTHING where they cannot be. Says in `figures` how many there are."""
    if not decided:
        return {}
    rows, _ = rows_of_history(history)
    operations = np.flatnonzero(rows[:, Word.FACTS] & int(Fact.OPERATION))
    places = operations[[row for row, _ in decided]]
    asked = Asked(rows, np.full(len(rows), NOT_COMPARED, np.int64), np.full(len(rows), "", dtype="U64"))
    for place, (_, one) in zip(places.tolist(), decided, strict=True):
        used = one.evidence.profiles
        if used is not None and used.day is not None:
            asked.days_behind[place], asked.snapshots[place] = (used.due - used.day).days, used.snapshot or ""
    values, made = recompute(asked)
    compared = asked.days_behind[places] != NOT_COMPARED
    figures["vectors_with_profiles"], figures["vectors_without_profiles"] = int(compared.sum()), int((~compared).sum())
    figures["profiles_made_again"] = "by the batch path" if recompute is by_batch else "from the snapshots that were served"
    if not made[places].all():
        figures["profiles_not_at_hand"] = int((~made[places]).sum())
    return {row: values[place] if made[place] else NOTHING for place, (row, _) in zip(places.tolist(), decided, strict=True)}


def _differences(names: tuple[str, ...], served: Vector, batch: Vector) -> str:
    return "; ".join(
        f"{name} served {a!r}, batch {b!r}"
        for name, a, b in zip(names, served.tolist(), batch.tolist(), strict=False)
        if a != b and not (math.isnan(a) and math.isnan(b))
    )


def _read(ledger: Ledger) -> tuple[History, list[Stored]]:
    """The ledger's records as a history, from their stored bodies; id and vector of each operation in order."""
    tables: dict[str, list[pa.Table]] = {type_: [empty(struct)] for type_, struct in STRUCTS.items()}
    stored: list[Stored] = []
    decoders = {type_: msgspec.json.Decoder(struct) for type_, struct in STRUCTS.items()}
    entries = ledger.read()
    while chunk := list(itertools.islice(entries, CHUNK)):
        for type_, struct in STRUCTS.items():
            part = [entry for entry in chunk if entry.type == type_]
            records = [decoders[type_].decode(entry.body) for entry in part]
            tables[type_].append(table_of(records, struct, [entry.sequence for entry in part]))
        stored += [
            Stored(entry.id, entry.vector, EVIDENCE.decode(entry.evidence or b"{}"))
            for entry in chunk
            if entry.type == "operation"
        ]
    return History(*(pa.concat_tables(parts).combine_chunks() for parts in tables.values())), stored
