"""Who adds to the ledger: one process, one session, one commit after another. On each database its quickest insert.

The process holds the ledger: a lock on a file beside a SQLite file, a lock of the very session that inserts on PostgreSQL, so that
who lost the session cannot insert any more. Should two ever write, they take the same sequence numbers, and the primary key lets
only one of them commit.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from typing import IO, Protocol
from uuid import UUID

import psycopg

from casework import postgresql, sqlite
from casework.database import Database, speaking
from casework.ledger import Entry
from casework.tables import id_hash
from casework.write_ahead import Copying
from domain.errors import HeldElsewhereError, LedgerError, SettingsError

NOT_HELD = "this process does not hold the ledger"
COLUMNS = "sequence, type, id, recorded_at, body, row, encoding, answer, vector, evidence, id_hash"
CACHE_KIB = 1 << 16
"""Pages of the index by id, of which each record needs another one; with SQLite's 2 MiB they are read and written time and again."""
_SQLITE = f"INSERT INTO entries ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 our own names
# one statement a batch, whatever its size: 58,400 rows a second against 8,000 with a statement each
_POSTGRESQL = f"""
INSERT INTO entries ({COLUMNS}) SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[], %b::bytea[], %b::bytea[],
%b::int[], %b::bytea[], %b::bytea[], %b::bytea[], %b::uuid[])"""  # noqa: S608 our own names
_PREDECESSORS = """
SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()"""
_MAY_WRITE = "SELECT current_setting('transaction_read_only') = 'off' AND has_table_privilege('entries', 'INSERT')"


class Writer(Protocol):
    """The one that adds to a ledger that it holds. HeldElsewhereError when another process does."""

    @property
    def is_holding(self) -> bool:
        """Whether the ledger is held, as far as is known without asking."""

    def add(self, entries: Sequence[Entry]) -> None:
        """Commit entries; they are on the disk when it returns. LedgerError: none of them is, or nobody knows."""

    def bring_in(self, batches: Iterable[Sequence[Entry]]) -> int:
        """Commit all batches or nothing; how many entries they were. LedgerError for an id that is there."""

    def check(self) -> None:
        """LedgerError when entries could not be added now."""

    def mend(self) -> None:
        """Hold the ledger where it is not held, and be able to add, with everything that came before settled; LedgerError when not yet."""

    def close(self) -> None:
        """Let go of the ledger."""


class SQLiteWriter:
    """Adds to a SQLite file."""

    def __init__(self, database: Database) -> None:
        assert database.file is not None, "it is a file's"
        self._file = database.file
        self._held: IO[str] | None = None
        self.connection = sqlite.connected(database.file, database.patience.answer_s)
        self.connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self.connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._copying = Copying(database.file, database.patience.answer_s)

    @property
    def is_holding(self) -> bool:
        """See Writer."""
        return self._held is not None

    def add(self, entries: Sequence[Entry]) -> None:
        """See Writer."""
        self._copying.before_a_commit(self.connection)
        # one insert is a transaction by itself: 10 us of 113 less than with a beginning and an end of its own
        with self._transaction() if len(entries) > 1 else self._speaking():
            self._put(entries)

    def check(self) -> None:
        """See Writer: nobody else writes, and the table is there."""
        with self._transaction():
            self.connection.execute("SELECT 1 FROM entries LIMIT 1")

    def bring_in(self, batches: Iterable[Sequence[Entry]]) -> int:
        """See Writer."""
        with self._transaction():
            return sum(map(self._put, batches))

    def mend(self) -> None:
        """See Writer. What failed was rolled back, but a full disk is full still: a page is written that says what it said before."""
        if self._held is None:
            self._held = sqlite.hold(self._file)
        with speaking("the ledger does not take records"):
            self.connection.execute("PRAGMA user_version = 0")

    def close(self) -> None:
        """See Writer."""
        self._copying.close()
        self.connection.close()
        if self._held is not None:
            self._held.close()

    def _put(self, entries: Sequence[Entry]) -> int:
        self.connection.executemany(_SQLITE, [(*entry, id_hash(entry.type, entry.id)) for entry in entries])
        return len(entries)

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        if self._held is None:
            raise LedgerError(f"nothing was recorded: {NOT_HELD}")
        with speaking("nothing was recorded"):
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._speaking():
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
        finally:
            if self.connection.in_transaction:  # a full disk, for one, has rolled back by itself
                self.connection.execute("ROLLBACK")


