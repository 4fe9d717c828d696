"""What an operation's identifiers are looked for by, and which entries they meet.

An entry is met by its own kind and value; where money is named also in the field of another kind, and inside a QR payload (R96).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import astuple

from casework.registry_index import Found, Index
from casework.registry_keys import ANY, CODES, LISTS, Asked, Way, own_check, seconds
from casework.registry_ways import kinds_met, ways
from domain.identifiers import IdentifierKind, Identifiers
from domain.listing import List
from domain.operation import IDENTIFIER_FIELDS, PARTS, Operation


class Hit(Struct, frozen=True):
    """An identifier of an operation that is listed: where it stood, what it is, on which list, which entry."""

    field: str
    kind: IdentifierKind
    list: List
    entry_id: int


class Entries(NamedTuple):
    """Every entry up to a change, the newest apart, which of them were removed by then, and the numbers of their kinds."""

    change: int
    indexes: tuple[Index, ...]
    removed: frozenset[int]
    kinds: frozenset[int]

    @classmethod
    def of(cls, change: int, indexes: tuple[Index, ...], removed: frozenset[int]) -> "Entries":
        """The kinds are those of the indexes."""
        return cls(change, indexes, removed, frozenset[int]().union(*(index.kinds for index in indexes)))


_Place = tuple[str, IdentifierKind, Way]
_Places = tuple[tuple[str, tuple[_Place | None, ...]], ...]
"""By part what each of its fields is looked for by, in the order of the fields; None for one that cannot meet an entry."""


class Asking:
    """Asks entries; who follows changes exchanges `entries`."""

    def __init__(self, identifiers: Identifiers, entries: Entries) -> None:
        self._entries, self._ways = entries, ways(identifiers)
        self._places: dict[frozenset[int], _Places] = {}

    @property
    def change(self) -> int:
        """The number of the last change that is in force."""
        return self._entries.change

    def ask(self, operation: Operation, at: datetime) -> tuple[tuple[Hit, ...], int]:
        """Every listed identifier of a canonical operation, on either side and in every part, also in another's field.

        at: the instant as of which entries are valid, aware. And the number of the last change that was in force: who keeps both
        can ask the registry of then.
        """
        entries = self._entries
        if (places := self._places.get(entries.kinds)) is None:
            places = self._places[entries.kinds] = tuple((part, self._of_part(part, entries.kinds)) for part in PARTS)
        hits: list[Hit] = []
        for name, fields in places:
            if (part := getattr(operation, name)) is not None:
                for place, value in zip(fields, astuple(part), strict=True):
                    if place is not None and value is not None:
                        hits += _hits(entries, place, value, at)
        return tuple(hits), entries.change

    def _of_part(self, part: str, kinds: frozenset[int]) -> tuple[_Place | None, ...]:
        """A national list names accounts and telephones: most fields of an operation are of kinds of which nothing is listed."""
        type_ = PARTS[part]
        fields = ((f"{part}.{name}", IDENTIFIER_FIELDS[type_].get(name)) for name in type_.__struct_fields__)
        return tuple(
            None if kind is None or kinds.isdisjoint(kinds_met(field)) else (field, kind, self._ways[field])
            for field, kind in fields
        )

    def hits(self, operation: Operation) -> tuple[Hit, ...]:
        """As `ask`, as of now and without the number."""
        return self.ask(operation, datetime.now(UTC))[0]


def _hits(entries: Entries, place: _Place, value: str, at: datetime) -> Sequence[Hit]:
    field, kind, way = place
    asked = way(value)
    for index in entries.indexes:
        if index.has_any(asked):
            return [Hit(field, kind, LISTS[one.list], one.entry) for one in _met(entries, asked, kind, value, at)]
    return ()


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
