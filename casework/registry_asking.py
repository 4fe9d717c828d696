"""What an operation's identifiers are looked for by, and which entries they meet.

An entry is met by its own kind and value; where money is named also in the field of another kind, and inside a QR payload (R96).
"""

from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import Struct

from casework.registry_index import Found, Index
from casework.registry_keys import ANY, CODES, LISTS, Asked, own_check, seconds
from casework.registry_ways import ways
from domain.identifiers import IdentifierKind, Identifiers
from domain.listing import List
from domain.operation import Operation, identifiers_of


class Hit(Struct, frozen=True):
    """An identifier of an operation that is listed: where it stood, what it is, on which list, which entry."""

    field: str
    kind: IdentifierKind
    list: List
    entry_id: int


class Entries(NamedTuple):
    """Every entry up to a change, the newest apart, and which of them were removed by then."""

    change: int
    indexes: tuple[Index, ...]
    removed: frozenset[int]


class Asking:
    """Asks entries; who follows changes exchanges `entries`."""

    def __init__(self, identifiers: Identifiers, entries: Entries) -> None:
        self._entries, self._ways = entries, ways(identifiers)

    def ask(self, operation: Operation, at: datetime) -> tuple[tuple[Hit, ...], int]:
        """Every listed identifier of a canonical operation, on either side and in every part, also in another's field.

        at: the instant as of which entries are valid, aware. And the number of the last change that was in force: who keeps both
        can ask the registry of then.
        """
        entries, way_of = self._entries, self._ways
        hits: list[Hit] = []
        for field, kind, value in identifiers_of(operation):
            asked = way_of[field](value)
            for index in entries.indexes:
                if index.has_any(asked):
                    hits += (Hit(field, kind, LISTS[one.list], one.entry) for one in _met(entries, asked, kind, value, at))
                    break
        return tuple(hits), entries.change

    def hits(self, operation: Operation) -> tuple[Hit, ...]:
        """As `ask`, as of now and without the number."""
        return self.ask(operation, datetime.now(UTC))[0]


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
