"""The database of one operator, opened by URL: a SQLite file, the embedded default, or PostgreSQL.

Everything but the ledger's hot path goes through short transactions of SQLAlchemy; whatever the database refuses comes out as
LedgerError, a value that it can never keep as UnkeptError, and no password is ever said.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, RootTransaction
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError

from casework import postgresql, schema, sqlite
from domain.errors import LedgerError, SettingsError, UnkeptError

SQLITE, POSTGRESQL = "sqlite:///", ("postgresql://", "postgres://")
FAILURES = (SQLAlchemyError, sqlite3.Error, psycopg.Error)
UNKEPT = (DataError, sqlite3.DataError, psycopg.DataError, OverflowError, UnicodeEncodeError)
_PASSWORD = re.compile(r"(?<=://)([^/?]*?):.*@|(?<=[?&])(\w*password)=[^&]*")


@dataclass(frozen=True)
class Patience:
    """How long a database is waited for: `answer_s` for a statement or a lock, `connect_s` for a connection (2 at least)."""

    answer_s: float = 60.0
    connect_s: int = 10


COMMANDS = Patience()
"""Of commands, which read much at a time and keep nobody waiting."""


class Database:
    """Connections to one database. Open it by `connect` or `existing`; close it."""

    def __init__(self, url: str, patience: Patience = COMMANDS, durable: bool = True) -> None:
        """durable: whether a commit waits for the disk; only what can be made again may do without.

        SettingsError for another kind of URL.
        """
        self.url, self.name, self.patience = url, masked(url), patience
        self.file = Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None
        if self.file is None and not url.startswith(POSTGRESQL):
            raise SettingsError(
                f"database: seen {self.name}, allowed sqlite:///FILE or postgresql://USER@HOST:PORT/DATABASE"
            )
        if self.file is not None:
            self._engine: Engine = sqlite.engine(self.file, patience.answer_s, durable)
            self._reader = self._engine.execution_options(**{sqlite.BEGIN: "BEGIN"})
        else:
            self._engine = postgresql.engine(url, patience.answer_s, patience.connect_s, durable)
            self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with; LedgerError when the database cannot be read."""
        with speaking("the database cannot be read"), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """As `reading`, and everything is read as of one moment. SQLite's file grows meanwhile with whatever is written."""
        with speaking("the database cannot be read"), self._reader.connect() as connection:
            yield connection if self.file is not None else connection.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All of the block or nothing of it, one at a time whoever asks; LedgerError when the database refuses."""
        with speaking("nothing was recorded"), self._engine.connect() as connection, connection.begin() as begun:
            if self.file is None:
                connection.execute(postgresql.ALONE)
            yield connection
            _commit(begun)

    @property
    def is_made(self) -> bool:
        """Whether there is a database of Burana's; LedgerError where that cannot be said."""
        if self.file is not None:
            return self.file.is_file()
        with speaking(f"{self.name} cannot be opened as Burana's database"), self._reader.connect() as connection:
            return schema.revision(connection) is not None

    def bring_up_to_date(self) -> None:
        """Make the tables that are missing; LedgerError where it cannot be opened."""
        with speaking(f"{self.name} cannot be opened as Burana's database"):
            with self._reader.connect() as connection:
                if schema.is_up_to_date(connection):
                    return
            with self.transaction() as connection:
                schema.bring_up_to_date(connection)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()


def connect(url: str, patience: Patience = COMMANDS, durable: bool = True) -> Database:
    """The database of a URL; its tables are made if they are missing."""
    database = Database(url, patience, durable)
    try:
        database.bring_up_to_date()
    except BaseException:
        database.close()
        raise
    return database


def existing(url: str, patience: Patience = COMMANDS) -> Database:
    """As `connect`, but SettingsError where there is none: a mistyped name must not look like an empty database."""
    with Database(url, patience) as database:
        if not database.is_made:
            raise SettingsError(
                f"{database.file or database.name} does not exist; name the --home or --database of the server (`burana keys make` begins a new one)"
            )
    return connect(url, patience)


def url_of(file: Path) -> str:
    """The URL of a SQLite file."""
    return f"{SQLITE}{file}"


def masked(url: str) -> str:
    """A URL without its passwords, to be printed."""
    return _PASSWORD.sub(lambda found: f"{found[1]}:***@" if found[2] is None else f"{found[2]}=***", url)


@contextmanager
def speaking(of: str) -> Iterator[None]:
    """Turn what a driver raises into a LedgerError that begins so, UnkeptError for a value that no database keeps."""
    try:
        yield
    except UNKEPT as error:
        said = error.orig if isinstance(error, DBAPIError) else error
        raise UnkeptError("value", str(said), "text without NUL and half surrogate pairs, numbers of 64 bits") from error
    except FAILURES as error:
        said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        raise LedgerError(f"{of}: {said}") from error


def _commit(begun: RootTransaction) -> None:
    try:
        begun.commit()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise LedgerError(f"whether it was recorded is not known, look before repeating it: {error.orig}") from error
        raise


def timestamp() -> str:
    """Now, as the tables keep it: UTC, ISO 8601 with microseconds."""
    return as_kept(datetime.now(UTC))


def as_kept(moment: datetime) -> str:
    """An aware moment of UTC, as the tables keep it: its order is that of the text."""
    return moment.isoformat(timespec="microseconds")
