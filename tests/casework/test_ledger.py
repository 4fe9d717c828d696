"""The ledger: in order, all or nothing, never changed, one writer; the same on both databases."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from casework import audit_log
from casework import database as databases
from casework.database import Database
from casework.group_commit import MAX_BATCH, GroupCommit
from casework.ledger import Entry, Ledger, reading
from casework.writers import PostgreSQLWriter, SQLiteWriter, Writer, bring_in, writer
from domain.errors import HeldElsewhereError, InputError, LedgerError, SettingsError
from tests.casework.records import entry
from tests.databases import audit, execute, refusing, rows


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
def commits(database: Database) -> Iterator[GroupCommit]:
    with closing(GroupCommit(writer(database))) as opened:
        yield opened


@pytest.mark.parametrize(
    ("moment", "last"), [("2025", 0), ("2025-06-02", 0), ("2025-06-03", 3), ("2025-06-04T01", 5), ("2026", 5)]
)
def test_a_moment_parts_the_ledger_into_before_and_after(database: Database, moment: str, last: int) -> None:
    bring_in(database, (entry(n, recorded_at=f"2025-06-0{2 if n <= 3 else 4}T00:00:00.000000+00:00") for n in range(1, 6)))
    assert Ledger(database).last_before(moment) == last


def append(commits: GroupCommit, *entries: Entry) -> list[LedgerError | None]:
    """Append entries and wait: what each was told, in the order in which they were told."""
    told: list[LedgerError | None] = []
    all_told = threading.Semaphore(0)

    def done(error: LedgerError | None) -> None:
        told.append(error)
        all_told.release()

    for each in entries:
        commits.append(each, done)
    for _ in entries:
        assert all_told.acquire(timeout=10)
    return told


def entries_in(database: Database) -> int:
    return int(rows(database, "SELECT count(*) FROM entries")[0][0])


def test_an_entry_comes_back_as_it_was_given(commits, ledger):
    given = entry(1, vector=b"\0" * 16, evidence=b"[]")
    assert append(commits, given) == [None]
    assert ledger.find("operation", "op-1") == given
    assert list(ledger.read()) == [given]


def test_done_is_called_when_the_entry_is_on_the_disk_for_every_other_process(commits, database):
    seen: list[int] = []
    told = threading.Event()
    commits.append(entry(1), lambda _: (seen.append(entries_in(database)), told.set()))
    assert told.wait(10)
    assert seen == [1]


def test_entries_are_told_and_kept_in_the_order_of_their_coming(commits, ledger):
    told: list[int] = []
    finished = threading.Event()
    last = 3 * MAX_BATCH + 7
    for sequence in range(1, last + 1):
        commits.append(entry(sequence), lambda error, n=sequence: (told.append(n), finished.set() if n == last else None))
    assert finished.wait(30)
    assert told == list(range(1, last + 1))
    assert [found.sequence for found in ledger.read()] == told
    assert ledger.last_sequence == last


def test_what_waits_goes_into_one_commit(database):
    announced: list[None] = []
    held, released = threading.Event(), threading.Event()

    def announce(call) -> None:
        announced.append(None)
        call()
        if len(announced) == 1:
            held.set()
            released.wait(10)

    with closing(GroupCommit(writer(database), announce)) as commits:
        commits.append(entry(1), lambda _: None)
        assert held.wait(10)
        for sequence in range(2, 102):
            commits.append(entry(sequence), lambda _: None)
        released.set()
    assert entries_in(database) == 101
    assert len(announced) <= 3, "the first, the hundred that waited, and the end"


def test_closing_writes_what_is_queued(database):
    with closing(GroupCommit(writer(database))) as commits:
        for sequence in range(1, 200):
            commits.append(entry(sequence), lambda _: None)
    assert entries_in(database) == 199


def test_one_refused_entry_refuses_its_commit_and_everything_later_until_it_is_mended(commits, ledger, database):
    assert append(commits, entry(1)) == [None]
    with refusing(database.url, "NEW.id = 'poison'"):
        told = append(commits, entry(2, id="poison"))
    assert "refused by the tests" in str(told[0])
    for sequence in (3, 4):
        assert list(map(str, append(commits, entry(sequence)))) == list(map(str, told)), (
            "sound ones too: the order would have a gap"
        )
    assert ledger.last_sequence == entries_in(database) == 1
    commits.mend()
    assert append(commits, entry(2), entry(3)) == [None, None]
    assert [found.sequence for found in ledger.read()] == [1, 2, 3]


@pytest.mark.parametrize(
    "wrong", [entry(1, id="other"), entry(2, id="op-1"), entry(2, type="rumour"), entry(2, body=None),
     entry(2)._replace(sequence=2**70)],
    ids=["a sequence number twice", "an id twice", "an unknown type", "no body", "more than a number holds"],
)  # fmt: skip
def test_an_entry_that_does_not_fit_is_refused(commits, database, wrong):
    assert append(commits, entry(1)) == [None]
    told = append(commits, wrong, entry(3))
    assert all(isinstance(error, LedgerError) and not isinstance(error, InputError) for error in told), (
        "the other is not at fault"
    )
    assert entries_in(database) == 1


def test_what_comes_together_is_one_commit(database):
    later: list[Callable[[], None]] = []
    with closing(writer(database)) as writing:
        written = Written(writing)
        commits = GroupCommit(written, gather=later.append)
        told = threading.Semaphore(0)
        for sequence in range(1, 4):
            commits.append(entry(sequence), lambda error: told.release())
        assert (len(later), written.batches) == (1, [])
        later.pop()()
        assert told.acquire(timeout=10)
        commits.append(entry(4), lambda error: None)
        commits.close()
    assert written.batches == [3, 1]
    later.pop()()  # of an event loop that ended: there is nothing left to hand over


class Written:
    """A writer, and how many entries each of its commits had."""

    def __init__(self, writing: Writer) -> None:
        self._writing, self.batches = writing, []
        self.close = lambda: None

    def add(self, entries):
        self._writing.add(entries)
        self.batches.append(len(entries))


def test_a_full_disk_refuses_and_room_on_it_ends_that(tmp_path):
    """SQLite's own limit of pages stands for the disk: it fails, and rolls back, as a full one does."""
    with databases.connect(databases.url_of(tmp_path / "burana.db")) as database:
        writing = writer(database)
        assert isinstance(writing, SQLiteWriter)
        with closing(GroupCommit(writing)) as commits:
            writing.connection.execute("PRAGMA max_page_count = 60")
            told = [append(commits, entry(sequence, body=b"x" * 3_000))[0] for sequence in range(1, 80)]
            kept = told.index(next(error for error in told if error is not None))
            assert "full" in str(told[kept])
            assert all(error is not None for error in told[kept:])
            assert entries_in(database) == Ledger(database).last_sequence == kept > 0
            writing.connection.execute("PRAGMA max_page_count = 100000")
            commits.mend()
            assert append(commits, entry(kept + 1)) == [None]


