"""What the audit log keeps of the rows that a change writes, so that tables can be held against it: a hash of each.

The hash is SHA-256 of the row as JSON: its columns that are not null, keys in order, no blanks, UTF-8, bytes in hexadecimal. A column that
a later release adds therefore changes no hash. An entry says them in its `after`, under `rows`, by table and key. Entries of the
registry come by the hundred thousand: of them a change keeps one hash over all that it added, and one over all that it removed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, select

from casework.tables import REGISTRY

ROWS = "rows"
"""Under this word an entry's `after` says the hashes."""
ADDED, REMOVED = "registry added", "registry removed"
_R = REGISTRY.c
OF_ADDED = tuple(column for column in _R if not column.name.startswith("removed_"))
OF_REMOVED = (_R.entry_id, *(column for column in _R if column.name.startswith("removed_")))
OF_NONE = hashlib.sha256().hexdigest()
"""The hash over no rows."""
Row = Mapping[Any, Any]
_JSON = msgspec.json.Encoder(order="sorted")


def kept(connection: Connection, table: Table, *where: ColumnElement[bool]) -> dict[str, str]:
    """Name and hash of each row that meets the conditions, as it is now, written and not yet committed."""
    return {name(table, row): digest([row]) for row in connection.execute(select(table).where(*where)).mappings()}


def of_registry(connection: Connection, change: int) -> dict[str, str]:
    """The hashes of what a change added and removed, where there is such."""
    return listed(connection, _R.added_change == change, _R.removed_change == change)


def listed(connection: Connection, added: ColumnElement[bool], removed: ColumnElement[bool]) -> dict[str, str]:
    """As `of_registry`, of what meets the conditions."""
    queries = {ADDED: (OF_ADDED, _R.added_change, added), REMOVED: (OF_REMOVED, _R.removed_change, removed)}
    found = {}
    for named, (columns, change, where) in queries.items():
        rows = connection.execute(select(*columns).where(where).order_by(change, _R.entry_id))
        names = tuple(rows.keys())  # SQLAlchemy's own mappings take ten times as long
        if (sha256 := digest(dict(zip(names, row, strict=True)) for row in rows)) != OF_NONE:
            found[named] = sha256
    return found


def name(table: Table, row: Row) -> str:
    """What a row is called: its table and its key."""
    return " ".join([table.name, *(str(row[column.name]) for column in table.primary_key)])


def digest(rows: Iterable[Row]) -> str:
    """SHA-256, hexadecimal, of rows, each ended by a line feed."""
    made = hashlib.sha256()
    for row in rows:
        said = {
            column: value.hex() if isinstance(value, bytes) else value for column, value in row.items() if value is not None
        }
        made.update(_JSON.encode(said) + b"\n")
    return made.hexdigest()
