"""The registry of prohibited and watched identifiers (para. 13, 19-22; R40-R45, R96-R104).

prohibited always rejects, whatever else fails (R96); watched sends to verification at least (R45). Nothing is deleted: an
entry that was removed stays with who removed it and why, so the registry of any past moment can be read.
"""

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import func, insert, or_, select, update

from casework.audit_log import record_change
from casework.database import Database, timestamp
from casework.tables import REGISTRY
from domain.errors import ConflictError, SettingsError
from domain.identifiers import IdentifierKind, Identifiers, masked
from domain.operation import Operation, identifiers_of

_R = REGISTRY.c
_LIVE = _R.removed_at.is_(None)
_LAST_CHANGES = select(
    select(func.max(_R.added_change)).scalar_subquery(), select(func.max(_R.removed_change)).scalar_subquery()
)


class List(StrEnum):
    """On which list an identifier stands."""

    PROHIBITED = "prohibited"
    WATCHED = "watched"


_LISTS = {list_.value: list_ for list_ in List}
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


class _Lists(NamedTuple):
    """The live entries by kind and value, and those that name money by their letters and digits alone, as of a change."""

    change: int
    live: dict[tuple[str, str], list[tuple[List, int]]]
    bare: dict[str, list[tuple[List, int]]]


class Registry:
    """The live entries in memory: a look-up is one dictionary access, and needs nothing else to work."""

    def __init__(self, database: Database, identifiers: Identifiers, as_of: int | None = None) -> None:
        """as_of: the change at which it stands for good; None for one that follows. SettingsError for a change yet to come."""
        self._database, self._identifiers = database, identifiers
        self._forms = lru_cache(maxsize=REMEMBERED)(self._as_card_and_phone)
        self._lists = _Lists(-1, {}, {})
        if as_of is None:
            self.refresh()
            return
        if as_of > (last := self._last_change()):
            raise SettingsError(f"the registry of change {as_of} is asked; its last change was {last}")
        self._load(as_of)

    def __len__(self) -> int:
        return sum(map(len, self._lists.live.values()))

    def refresh(self) -> bool:
        """Read the entries again if any was added or removed, by this process or another; whether it was so. From any thread."""
        if (change := self._last_change()) == self._lists.change:
            return False
        self._load(change)
        return True

    def _last_change(self) -> int:
        with self._database.reading() as connection:
            return max(number or 0 for number in connection.execute(_LAST_CHANGES).one())

    def _load(self, change: int) -> None:
        """Take the entries that were live at a change: no others, also where more were changed since it was asked for."""
        live_then = (_R.added_change <= change, or_(_LIVE, _R.removed_change > change))
        query = select(_R.kind, _R.value, _R.list, _R.entry_id).where(*live_then).order_by(_R.entry_id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        _, live, bare = lists = _Lists(change, {}, {})
        for kind, value, name, entry_id in rows:
            live.setdefault((kind, value), []).append((_LISTS[name], entry_id))
            if kind in MONEY_KINDS:
                bare.setdefault(_bare(value), []).append((_LISTS[name], entry_id))
        self._lists = lists

    def ask(self, operation: Operation) -> tuple[tuple[Hit, ...], int]:
        """Every listed identifier of a canonical operation, on either side and in every part, also in another's field.

        And the number of the last change that was in force: who keeps it can ask the registry of then.
        """
        lists = self._lists
        if not lists.live:
            return (), lists.change
        hits = tuple(
            Hit(field, kind, name, entry_id)
            for field, kind, value in identifiers_of(operation)
            for name, entry_id in self._entries(lists, kind, value, kind in MONEY_KINDS or field == SOURCE_OF_FUNDS)
        )
        return hits, lists.change

    def hits(self, operation: Operation) -> tuple[Hit, ...]:
        """As `ask`, without the number."""
        return self.ask(operation)[0]

    def _entries(self, lists: _Lists, kind: IdentifierKind, value: str, names_money: bool) -> Iterable[tuple[List, int]]:
        """The entries that a value meets: of its own kind, and where money is named, of any kind that names money.

        A prohibited card given as an account, a telephone as a wallet, an account with dashes as a QR-code: all are met (R96).
        """
        _, live, by_bare = lists
        found = live.get((kind, value), ())
        if not names_money or len(bare := _bare(value)) < SHORTEST:
            return found
        met = [*found, *by_bare.get(bare, ())]
        if bare.isdigit():
            met += [entry for form in self._forms(value) for entry in live.get(form, ())]
        return dict.fromkeys(met) if met else ()

    def _as_card_and_phone(self, value: str) -> tuple[tuple[IdentifierKind, str], ...]:
        """What a number in the field of another kind is as a card and as a telephone, where it can be one."""
        kinds = (IdentifierKind.CARD, IdentifierKind.PHONE)
        return tuple((kind, form) for kind in kinds if (form := self._identifiers.form(kind, value)))


@lru_cache(maxsize=REMEMBERED)
def _bare(value: str) -> str:
    """Letters and digits alone: what is left when separators, blanks and a leading + are not looked at."""
    return "".join(filter(str.isalnum, value)).lower()


def add(database: Database, identifiers: Identifiers, kind: IdentifierKind, value: str, list_: List,
        source: str, person: str, reason: str) -> int:  # fmt: skip
    """List an identifier in its normal form (R103); the entry's id. ConflictError if it is on that list already."""
    normal = identifiers.normal(kind, value)
    with database.transaction() as connection:
        listed_as = {"kind": kind, "value": normal, "list": list_, "source": source}
        words = f"registry: add {kind} {masked(normal)} to {list_}"
        change = record_change(connection, person, reason, words, after=listed_as)
        there = select(_R.entry_id).where(_R.kind == kind, _R.value == normal, _R.list == list_, _LIVE)
        if found := connection.scalar(there):
            raise ConflictError(f"{kind} {masked(normal)} is on the {list_} list already, entry {found}")
        row = {**listed_as, "added_at": timestamp(), "added_by": person, "added_reason": reason, "added_change": change}
        return int(connection.execute(insert(REGISTRY).values(row).returning(_R.entry_id)).scalar_one())


def remove(database: Database, entry_id: int, person: str, reason: str) -> None:
    """Take an entry off its list, on error or on the customer's confirmation (R99, R100); it stays as history."""
    with database.transaction() as connection:
        columns = select(_R.kind, _R.value, _R.list, _R.source).where(_R.entry_id == entry_id, _LIVE)
        if (found := connection.execute(columns).mappings().first()) is None:
            raise SettingsError(f"no live registry entry {entry_id}; `burana registry list` shows the live ones")
        words = f"registry: remove entry {entry_id}"
        change = record_change(connection, person, reason, words, before={"entry_id": entry_id, **found})
        removed = {"removed_at": timestamp(), "removed_by": person, "removed_reason": reason, "removed_change": change}
        connection.execute(update(REGISTRY).where(_R.entry_id == entry_id).values(removed))


def listed(database: Database) -> list[dict[str, object]]:
    """The live entries with who added them and why."""
    columns = (_R.entry_id, _R.kind, _R.value, _R.list, _R.source, _R.added_at, _R.added_by, _R.added_reason)
    with database.reading() as connection:
        found = connection.execute(select(*columns).where(_LIVE).order_by(_R.entry_id))
        return [dict(row) for row in found.mappings()]
