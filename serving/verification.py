"""Proof that what was served is what training sees: the ledger's vectors against the batch path over the ledger's records."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from casework.ledger import Entry, Ledger
from domain.events import Event, Outcome
from domain.operation import Operation
from features.batch import matrix_of
from features.history import History, table_of
from features.plan import Plan
from serving.settings import DATABASE_FILE

STRUCTS: dict[str, type[msgspec.Struct]] = {"operation": Operation, "event": Event, "outcome": Outcome}


def verify(home: Path, plan: Plan) -> dict[str, Any]:
    """Recompute the vector of every decision of a ledger from the stored records, and compare the bits.

    `vectors` compared, `vectors_differ` and `first_difference` in words.
    """
    ledger = Ledger(home / DATABASE_FILE)
    try:
        history, stored = _read(ledger)
    finally:
        ledger.close()
    matrix = matrix_of(history, plan)
    differing = [(row, id_) for row, (id_, vector) in enumerate(stored) if vector and matrix[row].tobytes() != vector]
    figures: dict[str, Any] = {
        "entries": len(history), "vectors": sum(vector is not None for _, vector in stored), "vectors_differ": len(differing),
    }  # fmt: skip
    if differing:
        row, id_ = differing[0]
        served = np.frombuffer(stored[row][1] or b"", "<f8")
        figures["first_difference"] = f"operation {id_}: " + "; ".join(
            f"{name} served {a!r}, batch {b!r}"
            for name, a, b in zip(plan.names, served.tolist(), matrix[row].tolist(), strict=False)
            if a != b and not (math.isnan(a) and math.isnan(b))
        )
    return figures


def _read(ledger: Ledger) -> tuple[History, list[tuple[str, bytes | None]]]:
    """The ledger's records as a history, from their stored bodies; id and vector of each operation in order."""
    records: dict[str, list[Any]] = {type_: [] for type_ in STRUCTS}
    sequences: dict[str, list[int]] = {type_: [] for type_ in STRUCTS}
    stored: list[tuple[str, bytes | None]] = []
    decoders = {type_: msgspec.json.Decoder(struct) for type_, struct in STRUCTS.items()}
    entry: Entry
    for entry in ledger.read():
        records[entry.type].append(decoders[entry.type].decode(entry.body))
        sequences[entry.type].append(entry.sequence)
        if entry.type == "operation":
            stored.append((entry.id, entry.vector))
    tables = [table_of(records[type_], struct, sequences[type_]) for type_, struct in STRUCTS.items()]
    return History(*tables), stored
