"""The registry of prohibited and watched identifiers, asked (para. 13, 19-22; R40-R45, R96-R104).

prohibited always rejects, whatever else fails (R96); watched sends to verification at least (R45). The entries are in memory as an
index of hashes (`registry_index.py`), followed by what was added and removed since; `registry_entries.py` changes them.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select, tuple_

from casework.database import Database
from casework.registry_asking import Asking, Entries, Hit
from casework.registry_index import RECORD, Index
from casework.registry_keys import STORED
from casework.tables import REGISTRY
from domain.errors import SettingsError
from domain.identifiers import Identifiers

__all__ = ["Hit", "Registry"]
_R = REGISTRY.c
_LAST_CHANGES = select(
    select(func.max(_R.added_change)).scalar_subquery(), select(func.max(_R.removed_change)).scalar_subquery()
)
PAGE = 100_000
"""Entries read at once."""
RECENT = 1 << 16
"""Entries that are kept beside the large index before the two are made one."""


class Registry(Asking):
    """The entries in memory: asking them needs nothing else to work."""

    def __init__(self, database: Database, identifiers: Identifiers, as_of: int | None = None) -> None:
        """as_of: the change at which it stands for good; None for one that follows. SettingsError for a change yet to come."""
        self._database = database
        change = self._last_change()
        if as_of is not None and as_of > change:
            raise SettingsError(f"the registry of change {as_of} is asked; its last change was {change}")
        super().__init__(identifiers, self._loaded(change if as_of is None else as_of))

    def __len__(self) -> int:
        entries = self._entries
        return sum(map(len, entries.indexes)) - len(entries.removed)

    @property
    def nbytes(self) -> int:
        """Memory that the entries take, in bytes."""
        return sum(index.nbytes for index in self._entries.indexes)

    def refresh(self) -> bool:
        """Take over what was added or removed since, by this process or another; whether there was any. From any thread."""
        had = self._entries
        if (change := self._last_change()) == had.change:
            return False
        added, removed = self._added(had.change, change), had.removed.union(self._removed(had.change, change))
        self._entries = _grown(had.indexes, added, removed, change)
        return True

    def _last_change(self) -> int:
        with self._database.reading() as connection:
            return max(0, *(number or 0 for number in connection.execute(_LAST_CHANGES).one()))

    def _loaded(self, change: int) -> Entries:
        """The entries as of a change: no others, also where more were changed since it was asked for."""
        return _as_one(self._added(None, change), frozenset(self._removed(None, change)), change)

    def _added(self, after: int | None, up_to: int) -> NDArray[Any]:
        """(n,) RECORD of what was added by the changes after one and up to another, in their order."""
        pages = [_records(page) for page in self._pages(after, up_to)]
        return np.concatenate(pages) if pages else np.empty(0, RECORD)

    def _pages(self, after: int | None, up_to: int) -> Iterator["_Page"]:
        place = tuple_(_R.added_change, _R.entry_id)
        query = select(_R.added_change, _R.entry_id, _R.look_up).where(_R.added_change <= up_to)
        query = query.order_by(_R.added_change, _R.entry_id).limit(PAGE)
        begin = query if after is None else query.where(_R.added_change > after)
        while (page := self._page(begin)).entries:
            yield page
            begin = query.where(place > tuple_(page.last_change, page.entries[-1]))

    def _page(self, query: Any) -> "_Page":
        """By the driver itself, and no row kept: 1.2 us a row. Rows with names took three times that, half of it to collect garbage."""
        page = _Page(0, [], [])
        with self._database.reading() as connection:
            said = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
            with closing(cast("Any", connection.connection.cursor())) as cursor:
                cursor.execute(str(said))
                for page.last_change, entry, found_by in cursor:
                    page.entries.append(entry)
                    page.found_by.append(found_by)
        return page

    def _removed(self, after: int | None, up_to: int) -> list[int]:
        """What was removed by the changes after one, None for all, and up to another."""
        query = select(_R.entry_id).where(_R.removed_change <= up_to)
        found = self._all(query if after is None else query.where(_R.removed_change > after))
        return [row.entry_id for row in found]

    def _all(self, query: Any) -> list[Any]:
        with self._database.reading() as connection:
            return list(connection.execute(query).all())


@dataclass(slots=True)
class _Page:
    """Some entries, in the order of their changes: ids, what they are found by, and the last one's change."""

    last_change: int
    entries: list[int]
    found_by: list[bytes]


def _records(page: _Page) -> NDArray[Any]:
    stored = np.frombuffer(b"".join(page.found_by), STORED)
    made = np.empty(len(stored), RECORD)
    for name in STORED.names or ():
        made[name] = stored[name]
    made["entry"] = page.entries
    return made


def _grown(indexes: tuple[Index, ...], added: NDArray[Any], removed: frozenset[int], change: int) -> Entries:
    """With what was added: in a small index of its own, until that is large enough to become one with the first."""
    if not len(added):
        return Entries.of(change, indexes, removed)
    large, *small = indexes
    recent = np.concatenate([*(index.records for index in small), added])
    if len(recent) <= max(RECENT, len(large) // 16):
        return Entries.of(change, (large, Index(recent)), removed)
    return _as_one(np.concatenate([large.records, recent]), removed, change)


def _as_one(records: NDArray[Any], removed: frozenset[int], change: int) -> Entries:
    if removed:
        records = records[~np.isin(records["entry"], np.fromiter(removed, np.int64, len(removed)))]
    return Entries.of(change, (Index(records),), frozenset())
