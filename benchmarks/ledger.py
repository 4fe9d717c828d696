"""What the ledger costs as it grows: insert, look-up, commits with many in flight; empty, and after so many rows.

    python -m benchmarks.ledger [--rows 1000000] [--postgresql URL] [--json FILE]

Without a URL only SQLite is measured, in a folder that is removed; a URL names a new, empty database. Rows are slim (a record of
200 bytes, no vector), ids are random: what is measured is the index. Wall time of this process on this machine.
"""

import argparse
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import psycopg
from tqdm import tqdm

from casework import database as databases
from casework import postgresql, sqlite
from casework.database import Database
from casework.group_commit import GroupCommit
from casework.ledger import Entry, Ledger
from casework.tables import id_hash
from casework.writers import Writer, writer
from domain.json_file import add_json, write_json

BATCH, IN_FLIGHT = 1_000, 32
COMMITTED, LOOKED_UP = 10_000, 10_000
BODY, ROW = b"x" * 200, bytes(144)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--postgresql", metavar="URL", help="of a new, empty database")
    parser.add_argument("--work", type=Path, help="folder for the SQLite file; default: the machine's temporary one")
    add_json(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        urls = {"sqlite": databases.url_of(Path(folder) / "burana.db")}
        if arguments.postgresql:
            urls["postgresql"] = arguments.postgresql
        figures = {kind: measure(url, arguments.rows) for kind, url in urls.items()}
    for kind, found in figures.items():
        for name, value in found.items():
            print(f"{kind:11} {name:48} {value:14,.1f}")
    write_json(arguments.json, figures)


def measure(url: str, rows: int) -> dict[str, float]:
    """The figures of one database, before and after `rows` rows came."""
    with databases.connect(url) as database:
        figures = {f"{name}, empty": value for name, value in _asked(database).items()}
        figures |= _filled(database, rows)
        return figures | {f"{name}, after {rows:,}": value for name, value in _asked(database).items()}


def _asked(database: Database) -> dict[str, float]:
    committed, microseconds = _committed(database)
    return {"rows/s with 32 in flight": committed, "look-up of a new id, us": microseconds}


def _filled(database: Database, rows: int) -> dict[str, float]:
    """Microseconds a row over the first and the last tenth of the batches; bytes a row in the end."""
    first = Ledger(database).last_sequence + 1
    took = []
    with closing(writer(database)) as writing:
        for start in tqdm(range(first, first + rows, BATCH), desc=database.name, delay=2, mininterval=1):
            took.append(_added(writing, list(_entries(start, BATCH))))
    tenth = max(1, len(took) // 10)
    return {
        "insert of a row in batches of 1,000, first tenth, us": 1e6 * statistics.median(took[:tenth]) / BATCH,
        "insert of a row in batches of 1,000, last tenth, us": 1e6 * statistics.median(took[-tenth:]) / BATCH,
        "bytes a row": _size(database) / Ledger(database).last_sequence,
    }


def _added(writing: Writer, entries: list[Entry]) -> float:
    began = time.perf_counter()
    writing.add(entries)
    return time.perf_counter() - began


def _committed(database: Database) -> tuple[float, float]:
    """Rows a second with so many callers that each wait for their answer, and microseconds of a look-up of a new id."""
    places, done = threading.Semaphore(IN_FLIGHT), threading.Semaphore(0)

    def told(error: Exception | None) -> None:
        assert error is None
        places.release()
        done.release()

    with closing(GroupCommit(writer(database))) as commits:
        began = time.perf_counter()
        for entry in _entries(Ledger(database).last_sequence + 1, COMMITTED):
            places.acquire()
            commits.append(entry, told)
        for _ in range(COMMITTED):
            done.acquire()
        took = time.perf_counter() - began
    return COMMITTED / took, _looked_up(database)


def _looked_up(database: Database) -> float:
    """On PostgreSQL a round trip each; the server lets those that come together share one."""
    hashes = [id_hash("operation", secrets.token_hex(16)) for _ in range(LOOKED_UP)]
    began = time.perf_counter()
    if database.file is not None:
        with closing(sqlite.connected(database.file, 5)) as connection:
            for each in hashes:
                connection.execute("SELECT body, answer FROM entries WHERE id_hash = ?", (each,)).fetchone()
    else:
        with closing(postgresql.connected(database.url, 5, 5)) as session:
            for each in hashes:
                session.execute("SELECT body, answer FROM entries WHERE id_hash = %s", (UUID(bytes=each),), binary=True)
    return 1e6 * (time.perf_counter() - began) / LOOKED_UP


def _entries(first: int, count: int) -> Iterator[Entry]:
    at = databases.timestamp()
    return (Entry(n, "operation", secrets.token_hex(16), at, BODY, ROW, 1) for n in range(first, first + count))


def _size(database: Database) -> float:
    if database.file is not None:
        return float(
            sum(
                Path(f"{database.file}{end}").stat().st_size
                for end in ("", "-wal")
                if Path(f"{database.file}{end}").exists()
            )
        )
    with closing(psycopg.connect(database.url)) as connection:
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return float(found[0]) if found else 0.0


if __name__ == "__main__":
    main()
