"""The ledger: in order, all or nothing, never changed, one writer."""

import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from casework import database
from casework.ledger import MAX_BATCH, Entry, Ledger, bring_in, last_sequence
from domain.errors import LedgerError, SettingsError
from tests.casework.records import entry

REFUSE = "CREATE TRIGGER refuse BEFORE INSERT ON entries WHEN NEW.id = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "burana.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with closing(Ledger(path)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("moment", "last"), [("2025", 0), ("2025-06-02", 0), ("2025-06-03", 3), ("2025-06-04T01", 5), ("2026", 5)]
)
def test_a_moment_parts_the_ledger_into_before_and_after(path: Path, moment: str, last: int) -> None:
    bring_in(path, (entry(n, recorded_at=f"2025-06-0{2 if n <= 3 else 4}T00:00:00.000000+00:00") for n in range(1, 6)))
    with closing(Ledger(path)) as ledger:
        assert ledger.last_before(moment) == last


def append(ledger: Ledger, *entries: Entry) -> list[LedgerError | None]:
    """Append entries and wait: what each was told, in the order in which they were told."""
    told: list[LedgerError | None] = []
    all_told = threading.Semaphore(0)

    def done(error: LedgerError | None) -> None:
        told.append(error)
        all_told.release()

    for each in entries:
        ledger.append(each, done)
    for _ in entries:
        assert all_told.acquire(timeout=10)
    return told


def rows_seen_by_others(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])


def test_an_entry_comes_back_as_it_was_given(ledger):
    given = entry(1, vector=b"\0" * 16, evidence=b"[]")
    assert append(ledger, given) == [None]
    assert ledger.find("operation", "op-1") == given
    assert list(ledger.read()) == [given]


def test_done_is_called_when_the_entry_is_on_the_disk_for_every_other_process(ledger, path):
    seen: list[int] = []
    told = threading.Event()
    ledger.append(entry(1), lambda _: (seen.append(rows_seen_by_others(path)), told.set()))
    assert told.wait(10)
    assert seen == [1]


def test_entries_are_told_and_kept_in_the_order_of_their_coming(ledger):
    told: list[int] = []
    finished = threading.Event()
    last = 3 * MAX_BATCH + 7
    for sequence in range(1, last + 1):
        ledger.append(entry(sequence), lambda error, n=sequence: (told.append(n), finished.set() if n == last else None))
    assert finished.wait(30)
    assert told == list(range(1, last + 1))
    assert [found.sequence for found in ledger.read()] == told
    assert ledger.last_sequence == last


def test_what_waits_goes_into_one_commit(path):
    announced: list[None] = []
    held, released = threading.Event(), threading.Event()

    def announce(call) -> None:
        announced.append(None)
        call()
        if len(announced) == 1:
            held.set()
            released.wait(10)

    with closing(Ledger(path, announce)) as ledger:
        ledger.append(entry(1), lambda _: None)
        assert held.wait(10)
        for sequence in range(2, 102):
            ledger.append(entry(sequence), lambda _: None)
        released.set()
    assert rows_seen_by_others(path) == 101
    assert len(announced) <= 3, "the first, the hundred that waited, and the end"


def test_closing_writes_what_is_queued(path):
    with closing(Ledger(path)) as ledger:
        for sequence in range(1, 200):
            ledger.append(entry(sequence), lambda _: None)
    assert rows_seen_by_others(path) == 199


def test_one_refused_entry_refuses_its_commit_and_everything_later_until_it_is_mended(ledger, path):
    assert append(ledger, entry(1)) == [None]
    with closing(database.connect(path)) as other:
        other.execute(REFUSE)
    told = append(ledger, entry(2, id="poison"))
    assert "poison" in str(told[0])
    for sequence in (3, 4):
        assert append(ledger, entry(sequence)) == told, "sound ones too: the order would have a gap"
    assert ledger.last_sequence == rows_seen_by_others(path) == 1
    ledger.mend()
    assert append(ledger, entry(2), entry(3)) == [None, None]
    assert [found.sequence for found in ledger.read()] == [1, 2, 3]


@pytest.mark.parametrize(
    "wrong", [entry(1, id="other"), entry(2, id="op-1"), entry(2, type="rumour"), entry(2, body=None)],
    ids=["a sequence number twice", "an id twice", "an unknown type", "no body"],
)  # fmt: skip
def test_an_entry_that_does_not_fit_is_refused(ledger, path, wrong):
    assert append(ledger, entry(1)) == [None]
    assert isinstance(append(ledger, wrong)[0], LedgerError)
    assert rows_seen_by_others(path) == 1


def test_a_full_disk_refuses_and_room_on_it_ends_that(ledger, path):
    """SQLite's own limit of pages stands for the disk: it fails, and rolls back, as a full one does."""
    ledger._writing.execute("PRAGMA max_page_count = 40")
    told = [append(ledger, entry(sequence, body=b"x" * 3_000))[0] for sequence in range(1, 80)]
    kept = told.index(next(error for error in told if error is not None))
    assert "full" in str(told[kept])
    assert all(error is not None for error in told[kept:])
    assert rows_seen_by_others(path) == ledger.last_sequence == kept > 0
    ledger._writing.execute("PRAGMA max_page_count = 100000")
    ledger.mend()
    assert append(ledger, entry(kept + 1)) == [None]


