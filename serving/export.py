"""A ledger as a canonical history, with what was decided: so that an operator trains on what he has seen."""

import contextlib
import itertools
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from casework.ledger import Entry, Ledger
from domain.decision import Decision
from domain.events import Event, Outcome
from domain.levels import Action
from domain.operation import Operation
from features.decisions import DECISIONS, FILE
from features.history import schema, table_of, whole_folder

CHUNK = 20_000
"""Entries held at once, and so the rows of a row group at most."""

_FILES: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "operation": ("operations", Operation), "event": ("events", Event), "outcome": ("outcomes", Outcome)
}  # fmt: skip


class _Control(msgspec.Struct):
    would_be: str
    propensity: float


class _Evidence(msgspec.Struct):
    """What is read of a decision's evidence; nothing of the lot before there was one."""

    control: _Control | None = None


_DECISION, _EVIDENCE = msgspec.json.Decoder(Decision), msgspec.json.Decoder(_Evidence)


def export(ledger: Ledger, folder: Path) -> dict[str, int]:
    """Write all committed entries, in order, as a history with decisions; rows by file. HistoryError if the folder exists.

    Cards are hashed under the operator's key, as they are in the ledger; every other identifier is written as it is.
    """
    last = ledger.last_sequence
    entries = ledger.read(up_to=last)
    schemas = {name: schema(struct) for name, struct in _FILES.values()} | {FILE: DECISIONS}
    counts = dict.fromkeys(schemas, 0)
    with whole_folder(folder) as draft, contextlib.ExitStack() as opened:
        files = {
            name: opened.enter_context(pq.ParquetWriter(draft / f"{name}.parquet", of, compression="zstd"))
            for name, of in schemas.items()
        }
        progress = opened.enter_context(tqdm(total=last, desc="export", unit="entry", unit_scale=True, delay=2))
        while chunk := list(itertools.islice(entries, CHUNK)):
            for name, table in _tables(chunk).items():
                files[name].write_table(table)
                counts[name] += table.num_rows
            progress.update(len(chunk))
    return counts


def _tables(chunk: list[Entry]) -> dict[str, pa.Table]:
    """Some entries as tables, by the name of the file; those without a row are left out."""
    tables = {}
    for type_, (name, struct) in _FILES.items():
        part = [entry for entry in chunk if entry.type == type_]
        records = [msgspec.json.decode(entry.body, type=struct) for entry in part]
        tables[name] = table_of(records, struct, [entry.sequence for entry in part])
    decided = [_decided(entry) for entry in chunk if entry.type == "operation" and entry.answer is not None]
    tables[FILE] = pa.Table.from_pylist(decided, schema=DECISIONS)
    return {name: table for name, table in tables.items() if table.num_rows}


def _decided(entry: Entry) -> dict[str, Any]:
    """A row of DECISIONS. A decision of before there were lots was certain: stopped, or not."""
    decision, control = _DECISION.decode(entry.answer or b""), _EVIDENCE.decode(entry.evidence or b"{}").control
    control = control or _Control(decision.level, float(decision.action is not Action.APPROVE))
    return {
        "sequence": entry.sequence, "operation_id": entry.id, "level": decision.level, "action": decision.action.value,
        "score": decision.score, "asked": [layer.value for layer in decision.asked], "would_be": control.would_be,
        "propensity": control.propensity, "model": decision.model,
    }  # fmt: skip
