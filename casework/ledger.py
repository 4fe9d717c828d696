"""The ledger: every operation with its decision, every event, every outcome, in the order of arrival (R38, R39).

This file reads it; `writers.py` adds to it, `group_commit.py` lets many wait for one commit.
"""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, Select, TextClause, func, select, text

from casework import database as databases
from casework.database import COMMANDS, Database, Patience
from casework.tables import ENTRIES, id_hash

PAGE = 5_000
"""Entries read at once: a page is a statement of its own, so that no reader holds a snapshot for as long as he reads."""


class Entry(NamedTuple):
    """One line of the ledger; see the table `entries` for the columns."""

    sequence: int
    type: str
    id: str
    recorded_at: str
    body: bytes
    row: bytes
    encoding: int
    answer: bytes | None = None
    vector: bytes | None = None
    evidence: bytes | None = None


_E = ENTRIES.c
_WHOLE = select(*(_E[name] for name in Entry._fields))
_ROWS = select(_E.sequence, _E.row, _E.encoding)
_NEXT = "SELECT id_hash FROM entries WHERE id_hash > :after ORDER BY id_hash LIMIT :most"
_HASHES_SQLITE = text(f"SELECT group_concat(hex(id_hash), '') FROM ({_NEXT})")  # noqa: S608 our own words; rows come in the order of the index
_HASHES_POSTGRESQL = text(f"SELECT string_agg(uuid_send(id_hash), '' ORDER BY id_hash) FROM ({_NEXT}) AS hashes")  # noqa: S608


class Ledger:
    """Look up, read in order, from any thread; a process that adds to it is not disturbed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def last_sequence(self) -> int:
        """The sequence number of the last committed entry, 0 when there is none."""
        return int(self._all(select(func.coalesce(func.max(_E.sequence), 0)))[0][0])

    @property
    def end(self) -> tuple[int, str]:
        """Sequence number of the last committed entry and when it was recorded; 0 and nothing where there is none."""
        found = self._all(select(_E.sequence, _E.recorded_at).order_by(_E.sequence.desc()).limit(1))
        return (found[0].sequence, found[0].recorded_at) if found else (0, "")

    def find(self, type_: str, id_: str) -> Entry | None:
        """The committed entry of an id, or None."""
        if "\0" in id_:  # which no id has, and PostgreSQL takes in no text
            return None
        found = id_hash(type_, id_) if self._database.file is not None else UUID(bytes=id_hash(type_, id_))
        return self._entry(_WHOLE.where(_E.id_hash == found, _E.type == type_, _E.id == id_))

    def at(self, sequence: int) -> Entry | None:
        """The committed entry of a sequence number, or None."""
        return self._entry(_WHOLE.where(_E.sequence == sequence))

    @property
    def last_recorded_at(self) -> datetime | None:
        """When the last committed entry was recorded, None when there is none."""
        last = self._recorded_at(self.last_sequence)
        return datetime.fromisoformat(last) if last else None

    def last_before(self, moment: str) -> int:
        """The sequence number of the last entry that was recorded before a moment (as in `recorded_at`), 0 when there is none.

        It never falls from one number to the next (`serving/recorded_at.py`), so a few look-ups find it.
        """
        numbers = range(1, self.last_sequence + 1)
        return bisect_left(numbers, moment, key=self._recorded_at)

    def draw(self, count: int, newest: int) -> list[Entry]:
        """Up to `count` operations with a vector, drawn at random among the newest entries, in order."""
        decided = (_E.sequence > self.last_sequence - newest, _E.type == "operation", _E.vector.is_not(None))
        drawn = select(_E.sequence).where(*decided).order_by(func.random()).limit(count)
        return [Entry._make(found) for found in self._all(_WHOLE.where(_E.sequence.in_(drawn)).order_by(_E.sequence))]

    def read(self, after: int = 0, up_to: int = 2**62) -> Iterator[Entry]:
        """Committed entries with after < sequence <= up_to, in order."""
        for page in self._pages(_WHOLE, after, up_to, PAGE):
            yield from map(Entry._make, page)

    def answered(self, words: bytes, after: int, up_to: int) -> Iterator[Entry]:
        """As `read`, of those in whose answer some bytes stand: the database looks, so that the others cost next to nothing."""
        place = func.instr if self._database.file is not None else func.pg_catalog.position
        for page in self._pages(_WHOLE.where(place(_E.answer, words) > 0), after, up_to, PAGE):
            yield from map(Entry._make, page)

    def rows(self, after: int = 0, chunk: int = 100_000) -> Iterator[list[tuple[int, bytes, int]]]:
        """(sequence, row, encoding) of all entries after a sequence number, in order: what the features are rebuilt from.

        All that there are when the first is asked for: beside a server that records without a pause there is no end to wait for.
        """
        for page in self._pages(_ROWS, after, self.last_sequence, chunk):
            yield [(found.sequence, found.row, found.encoding) for found in page]

    def hashes(self, chunk: int = 8_192) -> Iterator[bytes]:
        """The hashes of the ids of all entries, 16 bytes each, so many together; those that are recorded meanwhile may be missing.

        The database joins them: 2 million take 0.7 CPU seconds, most of them without the interpreter. As rows they took 4.0, and the
        interpreter was handed over for each, which whoever answers callers felt.
        """
        after, is_uuid = bytes(16), self._database.file is None
        statement = _HASHES_POSTGRESQL if is_uuid else _HASHES_SQLITE
        while (joined := self._all(statement, after=UUID(bytes=after) if is_uuid else after, most=chunk)[0][0]) is not None:
            hashes = joined if is_uuid else bytes.fromhex(joined)
            yield hashes
            after = hashes[-16:]

    def _pages(self, columns: Select[Any], after: int, up_to: int, size: int) -> Iterator[list[Row[Any]]]:
        while page := self._all(columns.where(_E.sequence > after, _E.sequence <= up_to).order_by(_E.sequence).limit(size)):
            yield page
            after = page[-1].sequence

    def _recorded_at(self, sequence: int) -> str:
        found = self._all(select(_E.recorded_at).where(_E.sequence == sequence))
        return str(found[0][0]) if found else ""

    def _entry(self, query: Select[Any]) -> Entry | None:
        found = self._all(query)
        return Entry._make(found[0]) if found else None

    def _all(self, query: Select[Any] | TextClause, **values: object) -> list[Row[Any]]:
        with databases.speaking("the ledger cannot be read"), self._database.reading() as connection:
            return list(connection.execute(query, values).all())


@contextmanager
def reading(url: str, patience: Patience = COMMANDS) -> Iterator[Ledger]:
    """The ledger of a database that is there, beside a running server or without one; SettingsError where there is none."""
    with databases.existing(url, patience) as database:
        yield Ledger(database)
