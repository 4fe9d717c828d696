"""What the audit log costs: an entry over the bare insert of the same row, and a million of them verified, here and by a third party.

    python -m benchmarks.audit [--entries 1000000] [--postgresql URL] [--json FILE]

`record_change` and the bare insert are timed in turn, 500 in a transaction, so that no commit is in them: CPU time of this process on
SQLite, wall time on PostgreSQL, where the server works too; medians of nine rounds. A URL names a new, empty database.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

from sqlalchemy import Column, Connection, MetaData, Table, insert
from tqdm import tqdm

from benchmarks.machine import machine
from casework import audit_export, audit_keys, audit_log, audit_verification, checkpoints
from casework import database as databases
from casework.audit_form import AuditEntry, canonical
from casework.database import Database, timestamp
from casework.merkle import Tree
from casework.tables import AUDIT
from domain.json_file import add_json, write_json

ROUND, ROUNDS = 500, 9
LISTED = {"kind": "phone", "value": "+996555123456", "list": "prohibited", "source": "own case"}
WHO, WHY, WORDS = "Aigul", "confirmed by the customer on the telephone", "registry: add phone +9965*****56 to prohibited"
KEPT = canonical(LISTED)
BARE = Table("bare", MetaData(), *(Column(each.name, each.type, primary_key=each.primary_key) for each in AUDIT.columns))
Write = Callable[[Connection, int], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--postgresql", metavar="URL", help="of a new, empty database")
    add_json(parser)
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        databases.connect(databases.url_of(Path(folder) / "burana.db")) as database,
    ):
        figures |= entry_us(database, "sqlite", time.process_time)
        fill(database, arguments.entries)
        figures |= {f"{name}, at the end": value for name, value in entry_us(database, "sqlite", time.process_time).items()}
        figures |= verified(database, Path(folder))
    if arguments.postgresql:
        with databases.connect(arguments.postgresql) as database:
            figures |= entry_us(database, "postgresql", time.perf_counter)
    for name, value in figures.items():
        print(f"{name:48} {value:14,.2f}")
    write_json(arguments.json, {"machine": machine("sqlalchemy", "cryptography"), "figures": figures})


# ---- an entry --------------------------------------------------------------------------------------------------------


def entry_us(database: Database, kind: str, clock: Callable[[], float]) -> dict[str, float]:
    """Microseconds of an entry and of the bare insert, in turn."""
    with database.transaction() as connection:
        BARE.drop(connection, checkfirst=True)
        BARE.create(connection)
    audited, bare = [], []
    for round_ in range(ROUNDS):
        audited.append(_round_us(database, clock, _audited))
        bare.append(_round_us(database, clock, partial(_bare, round_ * ROUND)))
    of_entry, of_bare = median(audited), median(bare)
    return {f"{kind}: entry, us": of_entry, f"{kind}: bare insert, us": of_bare, f"{kind}: over it, us": of_entry - of_bare}


def _audited(connection: Connection, _: int) -> None:
    audit_log.record_change(connection, WHO, WHY, WORDS, after=LISTED)


def _bare(first: int, connection: Connection, place: int) -> None:
    """The same row into a table without triggers and indexes, without a look at the one before, without form and hash."""
    entry = AuditEntry(first + place, timestamp(), WHO, WHY, "registry", WORDS, None, KEPT, None, bytes(32), bytes(32))
    connection.execute(insert(BARE), entry._asdict())


def _round_us(database: Database, clock: Callable[[], float], write: Write) -> float:
    with database.transaction() as connection:
        began = clock()
        for number in range(ROUND):
            write(connection, number)
        took = clock() - began
    return took / ROUND * 1e6


def fill(database: Database, entries: int) -> None:
    """So many entries, a thousand a transaction."""
    for _ in tqdm(range(0, entries, 1_000), desc="entries", unit="k", delay=2, mininterval=1):
        with database.transaction() as connection:
            for number in range(1_000):
                _audited(connection, number)


# ---- all of them -----------------------------------------------------------------------------------------------------


def verified(database: Database, folder: Path) -> dict[str, float]:
    """CPU seconds of `burana audit verify` and, on an export, of the stand-alone verifier, its start included."""
    kept, key = folder / "checkpoints", audit_keys.made("benchmark/burana")
    audit_keys.write(key, folder, kept)
    checkpoints.sign(lambda: Tree(audit_log.hashes(database)[0]), key, kept, datetime.now(UTC).date())
    began = time.process_time()
    found = audit_verification.verify(database, kept)
    took = time.process_time() - began
    if found.faults or found.signed_to != found.entries:
        raise SystemExit(f"the log does not hold: {found}")
    audit_export.export(database, kept, folder / "export", lambda _: None, with_ledger=False)
    return {"entries": found.entries, "verify, s": took, "stand-alone, s": _stand_alone_s(folder / "export"),
            "export, MiB": (folder / "export" / audit_export.LOG_FILE).stat().st_size / 2**20}  # fmt: skip


def _stand_alone_s(export: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-I", audit_export.VERIFIER, "."], cwd=export, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
