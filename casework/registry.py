"""The registry of prohibited and watched identifiers (para. 13, 19-22; R40-R45, R96-R104).

prohibited always rejects, whatever else fails (R96); watched sends to verification at least (R45). Nothing is deleted: an
entry that was removed stays with who removed it and why, so the registry of any past moment can be read.
"""

import sqlite3
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from casework import database
from domain.errors import ConflictError, SettingsError
from domain.identifiers import IdentifierKind, Identifiers, masked
from domain.operation import Operation, identifiers_of


class List(StrEnum):
    """On which list an identifier stands."""

    PROHIBITED = "prohibited"
    WATCHED = "watched"


MONEY_KINDS = frozenset((
    IdentifierKind.ACCOUNT, IdentifierKind.WALLET, IdentifierKind.CARD, IdentifierKind.PHONE, IdentifierKind.QR,
    IdentifierKind.VIRTUAL_ASSET_ADDRESS,
))  # fmt: skip
"""Kinds that say where money goes to or comes from; one may stand in the field of another."""
SOURCE_OF_FUNDS = "funding.source"
REMEMBERED = 1 << 16
"""Of the forms that were made last: the same accounts come again, and a form costs some microseconds."""
SHORTEST = 9
"""Letters and digits from which on a value names the same thing in another field; shorter codes are each kind's own."""


class Hit(Struct, frozen=True):
    """An identifier of an operation that is listed: where it stood, what it is, on which list, which entry."""

    field: str
    kind: IdentifierKind
    list: List
    entry_id: int


class Registry:
    """The live entries in memory: a look-up is one dictionary access, and needs nothing else to work."""

    def __init__(self, connection: sqlite3.Connection, identifiers: Identifiers) -> None:
        self._connection, self._identifiers = connection, identifiers
        self._forms = lru_cache(maxsize=REMEMBERED)(self._as_card_and_phone)
        self._seen: object = None
        self._live: dict[tuple[str, str], list[tuple[List, int]]] = {}
        self._bare: dict[str, list[tuple[List, int]]] = {}
        self.refresh()

    def __len__(self) -> int:
        return sum(map(len, self._live.values()))

    def refresh(self) -> bool:
        """Read the entries again if any was added or removed, by this process or another; whether it was so."""
        query = "SELECT count(*), coalesce(max(entry_id), 0), count(removed_at) FROM registry"
        seen = self._connection.execute(query).fetchone()
        if seen == self._seen:
            return False
        live: dict[tuple[str, str], list[tuple[List, int]]] = {}
        bare: dict[str, list[tuple[List, int]]] = {}
        rows = self._connection.execute("SELECT kind, value, list, entry_id FROM registry WHERE removed_at IS NULL")
        for kind, value, name, entry_id in rows:
            live.setdefault((kind, value), []).append((List(name), entry_id))
            if kind in MONEY_KINDS:
                bare.setdefault(_bare(value), []).append((List(name), entry_id))
        self._live, self._bare, self._seen = live, bare, seen
        return True

    def hits(self, operation: Operation) -> tuple[Hit, ...]:
        """Every listed identifier of a canonical operation, on either side and in every part, also in another's field."""
        if not self._live:
            return ()
        return tuple(
            Hit(field, kind, name, entry_id)
            for field, kind, value in identifiers_of(operation)
            for name, entry_id in self._entries(kind, value, kind in MONEY_KINDS or field == SOURCE_OF_FUNDS)
        )

    def _entries(self, kind: IdentifierKind, value: str, names_money: bool) -> Iterable[tuple[List, int]]:
        """The entries that a value meets: of its own kind, and where money is named, of any kind that names money.

        A prohibited card given as an account, a telephone as a wallet, an account with dashes as a QR-code: all are met (R96).
        """
        found = self._live.get((kind, value), ())
        if not names_money or len(bare := _bare(value)) < SHORTEST:
            return found
        met = [*found, *self._bare.get(bare, ())]
        if bare.isdigit():
            met += [entry for form in self._forms(value) for entry in self._live.get(form, ())]
        return dict.fromkeys(met) if met else ()

    def _as_card_and_phone(self, value: str) -> tuple[tuple[IdentifierKind, str], ...]:
        """What a number in the field of another kind is as a card and as a telephone, where it can be one."""
        kinds = (IdentifierKind.CARD, IdentifierKind.PHONE)
        return tuple((kind, form) for kind in kinds if (form := self._identifiers.form(kind, value)))


@lru_cache(maxsize=REMEMBERED)
def _bare(value: str) -> str:
    """Letters and digits alone: what is left when separators, blanks and a leading + are not looked at."""
    return "".join(filter(str.isalnum, value)).lower()


def add(connection: sqlite3.Connection, identifiers: Identifiers, kind: IdentifierKind, value: str, list_: List,
        source: str, person: str, reason: str) -> int:  # fmt: skip
    """List an identifier in its normal form (R103); the entry's id. ConflictError if it is on that list already."""
    normal = identifiers.normal(kind, value)
    row = (kind, normal, list_, source, database.timestamp(), person, reason)
    with database.transaction(connection):
        database.record_change(connection, person, reason, f"registry: add {kind} {masked(normal)} to {list_}")
        there = "SELECT entry_id FROM registry WHERE kind = ? AND value = ? AND list = ? AND removed_at IS NULL"
        if found := connection.execute(there, row[:3]).fetchone():
            raise ConflictError(f"{kind} {masked(normal)} is on the {list_} list already, entry {found[0]}")
        columns = "kind, value, list, source, added_at, added_by, added_reason"
        added = connection.execute(f"INSERT INTO registry ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
        return int(added.lastrowid or 0)


def remove(connection: sqlite3.Connection, entry_id: int, person: str, reason: str) -> None:
    """Take an entry off its list, on error or on the customer's confirmation (R99, R100); it stays as history."""
    with database.transaction(connection):
        database.record_change(connection, person, reason, f"registry: remove entry {entry_id}")
        update = "UPDATE registry SET removed_at = ?, removed_by = ?, removed_reason = ? WHERE entry_id = ? AND removed_at IS NULL"
        if connection.execute(update, (database.timestamp(), person, reason, entry_id)).rowcount != 1:
            raise SettingsError(f"no live registry entry {entry_id}; `burana registry list` shows the live ones")


def listed(connection: sqlite3.Connection) -> list[dict[str, object]]:
    """The live entries with who added them and why."""
    columns = ("entry_id", "kind", "value", "list", "source", "added_at", "added_by", "added_reason")
    rows = connection.execute(f"SELECT {', '.join(columns)} FROM registry WHERE removed_at IS NULL ORDER BY entry_id")  # noqa: S608
    return [dict(zip(columns, row, strict=True)) for row in rows]
