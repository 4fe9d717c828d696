"""The registry of prohibited and watched identifiers, asked (para. 13, 19-22; R40-R45, R96-R104).

prohibited always rejects, whatever else fails (R96); watched sends to verification at least (R45). The entries are in memory as an
index of hashes (`registry_index.py`), followed by what was added and removed since; `registry_entries.py` changes them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sqlalchemy import func, select, tuple_

from casework.database import Database
from casework.registry_index import RECORD, Found, Index
from casework.registry_keys import (
    CODES,
    LISTS,
    MONEY_KINDS,
    SHORTEST,
    STORED,
    Key,
    bare,
    bare_key,
    key_of_entry,
    own_check,
    own_key,
    seconds,
)
from casework.tables import REGISTRY
from domain.errors import SettingsError
from domain.identifiers import IdentifierKind, Identifiers
from domain.listing import List
from domain.operation import Operation, identifiers_of
from domain.qr_payload import MERCHANT_NAME, TERMINAL, accounts, fields, payload_in

_R = REGISTRY.c
_LAST_CHANGES = select(
    select(func.max(_R.added_change)).scalar_subquery(), select(func.max(_R.removed_change)).scalar_subquery()
)
SOURCE_OF_FUNDS = "funding.source"
REMEMBERED = 1 << 16
"""Of the keys that were asked for last: the same accounts come again, and the keys of a value cost some microseconds."""
PAGE = 100_000
"""Entries read at once."""
RECENT = 1 << 16
"""Entries that are kept beside the large index before the two are made one."""
ANY = -1
"""In place of a kind: entries of every kind."""


class Hit(Struct, frozen=True):
    """An identifier of an operation that is listed: where it stood, what it is, on which list, which entry."""

    field: str
    kind: IdentifierKind
    list: List
    entry_id: int


class Asked(NamedTuple):
    """A key to look for, and of which kind (its number, or ANY) the entries must be that count."""

    key: Key
    kind: int


class _Entries(NamedTuple):
    """Every entry up to a change, the newest apart, and which of them were removed by then."""

    change: int
    indexes: tuple[Index, ...]
    removed: frozenset[int]


class Registry:
    """The entries in memory: asking them needs nothing else to work."""

    def __init__(self, database: Database, identifiers: Identifiers, as_of: int | None = None) -> None:
        """as_of: the change at which it stands for good; None for one that follows. SettingsError for a change yet to come."""
        self._database, self._identifiers = database, identifiers
        self._asked = lru_cache(maxsize=REMEMBERED)(self._keys)
        change = self._last_change()
        if as_of is not None and as_of > change:
            raise SettingsError(f"the registry of change {as_of} is asked; its last change was {change}")
        self._entries = self._loaded(change if as_of is None else as_of)

    def __len__(self) -> int:
        _, indexes, removed = self._entries
        return sum(map(len, indexes)) - len(removed)

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

    def _loaded(self, change: int) -> _Entries:
        """The entries as of a change: no others, also where more were changed since it was asked for."""
        return _as_one(self._added(None, change), frozenset(self._removed(None, change)), change)

    def _added(self, after: int | None, up_to: int) -> NDArray[Any]:
        """(n,) RECORD of what was added by the changes after one and up to another, in their order."""
        pages = [_records(page) for page in self._pages(after, up_to)]
        return np.concatenate(pages) if pages else np.empty(0, RECORD)

    def _pages(self, after: int | None, up_to: int) -> Iterator[list[Any]]:
        place = tuple_(_R.added_change, _R.entry_id)
        query = select(_R.added_change, _R.entry_id, _R.look_up).where(_R.added_change <= up_to)
        query = query.order_by(_R.added_change, _R.entry_id).limit(PAGE)
        begin = query if after is None else query.where(_R.added_change > after)
        while page := self._all(begin):
            yield page
            begin = query.where(place > tuple_(page[-1].added_change, page[-1].entry_id))

    def _removed(self, after: int | None, up_to: int) -> list[int]:
        """What was removed by the changes after one, None for all, and up to another."""
        query = select(_R.entry_id).where(_R.removed_change <= up_to)
        found = self._all(query if after is None else query.where(_R.removed_change > after))
        return [row.entry_id for row in found]

    def _all(self, query: Any) -> list[Any]:
        with self._database.reading() as connection:
            return list(connection.execute(query).all())

    # ---- asking ------------------------------------------------------------------------------------------------------

    def ask(self, operation: Operation, at: datetime) -> tuple[tuple[Hit, ...], int]:
        """Every listed identifier of a canonical operation, on either side and in every part, also in another's field.

        at: the instant as of which entries are valid, aware. And the number of the last change that was in force: who keeps both
        can ask the registry of then.
        """
        entries = self._entries
        if not any(entries.indexes):
            return (), entries.change
        hits = tuple(
            Hit(field, kind, LISTS[found.list], found.entry)
            for field, kind, value in identifiers_of(operation)
            for found in self._met(entries, kind, value, kind in MONEY_KINDS or field == SOURCE_OF_FUNDS, at)
        )
        return hits, entries.change

    def hits(self, operation: Operation) -> tuple[Hit, ...]:
        """As `ask`, as of now and without the number."""
        return self.ask(operation, datetime.now(UTC))[0]

    def _met(self, entries: _Entries, kind: IdentifierKind, value: str, names_money: bool, at: datetime) -> list[Found]:
        """The entries that a value meets: of its own kind, and where money is named, of any kind that names money.

        A prohibited card given as an account, a telephone as a wallet, an account with dashes as a QR-code: all are met (R96).
        """
        met: dict[int, Found] = {}
        for key, only in self._asked(kind, value, names_money):
            found = [one for index in entries.indexes for one in index.find(key) if only in (ANY, one.kind)]
            if found:
                met |= {one.entry: one for one in _own_first(found, kind, value) if one.entry not in met}
        return [one for one in met.values() if _acts(one, entries, at)] if met else []

    def _told(self, value: str) -> tuple[Asked, ...]:
        """What a QR payload says besides itself is looked for by: who is paid, into what, at which terminal (R42)."""
        asked = [self._asked(IdentifierKind.ACCOUNT, account, True) for account in accounts(value)]
        told = dict(fields(value))
        named = ((IdentifierKind.SERVICE, MERCHANT_NAME), (IdentifierKind.DEVICE, TERMINAL))
        forms = ((kind, self._identifiers.form(kind, told.get(path, ""))) for kind, path in named)
        asked += [self._asked(kind, form, False) for kind, form in forms if form is not None]
        return tuple(one for of in asked for one in of)

    def _keys(self, kind: IdentifierKind, value: str, names_money: bool) -> tuple[Asked, ...]:
        """What a value is looked for by, in the order in which its entries are told."""
        if not names_money or len(letters := bare(value)) < SHORTEST:
            return (Asked(own_key(kind, value), CODES[kind]),)
        if kind is IdentifierKind.QR and payload_in(value) is not None:
            return Asked(bare_key(letters), ANY), *self._told(value)
        own = () if kind in MONEY_KINDS else (Asked(own_key(kind, value), CODES[kind]),)
        numbers = self._as_card_and_phone(value) if letters.isdigit() and kind is not IdentifierKind.PHONE else ()
        return *own, Asked(bare_key(letters), ANY), *(Asked(key_of_entry(*form), CODES[form[0]]) for form in numbers)

    def _as_card_and_phone(self, value: str) -> tuple[tuple[IdentifierKind, str], ...]:
        """What a number in the field of another kind is as a card and as a telephone, where it can be one."""
        kinds = (IdentifierKind.CARD, IdentifierKind.PHONE)
        return tuple((kind, form) for kind in kinds if (form := self._identifiers.form(kind, value)))


def _own_first(found: list[Found], kind: IdentifierKind, value: str) -> list[Found]:
    """Those of the very kind and value before others with the same letters and digits, each in the order of their listing."""
    code, check = CODES[kind], own_check(kind, value)
    return sorted(found, key=lambda one: (one.kind != code or one.own != check, one.entry))


def _acts(found: Found, entries: _Entries, at: datetime) -> bool:
    """Whether an entry is valid at an instant and not removed."""
    return found.begins <= seconds(at) < found.ends and found.entry not in entries.removed


def _records(page: list[Any]) -> NDArray[Any]:
    stored = np.frombuffer(b"".join([row.look_up for row in page]), STORED)
    made = np.empty(len(page), RECORD)
    for name in STORED.names or ():
        made[name] = stored[name]
    made["entry"] = [row.entry_id for row in page]
    return made


def _grown(indexes: tuple[Index, ...], added: NDArray[Any], removed: frozenset[int], change: int) -> _Entries:
    """With what was added: in a small index of its own, until that is large enough to become one with the first."""
    if not len(added):
        return _Entries(change, indexes, removed)
    large, *small = indexes
    recent = np.concatenate([*(index.records for index in small), added])
    if len(recent) <= max(RECENT, len(large) // 16):
        return _Entries(change, (large, Index(recent)), removed)
    return _as_one(np.concatenate([large.records, recent]), removed, change)


def _as_one(records: NDArray[Any], removed: frozenset[int], change: int) -> _Entries:
    if removed:
        records = records[~np.isin(records["entry"], np.fromiter(removed, np.int64, len(removed)))]
    return _Entries(change, (Index(records),), frozenset())
