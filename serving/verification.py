"""Proof that what was served is what training sees: the ledger's vectors against the batch path over the ledger's records."""

import itertools
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from casework import database
from casework.ledger import Entry, Ledger
from domain.events import Event, Outcome
from domain.operation import Operation
from features.batch import matrix_of
from features.history import History, empty, table_of
from features.plan import Plan
from serving.settings import DATABASE_FILE

STRUCTS: dict[str, type[msgspec.Struct]] = {"operation": Operation, "event": Event, "outcome": Outcome}
CHUNK = 50_000
Stored = tuple[str, bytes | None, str]
"""Id, vector and hash of the declarations that made it, of one operation."""


def verify(home: Path, plan: Plan) -> dict[str, Any]:
    """Recompute the vector of every decision of a ledger from the stored records, and compare the bits.

    `vectors` compared, `vectors_differ` and `first_difference` in words.
    """
    database.existing(home / DATABASE_FILE).close()
    ledger = Ledger(home / DATABASE_FILE)
    try:
        history, stored = _read(ledger)
    finally:
        ledger.close()
    matrix = matrix_of(history, plan)
    mine = [(row, id_, vector) for row, (id_, vector, made_by) in enumerate(stored) if vector and made_by == plan.hash]
    differing = [(row, id_) for row, id_, vector in mine if matrix[row].tobytes() != vector]
    figures: dict[str, Any] = {
        "entries": len(history), "vectors": len(mine), "vectors_differ": len(differing),
    }  # fmt: skip
    others = sum(vector is not None for _, vector, _ in stored) - len(mine)
    if others:
        figures["vectors_of_other_features"] = others
    if differing:
        row, id_ = differing[0]
        served = np.frombuffer(stored[row][1] or b"", "<f8")
        figures["first_difference"] = f"operation {id_}: " + "; ".join(
            f"{name} served {a!r}, batch {b!r}"
            for name, a, b in zip(plan.names, served.tolist(), matrix[row].tolist(), strict=False)
            if a != b and not (math.isnan(a) and math.isnan(b))
        )
    return figures


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
        stored += [(entry.id, entry.vector, _made_by(entry)) for entry in chunk if entry.type == "operation"]
    return History(*(pa.concat_tables(parts).combine_chunks() for parts in tables.values())), stored


def _made_by(entry: Entry) -> str:
    return "" if entry.evidence is None else str(msgspec.json.decode(entry.evidence).get("declarations", ""))
