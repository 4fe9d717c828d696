"""Was an id seen before? Asked before every record, in the event loop that answers.

On SQLite it is a read of a few microseconds, made at once. On PostgreSQL it is a round trip that must not hold up the others: those
that come meanwhile wait together and are asked as one query, in a thread of their own.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol
from uuid import UUID

from casework import postgresql, sqlite
from casework.database import Database, speaking
from casework.tables import id_hash
from domain.errors import BuranaError, LedgerError

MAX_BATCH = 1024
_SQLITE = "SELECT body, answer FROM entries WHERE id_hash = ? AND type = ? AND id = ?"
_POSTGRESQL = "SELECT type, id, body, answer FROM entries WHERE id_hash = ANY(%s::uuid[])"
Key = tuple[str, str]
"""Type and id."""


class Known(NamedTuple):
    """What is recorded under an id: the canonical body, and the answer, None where it came in with a history."""

    body: bytes
    answer: bytes | None


class Lookups(Protocol):
    """Finds what is committed under an id."""

    async def find(self, key: Key) -> Known | None:
        """What was committed when this was called, or None; LedgerError when the database does not say."""

    def close(self) -> None:
        """Answer those that wait, then close."""


class ImmediateLookups:
    """Of a SQLite file: `find` never lets go of the event loop."""

    def __init__(self, database: Database) -> None:
        assert database.file is not None, "it is a file's"
        self._connection = sqlite.connected(database.file, database.patience.answer_s)

    async def find(self, key: Key) -> Known | None:
        """See Lookups."""
        return self.now(key)

    def now(self, key: Key) -> Known | None:
        """As `find`, for who has no event loop."""
        try:
            found = self._connection.execute(_SQLITE, (id_hash(*key), *key)).fetchone()
        except sqlite3.Error as error:
            raise LedgerError(f"the ledger cannot be read: {error}") from error
        return None if found is None else Known(*found)

    def close(self) -> None:
        """See Lookups."""
        self._connection.close()


class _Asked(NamedTuple):
    key: Key
    answer: "asyncio.Future[Known | None]"


class GatheredLookups:
    """Of PostgreSQL: one query for all that wait. A session that was lost is opened again for the next query."""

    def __init__(self, database: Database, announce: Callable[[Callable[[], None]], object]) -> None:
        """announce: runs a callable in the event loop of those that ask."""
        self._database, self._announce = database, announce
        self._queue: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._session: postgresql.Session | None = None
        self._thread = threading.Thread(target=self._answer_all, name="look-ups", daemon=True)
        self._thread.start()

    async def find(self, key: Key) -> Known | None:
        """See Lookups."""
        asked = _Asked(key, asyncio.get_running_loop().create_future())
        self._queue.put(asked)
        return await asked.answer

    def close(self) -> None:
        """See Lookups."""
        self._queue.put(None)
        self._thread.join()

    def _answer_all(self) -> None:
        while batch := self._next_batch():
            found, failed = self._found([asked.key for asked in batch])
            if failed is not None:  # who came meanwhile has waited for the same server: he is not let wait for it again
                batch += self._next_batch(wait=False)
            self._tell(batch, found, failed)
        if self._session is not None:
            self._session.close()

    def _next_batch(self, wait: bool = True) -> list[_Asked]:
        """All that are asked; nothing in the end, or where nothing is asked and nothing to wait for."""
        batch: list[_Asked] = []
        while len(batch) < MAX_BATCH and ((wait and not batch) or not self._queue.empty()):
            if (asked := self._queue.get()) is None:
                self._queue.put(None)  # the end, again, for when these are told
                break
            batch.append(asked)
        return batch

    def _tell(self, batch: list[_Asked], found: dict[Key, Known], failed: str | None) -> None:
        def tell() -> None:
            for asked in batch:
                if asked.answer.done():  # who asked is gone
                    continue
                if failed is None:
                    asked.answer.set_result(found.get(asked.key))
                else:
                    asked.answer.set_exception(LedgerError(failed))

        self._announce(tell)

    def _found(self, keys: list[Key]) -> tuple[dict[Key, Known], str | None]:
        """What is known by key, or what went wrong."""
        try:
            with speaking("the ledger cannot be read"):
                hashes = [UUID(bytes=id_hash(*key)) for key in keys]
                rows = self._opened().execute(_POSTGRESQL, (hashes,), binary=True).fetchall()
        except BuranaError as error:  # which may be a setting of the server, where it was started anew
            return {}, str(error)
        return {(type_, id_): Known(body, answer) for type_, id_, body, answer in rows}, None

    def _opened(self) -> postgresql.Session:
        if self._session is None or self._session.closed:
            patience = self._database.patience
            self._session = postgresql.connected(self._database.url, patience.answer_s, patience.connect_s)
            self._session.prepare_threshold = 0
        return self._session


def lookups(database: Database, announce: Callable[[Callable[[], None]], object]) -> Lookups:
    """Those that fit the database."""
    return ImmediateLookups(database) if database.file is not None else GatheredLookups(database, announce)
