"""The audit log as it is shown and proved: what the command and the route tell of an entry, and what proves it to somebody else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from casework import audit_log, checkpoints
from casework.audit_form import AuditEntry, form
from casework.database import Database
from casework.merkle import Tree
from domain.errors import AuditError


class AuditLine(Struct, frozen=True):
    """An entry of the audit log. before, after: what was changed, null where there was nothing; hash, previous: hexadecimal.

    kind: what the change is of, the first word of `change`; approved_by: the second person where four eyes are asked for, else null.
    """

    audit_id: int
    at: str
    person: str
    reason: str
    kind: str
    change: str
    before: Any
    after: Any
    approved_by: str | None
    previous: str
    hash: str


class AuditLines(Struct, frozen=True):
    """A page of the audit log, oldest first; next: the `after` that gives the page after it, null at the end."""

    entries: tuple[AuditLine, ...]
    next: int | None


class AuditProof(Struct, frozen=True):
    """What proves that an entry is in the log (RFC 9162, 2.1.3): entry: its canonical form; place: its leaf, counted from 0.

    path: hashes from the leaf upwards, hexadecimal; checkpoint: the signed note whose root they lead to.
    """

    entry: str
    place: int
    size: int
    path: tuple[str, ...]
    checkpoint: str


class Consistency(Struct, frozen=True):
    """What proves that the log of a newer size begins with that of an older one (RFC 9162, 2.1.4); hashes in hexadecimal."""

    older: int
    older_root: str
    newer: int
    newer_root: str
    path: tuple[str, ...]


def line(entry: AuditEntry) -> AuditLine:
    """An entry, to be shown."""
    said = {
        name: None if text is None else json.loads(text) for name, text in (("before", entry.before), ("after", entry.after))
    }
    return AuditLine(**entry._asdict() | said | {"previous": entry.previous.hex(), "hash": entry.hash.hex()})


def lines(database: Database, kind: str | None, after: int, limit: int) -> AuditLines:
    """A page, of one kind or of all."""
    found = audit_log.listed(database, kind, after, limit + 1)
    is_more = len(found) > limit
    return AuditLines(tuple(map(line, found[:limit])), found[limit - 1].audit_id if is_more else None)


def proof(database: Database, grown: Callable[[], Tree], folder: Path, entry: AuditEntry) -> AuditProof:
    """The proof that leads to the newest checkpoint; AuditError where none covers the entry. grown: gives the tree as it is now."""
    place, signed = audit_log.place_of(database, entry.audit_id), checkpoints.read(folder)
    if not signed or signed[-1][1].size <= place:
        raise AuditError(
            f"entry {entry.audit_id} is under no checkpoint in {folder} yet; sign one (`burana audit checkpoint`)"
        )
    file, newest = signed[-1]
    checkpoints.continues(tree := grown(), newest, file)
    path = tuple(hash_.hex() for hash_ in tree.inclusion(place, newest.size))
    return AuditProof(form(entry).decode(), place, newest.size, path, newest.text)


def consistency(tree: Tree, older: int, newer: int) -> Consistency:
    """The proof between two sizes, 0 < older <= newer <= the log's; ValueError for others."""
    path = tuple(hash_.hex() for hash_ in tree.consistency(older, newer))
    return Consistency(older, tree.root(older).hex(), newer, tree.root(newer).hex(), path)