def test_closing_waits_for_who_mends(database):
    """A session of SQLite that is closed while a thread is in it takes the process down: seen as SIGSEGV."""
    slow = Slow(writer(database))
    commits = GroupCommit(slow)
    mending, ending = threading.Thread(target=commits.mend), threading.Thread(target=commits.close)
    mending.start()
    assert slow.began.wait(10)
    ending.start()
    ending.join(0.3)
    slow.may_end.set()
    for thread in (mending, ending):
        thread.join()
    assert slow.ended == ["mend", "close"]


class Slow:
    """A writer that mends when it is told to, and in which order its calls ended."""

    def __init__(self, writing: Writer) -> None:
        self._writing, self.ended = writing, []
        self.began, self.may_end = threading.Event(), threading.Event()

    def mend(self):
        self.began.set()
        assert self.may_end.wait(10)
        self._writing.mend()
        self.ended.append("mend")

    def close(self):
        self._writing.close()
        self.ended.append("close")


def test_a_ledger_that_was_let_go_of_is_not_held_again(database):
    commits = GroupCommit(writer(database))
    commits.close()
    with pytest.raises(LedgerError, match="let go of"):
        commits.mend()
    writer(database).close()


def test_a_ledger_that_cannot_be_read_says_so(commits, ledger, database):
    append(commits, entry(1))
    execute(database, "ALTER TABLE entries RENAME TO elsewhere")
    with pytest.raises(LedgerError, match="cannot be read"):
        ledger.find("operation", "op-1")
    with pytest.raises(LedgerError, match="cannot be read"):
        _ = ledger.last_sequence
    execute(database, "ALTER TABLE elsewhere RENAME TO entries")
    assert ledger.find("operation", "op-1") == entry(1)


