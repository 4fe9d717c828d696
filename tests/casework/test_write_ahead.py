"""SQLite's write-ahead log is copied beside the commits, and does not grow without end while records come."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from casework import database as databases
from casework.write_ahead import LONG
from casework.writers import SQLiteWriter, writer
from tests.casework.records import entry

PAGE = 4096
MIB = 1 << 20
PAUSE_S = 0.25
"""For a dozen copies, on a disk that is slow, too."""


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[SQLiteWriter]:
    with databases.connect(databases.url_of(tmp_path / "burana.db")) as database, closing(writer(database)) as opened:
        assert isinstance(opened, SQLiteWriter)
        yield opened


def size(folder: Path, name: str) -> int:
    return (folder / name).stat().st_size


def eventually(claim: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(PAUSE_S / 5)


def test_no_commit_copies_the_log_by_itself(writing):
    assert writing.connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)


def test_what_was_committed_is_copied_into_the_file_without_another_commit(writing, tmp_path):
    before = size(tmp_path, "burana.db")
    writing.add([entry(1, body=b"x" * MIB)])
    eventually(lambda: size(tmp_path, "burana.db") > before + MIB)


def test_a_long_log_begins_anew_while_records_come(writing, tmp_path):
    for sequence in range(1, 9):
        writing.add([entry(sequence, body=b"x" * (LONG * PAGE // 4))])
        time.sleep(2 * PAUSE_S)
    assert size(tmp_path, "burana.db-wal") < 2 * LONG * PAGE
    assert size(tmp_path, "burana.db") > 6 * (LONG * PAGE // 4)


def test_a_reader_that_holds_the_log_keeps_nobody_from_writing(writing, tmp_path):
    writing.add([entry(1)])
    with closing(sqlite3.connect(tmp_path / "burana.db", isolation_level=None)) as reading:
        reading.execute("BEGIN")
        assert reading.execute("SELECT count(*) FROM entries").fetchone() == (1,)
        for sequence in range(2, 8):
            writing.add([entry(sequence, body=b"x" * (LONG * PAGE // 4))])
            time.sleep(PAUSE_S)
        assert reading.execute("SELECT count(*) FROM entries").fetchone() == (1,)
    writing.add([entry(8)])
    assert writing.connection.execute("SELECT count(*) FROM entries").fetchone() == (8,)
