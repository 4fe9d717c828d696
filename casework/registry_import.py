"""Many entries at once, by four eyes: the lines come with the proposal and never change; its approval lists all of them or none."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    and_,
    cast,
    exists,
    func,
    insert,
    literal,
    select,
)

from casework import proposals
from casework.audit_log import next_number, record_change
from casework.database import Database, timestamp
from casework.proposals import Apply, Proposal
from casework.registry_entries import LIVE, retire, row_of, with_rows
from casework.registry_keys import STORED, look_up
from casework.tables import REGISTRY, REGISTRY_LINES
from domain.errors import ConflictError, SettingsError
from domain.identifiers import IdentifierKind
from domain.listing import List, Listing

KIND = "registry_import"
PAGE = 5_000
"""Rows written at once."""
_L, _R = REGISTRY_LINES.c, REGISTRY.c
_SAME = and_(_R.kind == _L.kind, _R.value == _L.value, _R.list == _L.list, LIVE)
_LISTED = exists(select(_R.entry_id).where(_SAME))
_SAID = ("kind", "value", "list", "ground", "source", "reference", "valid_from", "valid_to")
_OF_LINE: dict[str, ColumnElement[Any]] = {name: _L[name] for name in _SAID}
_SIZE = STORED.itemsize
Line = dict[str, Any]


def propose(database: Database, listings: Sequence[Listing], file: str, person: str, reason: str) -> int:
    """Propose to list all of these, normal and each of them once; the proposal's id. SettingsError for none.

    file: what they came from, by name. The content of the proposal says how many they are and the hash of all of them.
    """
    if not listings:
        raise SettingsError(f"{file} has nothing that is not listed already: there is nothing to propose")
    lines = [_line(listing) for listing in listings]
    content = {"file": file, "lines": len(lines), "sha256": digest(lines)}
    with database.transaction() as connection:
        made = proposals.proposed(connection, KIND, content, person, reason)
        numbered = ({"proposal_id": made, "line": number, **line} for number, line in enumerate(lines, 1))
        for some in _batches(numbered):
            connection.execute(insert(REGISTRY_LINES), some)
    return made


def prepared(database: Database, proposal: Proposal) -> Apply:
    """What the approval of an import does: list all its lines, a page in a statement. What stands on that list by now stays as it is.

    Lines never change, so they are read, held against the proposal and made ready to be looked up before the database is held for
    the change: with SQLite the ledger waits for it. ConflictError where they are not those that were proposed.
    """
    with database.reading() as connection:
        lines = list(_lines(connection, proposal.proposal_id))
    if len(lines) != proposal.content["lines"] or digest(lines) != proposal.content["sha256"]:
        raise ConflictError(f"the lines of proposal {proposal.proposal_id} are not those that were proposed")
    return partial(_list_lines, b"".join(map(_look_up, lines)))


def _list_lines(look_ups: bytes, connection: Connection, proposal: Proposal, _: int) -> None:
    """look_ups: of all lines, in their order."""
    told, person, change = proposal.content, proposal.proposed_by, next_number(connection)
    _retire_expired(connection, proposal.proposal_id, change, person)
    added: dict[str, ColumnElement[Any]] = {
        "added_at": literal(timestamp()), "added_by": literal(person), "added_reason": literal(proposal.proposed_reason),
        "added_change": literal(change, BigInteger), "added_proposal": _L.proposal_id, "added_line": _L.line,
    }  # fmt: skip
    for before in range(0, told["lines"], PAGE):
        some = look_ups[before * _SIZE : (before + PAGE) * _SIZE]
        place = cast(_L.line - (before + 1), Integer) * _SIZE + 1
        filled = {**_OF_LINE, "look_up": func.substr(literal(some, LargeBinary), place, _SIZE), **added}
        here = _L.proposal_id == proposal.proposal_id, _L.line > before, _L.line <= before + PAGE
        new = select(*filled.values()).where(*here, ~_LISTED).order_by(_L.line)
        connection.execute(insert(REGISTRY).from_select(list(filled), new))
    words, after = f"registry: import {told['lines']} entries of {told['file']}", with_rows(connection, change, told)
    record_change(connection, person, proposal.proposed_reason, words, after=after, approved_by=proposal.decided_by)


def _retire_expired(connection: Connection, proposal_id: int, change: int, person: str) -> None:
    """Take off their lists what stands in the lines too and has run out of time."""
    gone = select(_R.entry_id).join(REGISTRY_LINES, _SAME).where(_L.proposal_id == proposal_id, _R.valid_to < timestamp())
    for some in _batches(connection.execute(gone).scalars().all()):
        retire(connection, some, change, person)


def digest(lines: Iterable[Line]) -> str:
    """SHA-256, hexadecimal, of lines in their order."""
    made = hashlib.sha256()
    for line in lines:
        made.update("\x1f".join(line[name] or "" for name in _SAID).encode() + b"\n")
    return made.hexdigest()


def _line(listing: Listing) -> Line:
    row = row_of(listing)
    return {name: row[name] for name in _SAID}


def _look_up(line: Line) -> bytes:
    begins, ends = (
        None if line[name] is None else datetime.fromisoformat(line[name]) for name in ("valid_from", "valid_to")
    )
    return look_up(IdentifierKind(line["kind"]), line["value"], List(line["list"]), begins, ends)


def _lines(connection: Connection, proposal_id: int) -> Iterator[Line]:
    query = select(*(_L[name] for name in _SAID)).where(_L.proposal_id == proposal_id).order_by(_L.line)
    yield from (dict(row) for row in connection.execute(query).mappings())


def _batches(lines: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(lines)
    while some := list(islice(left, PAGE)):
        yield some