def recorded_once(commits: GroupCommit, database: Database) -> None:
    """An entry, and a line in the audit log."""
    append(commits, entry(1))
    with database.transaction() as connection:
        audit_log.record_change(connection, "the tests", "to try", "rules: nothing")


CHANGES = ["UPDATE entries SET sequence = 9", "DELETE FROM entries", "UPDATE audit SET audit_id = 9", "DELETE FROM audit"]
REPLACING = {
    "sqlite": [
        "INSERT OR REPLACE INTO entries SELECT 1, 'operation', 'x', x'00', '', '', '', 1, NULL, NULL, NULL",
        "REPLACE INTO entries SELECT 7, type, id, id_hash, '', '', '', 1, NULL, NULL, NULL FROM entries",
        "INSERT OR REPLACE INTO audit (audit_id, at, person, reason, change, kind, previous, hash) VALUES (1, '', 'somebody', 'else', 'was it', '', x'00', x'00')",
    ],
    "postgresql": [
        "INSERT INTO entries SELECT * FROM entries ON CONFLICT (sequence) DO UPDATE SET body = ''",
        "INSERT INTO entries SELECT 7, type, id, id_hash, recorded_at, body, row, 1 FROM entries ON CONFLICT (id_hash) DO UPDATE SET row = ''",
        "INSERT INTO audit SELECT * FROM audit ON CONFLICT (audit_id) DO UPDATE SET person = ''",
        "TRUNCATE entries", "TRUNCATE audit",
    ],
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_entries_and_audit_are_never_changed_or_deleted(commits, ledger, database, change):
    recorded_once(commits, database)
    with pytest.raises(LedgerError, match="never"):
        execute(database, change)
    assert list(ledger.read()) == [entry(1)]
    assert audit(database) == [("the tests", "to try", "rules: nothing")]


@pytest.mark.parametrize("place", range(5))
def test_replacing_is_deleting_and_is_refused(commits, ledger, database, place):
    ways = REPLACING["postgresql" if database.file is None else "sqlite"]
    recorded_once(commits, database)
    with pytest.raises(LedgerError, match="never"):
        execute(database, ways[place % len(ways)])
    assert list(ledger.read()) == [entry(1)]
    assert audit(database) == [("the tests", "to try", "rules: nothing")]


# ---- histories -----------------------------------------------------------------------------------------------------------


def test_a_history_is_brought_in_whole(database):
    assert bring_in(database, (entry(sequence) for sequence in range(1, 26)), batch=10) == 25
    assert Ledger(database).last_sequence == 25


def test_a_history_with_one_wrong_entry_is_not_brought_in_at_all(database):
    bring_in(database, iter([entry(1)]))
    entries = [*(entry(sequence) for sequence in range(2, 26)), entry(26, id="op-1")]
    with pytest.raises(LedgerError, match="nothing was recorded"):
        bring_in(database, iter(entries), batch=10)
    assert Ledger(database).last_sequence == entries_in(database) == 1


def test_a_history_whose_reading_fails_is_not_brought_in_at_all(database):
    def broken() -> Iterator[Entry]:
        yield from (entry(sequence) for sequence in range(1, 26))
        raise ValueError("the file ends here")

    with pytest.raises(ValueError, match="ends here"):
        bring_in(database, broken(), batch=10)
    assert entries_in(database) == 0


def test_reading_takes_what_lies_between_two_sequence_numbers(database, ledger):
    bring_in(database, (entry(sequence) for sequence in range(1, 26)))
    assert [found.sequence for found in ledger.read(after=20, up_to=23)] == [21, 22, 23]
    found = [row for chunk in ledger.rows(after=22, chunk=2) for row in chunk]
    assert found == [(sequence, entry(sequence).row, entry(sequence).encoding) for sequence in (23, 24, 25)]


# ---- one writer ----------------------------------------------------------------------------------------------------------


def test_entries_are_found_by_what_their_answer_says(database, ledger):
    said = [b'{"level":"low"}', b'{"level":"high"}', None, b'"level":"high"', b'{"level":"higher"}', b'{"level":"high"}']
    bring_in(database, (entry(n)._replace(answer=answer) for n, answer in enumerate(said, 1)))
    assert [found.sequence for found in ledger.answered(b'"level":"high"', 0, 5)] == [2, 4]
    assert [found.sequence for found in ledger.answered(b'"level":"high"', 2, 9)] == [4, 6]
    assert list(ledger.answered(b"?", 0, 9)) == []


def _try_to_hold(url: str, said: "multiprocessing.SimpleQueue[str]") -> None:
    try:
        with databases.connect(url) as database:
            writer(database).close()
        said.put("held")
    except HeldElsewhereError as error:
        said.put(str(error))


def test_a_second_process_is_refused_until_the_first_lets_go(database, url):
    context = multiprocessing.get_context("spawn")
    said = context.SimpleQueue()
    with closing(writer(database)):
        other = context.Process(target=_try_to_hold, args=(url, said))
        other.start()
        other.join(60)
        assert "another process" in said.get()
    writer(database).close()
    other = context.Process(target=_try_to_hold, args=(url, said))
    other.start()
    other.join(60)
    assert said.get() == "held"
    said.close()


def test_of_two_writers_that_know_nothing_of_each_other_one_commits(cloned, monkeypatch):
    """The lock is gone, as after a server was moved by hand: the primary key still lets one of them record a sequence number."""
    with databases.connect(cloned) as database, closing(writer(database)) as first:
        monkeypatch.setattr("casework.postgresql.LEDGER_LOCK", 1)
        with closing(writer(database)) as second:
            first.add([entry(1), entry(2)])
            with pytest.raises(LedgerError, match="nothing was recorded"):
                second.add([entry(2, id="other"), entry(3)])
            second.mend()
            second.add([entry(3)])
        assert [found.sequence for found in Ledger(database).read()] == [1, 2, 3]


def test_a_session_that_was_lost_is_exchanged_and_what_it_left_is_ended(cloned):
    with databases.connect(cloned) as database, closing(writer(database)) as writing:
        assert isinstance(writing, PostgreSQLWriter)
        writing.add([entry(1)])
        execute(
            database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'burana-ledger-%%'"
        )
        with pytest.raises(LedgerError, match="whether it was recorded is not known"):
            writing.add([entry(2)])
        with pytest.raises(LedgerError):
            writing.add([entry(2)])
        writing.mend()
        writing.add([entry(2)])
        with pytest.raises(HeldElsewhereError, match="another process"):
            writer(database)
        assert Ledger(database).last_sequence == 2


def test_reading_needs_a_database_that_is_there(tmp_path):
    missing = databases.url_of(tmp_path / "burana.db")
    with pytest.raises(SettingsError, match="does not exist"), reading(missing):
        pass
    assert not (tmp_path / "burana.db").exists()
