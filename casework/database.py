"""The SQLite database of one operator: its tables, and connections that never lose what was committed.

The SQLite file is the embedded default; rows are only ever added to `entries` and `audit`.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from domain.errors import LedgerError, SettingsError

BUSY_TIMEOUT_S = 5.0
LOCK_FILE = "burana.lock"

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    sequence INTEGER PRIMARY KEY,           -- the order of arrival: the truth that features are replayed in
    type TEXT NOT NULL CHECK (type IN ('operation', 'event', 'outcome')),
    id TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    body BLOB NOT NULL,                     -- the canonical record, JSON
    row BLOB NOT NULL,                      -- the record as the features read it, little-endian int64: only a shortcut
    encoding INTEGER NOT NULL,              -- what the row's meaning depends on; with another one it is made from the body
    answer BLOB,                            -- what was answered, to the byte; null for entries brought in from a history
    vector BLOB,                            -- the features as of then, little-endian float64; null as above
    evidence BLOB,                          -- registry and rule hits, hash of the declarations, limit, JSON; null as above
    UNIQUE (type, id)
);
CREATE TRIGGER IF NOT EXISTS entries_are_not_updated BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END;
CREATE TRIGGER IF NOT EXISTS entries_are_not_deleted BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END;
CREATE TRIGGER IF NOT EXISTS entries_are_not_replaced BEFORE INSERT ON entries  -- REPLACE would pass the triggers above
    WHEN EXISTS (SELECT 1 FROM entries WHERE sequence = NEW.sequence OR (type = NEW.type AND id = NEW.id))
    BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed: this sequence number or id is there'); END;
CREATE TABLE IF NOT EXISTS registry (
    entry_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    list TEXT NOT NULL CHECK (list IN ('prohibited', 'watched')),
    source TEXT NOT NULL,
    added_at TEXT NOT NULL, added_by TEXT NOT NULL, added_reason TEXT NOT NULL,
    removed_at TEXT, removed_by TEXT, removed_reason TEXT,
    CHECK ((removed_at IS NULL) = (removed_by IS NULL) AND (removed_by IS NULL) = (removed_reason IS NULL))
);
CREATE UNIQUE INDEX IF NOT EXISTS registry_live ON registry (kind, value, list) WHERE removed_at IS NULL;
CREATE TABLE IF NOT EXISTS rule_sets (
    rule_set_id INTEGER PRIMARY KEY, version TEXT NOT NULL, content TEXT NOT NULL,
    loaded_at TEXT NOT NULL, loaded_by TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS api_keys (
    key_id TEXT PRIMARY KEY, caller TEXT NOT NULL, secret_sha256 BLOB NOT NULL, scopes TEXT NOT NULL,
    made_at TEXT NOT NULL, made_by TEXT NOT NULL, revoked_at TEXT
);
CREATE TABLE IF NOT EXISTS shadow_scores (  -- what challengers would have scored; decides nothing, may be deleted
    model TEXT NOT NULL, sequence INTEGER NOT NULL, score REAL NOT NULL, PRIMARY KEY (model, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    audit_id INTEGER PRIMARY KEY, at TEXT NOT NULL, person TEXT NOT NULL, reason TEXT NOT NULL, change TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS audit_is_not_updated BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_deleted BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is never deleted'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_replaced BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE audit_id = NEW.audit_id)
    BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose commits are on the disk when they return; the tables are made if they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(SCHEMA)
    except sqlite3.Error as error:
        connection.close()
        raise LedgerError(f"{path} cannot be opened as Burana's database: {error}") from error
    return connection


def existing(path: Path) -> sqlite3.Connection:
    """As `connect`, but SettingsError where there is no database: a mistyped folder must not look like an empty one."""
    if not path.is_file():
        raise SettingsError(f"{path} does not exist; name the --home of the server (`burana keys make` begins a new one)")
    return connect(path)


def hold(home: Path) -> IO[str]:
    """Be the only process that adds to the ledger of `home`, until the file that comes back is closed; else SettingsError."""
    home.mkdir(parents=True, exist_ok=True)
    file = (home / LOCK_FILE).open("w", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SettingsError(f"another process serves or fills {home}; stop it first") from None
    return file


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block or nothing of it; LedgerError when the database refuses."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:  # a full disk, for one, has rolled back by itself
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise LedgerError(f"nothing was recorded: {error}") from error
        raise


def timestamp() -> str:
    """Now, as the tables keep it: UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def record_change(connection: sqlite3.Connection, person: str, reason: str, change: str) -> None:
    """Write who changed what and why, in the transaction of the change (R108-R111); SettingsError without person or reason."""
    if not person.strip() or not reason.strip():
        raise SettingsError(f"a change needs a person and a reason; seen person {person!r}, reason {reason!r}")
    connection.execute(
        "INSERT INTO audit (at, person, reason, change) VALUES (?, ?, ?, ?)", (timestamp(), person, reason, change)
    )