def test_a_ledger_that_cannot_be_read_says_so(ledger, path):
    append(ledger, entry(1))
    with closing(database.connect(path)) as other:
        other.execute("ALTER TABLE entries RENAME TO elsewhere")
        with pytest.raises(LedgerError, match="cannot be read"):
            ledger.find("operation", "op-1")
        with pytest.raises(LedgerError, match="cannot be read"):
            _ = ledger.last_sequence
        other.execute("ALTER TABLE elsewhere RENAME TO entries")
    assert ledger.find("operation", "op-1") == entry(1)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    file = tmp_path / "burana.db"
    file.write_bytes(b"this is not a database, and long enough to be looked at" * 100)
    with pytest.raises(LedgerError, match="cannot be opened"):
        database.connect(file)


@pytest.mark.parametrize("table", ["entries", "audit"])
@pytest.mark.parametrize("change", ["UPDATE {} SET rowid = 9", "DELETE FROM {}"])
def test_entries_and_audit_are_never_changed_or_deleted(ledger, path, table, change):
    append(ledger, entry(1))
    with closing(database.connect(path)) as other:
        with database.transaction(other):
            database.record_change(other, "the tests", "to try", "nothing")
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            other.execute(change.format(table))
        assert other.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 1


def test_an_entry_is_not_replaced(ledger, path):
    append(ledger, entry(1))
    with closing(database.connect(path)) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(
            "INSERT INTO entries (sequence, type, id, recorded_at, body, row) VALUES (1, 'operation', 'x', '', '', '')"
        )
    assert ledger.find("operation", "op-1") == entry(1)


@pytest.mark.parametrize(
    "replacing",
    ["INSERT OR REPLACE INTO entries (sequence, type, id, recorded_at, body, row) VALUES (1, 'operation', 'x', '', 'y', '')",
     "REPLACE INTO entries (sequence, type, id, recorded_at, body, row) VALUES (7, 'operation', 'op-1', '', 'y', '')",
     "INSERT OR REPLACE INTO audit VALUES (1, '', 'somebody', 'else', 'was it')"],
)  # fmt: skip
def test_replacing_is_deleting_and_is_refused(ledger, path, replacing):
    append(ledger, entry(1))
    with closing(database.connect(path)) as other:
        with database.transaction(other):
            database.record_change(other, "the tests", "to try", "nothing")
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            other.execute(replacing)
        assert other.execute("SELECT person FROM audit").fetchall() == [("the tests",)]
    assert list(ledger.read()) == [entry(1)]


# ---- histories -----------------------------------------------------------------------------------------------------------


def test_a_history_is_brought_in_whole(path):
    assert bring_in(path, (entry(sequence) for sequence in range(1, 26)), batch=10) == 25
    assert last_sequence(path) == 25


def test_a_history_with_one_wrong_entry_is_not_brought_in_at_all(path):
    bring_in(path, iter([entry(1)]))
    entries = [*(entry(sequence) for sequence in range(2, 26)), entry(26, id="op-1")]
    with pytest.raises(LedgerError, match="nothing was recorded"):
        bring_in(path, iter(entries), batch=10)
    assert last_sequence(path) == rows_seen_by_others(path) == 1


def test_a_history_whose_reading_fails_is_not_brought_in_at_all(path):
    def broken() -> Iterator[Entry]:
        yield from (entry(sequence) for sequence in range(1, 26))
        raise ValueError("the file ends here")

    with pytest.raises(ValueError, match="ends here"):
        bring_in(path, broken(), batch=10)
    assert rows_seen_by_others(path) == 0


def test_reading_takes_what_lies_between_two_sequence_numbers(path):
    bring_in(path, (entry(sequence) for sequence in range(1, 26)))
    with closing(Ledger(path)) as ledger:
        assert [found.sequence for found in ledger.read(after=20, up_to=23)] == [21, 22, 23]
        rows = [row for chunk in ledger.rows(after=22, chunk=2) for row in chunk]
        assert rows == [(sequence, entry(sequence).row, entry(sequence).encoding) for sequence in (23, 24, 25)]


# ---- one writer ----------------------------------------------------------------------------------------------------------


def _try_to_hold(home: Path, said: "multiprocessing.SimpleQueue[str]") -> None:
    try:
        database.hold(home).close()
        said.put("held")
    except SettingsError as error:
        said.put(str(error))


def test_a_second_process_is_refused_until_the_first_lets_go(tmp_path):
    context = multiprocessing.get_context("spawn")
    said = context.SimpleQueue()
    with database.hold(tmp_path):
        other = context.Process(target=_try_to_hold, args=(tmp_path, said))
        other.start()
        other.join(60)
        assert "another process" in said.get()
    database.hold(tmp_path).close()
    other = context.Process(target=_try_to_hold, args=(tmp_path, said))
    other.start()
    other.join(60)
    assert said.get() == "held"
    said.close()


def test_an_entry_that_cannot_be_written_at_all_is_answered_and_does_not_end_the_writer(path):
    with closing(Ledger(path)) as ledger:
        beyond = entry(1)._replace(sequence=2**70)  # more than the database's integers hold
        assert isinstance(append(ledger, beyond)[0], LedgerError)
        ledger.mend()
        assert append(ledger, entry(1)) == [None]
