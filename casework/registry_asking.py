"""What an operation's identifiers are looked for by, and which entries they meet.

An entry is met by its own kind and value; where money is named also in the field of another kind, and inside a QR payload (R96).
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from casework.registry_index import Found, Index
from casework.registry_keys import (
    CODES,
    LISTS,
    MONEY_KINDS,
    SHORTEST,
    Key,
    bare,
    bare_key,
    key_of_entry,
    own_check,
    own_key,
    seconds,
)
from domain.identifiers import IdentifierKind, Identifiers
from domain.listing import List
from domain.operation import IDENTIFIER_FIELDS, PARTS, Operation, identifiers_of
from domain.qr_payload import MERCHANT_NAME, TERMINAL, accounts, fields, payload_in

SOURCE_OF_FUNDS = "funding.source"
REMEMBERED = 1 << 16
"""Of the keys that were asked for last: the same accounts come again, and the keys of a value cost some microseconds."""
_KINDS = {f"{part}.{name}": kind for part, type_ in PARTS.items() for name, kind in IDENTIFIER_FIELDS[type_].items()}
ANY = -1
"""In place of a kind: entries of every kind."""


class Hit(Struct, frozen=True):
    """An identifier of an operation that is listed: where it stood, what it is, on which list, which entry."""

    field: str
    kind: IdentifierKind
    list: List
    entry_id: int


Asked = tuple[Key, int]
"""A key to look for, and of which kind (its number, or ANY) the entries must be that count."""


class Entries(NamedTuple):
    """Every entry up to a change, the newest apart, and which of them were removed by then."""

    change: int
    indexes: tuple[Index, ...]
    removed: frozenset[int]


class Asking:
    """Asks entries; who follows changes exchanges `entries`."""

    def __init__(self, identifiers: Identifiers, entries: Entries) -> None:
        self._identifiers, self._entries = identifiers, entries
        self._asked = lru_cache(maxsize=REMEMBERED)(self._keys_in)

    def ask(self, operation: Operation, at: datetime) -> tuple[tuple[Hit, ...], int]:
        """Every listed identifier of a canonical operation, on either side and in every part, also in another's field.

        at: the instant as of which entries are valid, aware. And the number of the last change that was in force: who keeps both
        can ask the registry of then.
        """
        entries = self._entries
        hits: list[Hit] = []
        for field, kind, value in identifiers_of(operation):
            if _may_meet(entries.indexes, asked := self._asked(field, value)):
                hits += (Hit(field, kind, LISTS[one.list], one.entry) for one in _met(entries, asked, kind, value, at))
        return tuple(hits), entries.change

    def hits(self, operation: Operation) -> tuple[Hit, ...]:
        """As `ask`, as of now and without the number."""
        return self.ask(operation, datetime.now(UTC))[0]

    def _keys_in(self, field: str, value: str) -> tuple[Asked, ...]:
        """By its field: to hash a kind, which is a word of a list, takes as long as the rest of remembering it."""
        kind = _KINDS[field]
        return self._keys(kind, value, kind in MONEY_KINDS or field == SOURCE_OF_FUNDS)

    def _told(self, value: str) -> tuple[Asked, ...]:
        """What a QR payload says besides itself is looked for by: who is paid, into what, at which terminal (R42)."""
        asked = [self._keys(IdentifierKind.ACCOUNT, account, True) for account in accounts(value)]
        told = dict(fields(value))
        named = ((IdentifierKind.SERVICE, MERCHANT_NAME), (IdentifierKind.DEVICE, TERMINAL))
        forms = ((kind, self._identifiers.form(kind, told.get(path, ""))) for kind, path in named)
        asked += [self._keys(kind, form, False) for kind, form in forms if form is not None]
        return tuple(one for of in asked for one in of)

    def _keys(self, kind: IdentifierKind, value: str, names_money: bool) -> tuple[Asked, ...]:
        """What a value is looked for by, in the order in which its entries are told."""
        if not names_money or len(letters := bare(value)) < SHORTEST:
            return ((own_key(kind, value), CODES[kind]),)
        if kind is IdentifierKind.QR and payload_in(value) is not None:
            return (bare_key(letters), ANY), *self._told(value)
        own = () if kind in MONEY_KINDS else ((own_key(kind, value), CODES[kind]),)
        is_number = letters.isascii() and letters.isdigit() and kind is not IdentifierKind.PHONE
        numbers = self._identifiers.of_number(letters) if is_number else ()
        return *own, (bare_key(letters), ANY), *((key_of_entry(*form), CODES[form[0]]) for form in numbers)


def _may_meet(indexes: tuple[Index, ...], asked: tuple[Asked, ...]) -> bool:
    for key, _ in asked:
        for index in indexes:
            if index.has(key):
                return True
    return False


def _met(entries: Entries, asked: tuple[Asked, ...], kind: IdentifierKind, value: str, at: datetime) -> list[Found]:
    """The entries that a value meets: of its own kind, and where money is named, of any kind that names money.

    A prohibited card given as an account, a telephone as a wallet, an account with dashes as a QR-code: all are met (R96).
    """
    met: dict[int, Found] = {}
    for key, only in asked:
        found = [one for index in entries.indexes for one in index.find(key) if only in (ANY, one.kind)]
        met |= {one.entry: one for one in _own_first(found, kind, value) if one.entry not in met}
    return [one for one in met.values() if _acts(one, entries, at)]


def _own_first(found: list[Found], kind: IdentifierKind, value: str) -> list[Found]:
    """Those of the very kind and value before others with the same letters and digits, each in the order of their listing."""
    code, check = CODES[kind], own_check(kind, value)
    return sorted(found, key=lambda one: (one.kind != code or one.own != check, one.entry))


def _acts(found: Found, entries: Entries, at: datetime) -> bool:
    """Whether an entry is valid at an instant and not removed."""
    return found.begins <= seconds(at) < found.ends and found.entry not in entries.removed