class PostgreSQLWriter:
    """Adds to a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database, self._name = database, f"burana-ledger-{secrets.token_hex(4)}"
        self._session: postgresql.Session | None = None

    @property
    def is_holding(self) -> bool:
        """See Writer."""
        return self._session is not None and not self._session.closed

    def add(self, entries: Sequence[Entry]) -> None:
        """See Writer. A statement outside a transaction is one, and one round trip."""
        with self._speaking() as session:
            _put(session, entries)

    def check(self) -> None:
        """See Writer: the session is there, so the ledger is held, and the server may be written to."""
        with self._speaking() as session:
            self._ask(session)

    def bring_in(self, batches: Iterable[Sequence[Entry]]) -> int:
        """See Writer."""
        with self._speaking() as session, session.transaction():
            return sum(_put(session, batch) for batch in batches)

    def mend(self) -> None:
        """See Writer. Where the session is gone, it is ended before a new one, should the server still have it: it could commit
        after the ledger was read again."""
        if self.is_holding:
            return
        with speaking(f"{self._database.name} is not held"):
            try:
                self._session = self._holding()
            except SettingsError as error:
                raise LedgerError(str(error)) from error

    def close(self) -> None:
        """See Writer."""
        if self._session is not None:
            self._session.close()

    def _holding(self) -> postgresql.Session:
        patience = self._database.patience
        session = postgresql.connected(self._database.url, patience.answer_s, patience.connect_s, name=self._name)
        session.prepare_threshold = 0
        with ExitStack() as failed:
            failed.callback(session.close)
            session.execute(_PREDECESSORS, (self._name,))
            held = session.execute("SELECT pg_try_advisory_lock(%s)", (postgresql.LEDGER_LOCK,)).fetchone()
            if held != (True,):
                raise HeldElsewhereError(f"another process serves or fills {self._database.name}; stop it first")
            self._ask(session)  # who could not add would keep the ledger from a process that can
            failed.pop_all()
        return session

    def _ask(self, session: postgresql.Session) -> None:
        if session.execute(_MAY_WRITE).fetchone() != (True,):
            raise LedgerError(f"{self._database.name} may only be read: it is a replica, set so, or the role may not insert")

    @contextmanager
    def _speaking(self) -> Iterator[postgresql.Session]:
        if self._session is None:
            raise LedgerError(f"nothing was recorded: {NOT_HELD}")
        try:
            yield self._session
        except psycopg.Error as error:
            end = "whether it was recorded is not known" if self._session.closed else "nothing was recorded"
            raise LedgerError(f"{end}: {error}") from error


def _put(session: postgresql.Session, entries: Sequence[Entry]) -> int:
    if not entries:
        return 0
    hashes = [UUID(bytes=id_hash(entry.type, entry.id)) for entry in entries]
    columns = [_column(values) for values in (*zip(*entries, strict=True), hashes)]
    session.execute(_POSTGRESQL, columns)
    return len(entries)


def _column(values: Sequence[object]) -> list[object] | None:
    """A parameter of unnest: one that is null in every row has no type of its own, and null stands for as many as the others have."""
    return None if all(value is None for value in values) else list(values)


def writer(database: Database) -> Writer:
    """The one that fits the database, holding its ledger; HeldElsewhereError when another process does."""
    writing = waiting(database)
    try:
        writing.mend()
    except BaseException:
        writing.close()
        raise
    return writing


def waiting(database: Database) -> Writer:
    """The one that fits the database, which holds the ledger once `mend` could take it."""
    return SQLiteWriter(database) if database.file is not None else PostgreSQLWriter(database)


def bring_in(database: Database, entries: Iterator[Entry], batch: int = 20_000) -> int:
    """Add entries of a history to the end of a ledger that nobody serves, all or none; how many came in."""
    with closing(writer(database)) as writing:
        return writing.bring_in(iter(lambda: list(islice(entries, batch)), []))
