"""Many entries at once, by four eyes: the lines come with the proposal and never change; its approval lists all of them or none."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, insert, select

from casework import proposals
from casework.audit_log import next_number, record_change
from casework.database import Database, timestamp
from casework.proposals import Proposal
from casework.registry_entries import listed_already, row_of, with_rows
from casework.tables import REGISTRY, REGISTRY_LINES
from domain.errors import ConflictError, SettingsError
from domain.identifiers import IdentifierKind
from domain.listing import Ground, List, Listing, Source

KIND = "registry_import"
PAGE = 5_000
"""Lines read or written at once."""
_L = REGISTRY_LINES.c
_SAID = ("kind", "value", "list", "ground", "source", "reference", "valid_from", "valid_to")
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


def apply_import(connection: Connection, proposal: Proposal, _: int) -> None:
    """What the approval of an import does. What stands on that list by now stays as it is. ConflictError where lines are not those that were proposed."""
    told, person, reason = proposal.content, proposal.proposed_by, proposal.proposed_reason
    lines = list(_lines(connection, proposal.proposal_id))
    if len(lines) != told["lines"] or digest(lines) != told["sha256"]:
        raise ConflictError(f"the lines of proposal {proposal.proposal_id} are not those that were proposed")
    change = next_number(connection)
    added = {"added_at": timestamp(), "added_by": person, "added_reason": reason, "added_change": change,
             "added_proposal": proposal.proposal_id}  # fmt: skip
    for some in _batches((number, _listing(line)) for number, line in enumerate(lines, 1)):
        there = listed_already(connection, [listing for _, listing in some], change, person)
        rows = [{**row_of(listing), **added, "added_line": number} for number, listing in some if _key(listing) not in there]
        if rows:
            connection.execute(insert(REGISTRY), rows)
    words, after = f"registry: import {len(lines)} entries of {told['file']}", with_rows(connection, change, told)
    record_change(connection, person, reason, words, after=after, approved_by=proposal.decided_by)


def digest(lines: Iterable[Line]) -> str:
    """SHA-256, hexadecimal, of lines in their order."""
    made = hashlib.sha256()
    for line in lines:
        made.update("\x1f".join(line[name] or "" for name in _SAID).encode() + b"\n")
    return made.hexdigest()


def _line(listing: Listing) -> Line:
    row = row_of(listing)
    return {name: row[name] for name in _SAID}


def _listing(line: Line) -> Listing:
    begins, ends = (
        None if line[name] is None else datetime.fromisoformat(line[name]) for name in ("valid_from", "valid_to")
    )
    return Listing(
        kind=IdentifierKind(line["kind"]), value=line["value"], list=List(line["list"]), ground=Ground(line["ground"]),
        source=Source(line["source"]), reference=line["reference"], valid_from=begins, valid_to=ends,
    )  # fmt: skip


def _key(listing: Listing) -> tuple[str, str, str]:
    return listing.kind, listing.value, listing.list


def _lines(connection: Connection, proposal_id: int) -> Iterator[Line]:
    query = select(*(_L[name] for name in _SAID)).where(_L.proposal_id == proposal_id).order_by(_L.line)
    yield from (dict(row) for row in connection.execute(query).mappings())


def _batches(lines: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(lines)
    while some := list(islice(left, PAGE)):
        yield some
