"""The embedded database: a SQLite file, connections that never lose what was committed, and one process that fills it."""

import fcntl
import sqlite3
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from domain.errors import HeldElsewhereError, LedgerError

LOCK_FILE = "burana.lock"
BEGIN = "sqlite_begin"
"""The execution option that says how a transaction begins; unless told, as one that writes."""


def connected(path: Path, busy_s: float, durable: bool = True) -> sqlite3.Connection:
    """A connection whose commits are on the disk when they return, unless not `durable`; sqlite3.Error where it is no database."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def engine(path: Path, busy_s: float, durable: bool) -> Engine:
    """SQLAlchemy over such connections; what is begun takes the right to write at once, so that it cannot fail half-way."""
    made = create_engine(
        "sqlite://", creator=lambda: connected(path, busy_s, durable), poolclass=QueuePool, pool_timeout=busy_s,
        hide_parameters=True,
    )  # fmt: skip

    @event.listens_for(made, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN IMMEDIATE"))

    return made


def hold(path: Path) -> IO[str]:
    """Be the only process that adds to the ledger of a file, until what comes back is closed; else HeldElsewhereError, or LedgerError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(LOCK_FILE)
    try:
        file = lock.open("w", encoding="ascii")
    except OSError as error:
        raise LedgerError(
            f"the ledger cannot be held, {lock} cannot be opened: {error.strerror}; it is the server's user's"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise HeldElsewhereError(f"another process serves or fills {path.parent}; stop it first") from None
    return file
