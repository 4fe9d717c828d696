"""Entries of the registry, as officers change them: listed by one person, removed by two, never deleted (R98-R103).

An entry that was removed stays with who removed it, why and on what ground, so the registry of any past moment can be read.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, insert, or_, select, tuple_, update

from casework import audit_rows, proposals
from casework.audit_log import next_number, record_change
from casework.audit_rows import ROWS
from casework.database import Database, as_kept, timestamp
from casework.proposals import Proposal
from casework.registry_keys import look_up
from casework.tables import REGISTRY
from domain.errors import ConflictError, InputError, UnknownEntryError
from domain.identifiers import IdentifierKind, Identifiers, masked
from domain.instants import in_utc
from domain.listing import List, Listing, RemovalGround, normal_listing

REMOVAL = "registry_removal"
PAGE = 100
"""Entries told at once."""
_R = REGISTRY.c
LIVE = _R.removed_at.is_(None)
_SAID = tuple(column for column in REGISTRY.c if column.name != "look_up")


def add(database: Database, identifiers: Identifiers, listing: Listing, person: str, reason: str) -> int:
    """List an identifier in its normal form (R103); the entry's id.

    ConflictError if it is on that list already; InputError for what has no normal form.
    """
    normal = normal_listing(listing, identifiers)
    with database.transaction() as connection:
        change = next_number(connection)
        retire_expired(connection, [normal], change, person)
        made = insert_entry(connection, normal, change, person, reason)
        words = f"registry: add {normal.kind} {masked(normal.value)} to {normal.list}"
        record_change(connection, person, reason, words, after=with_rows(connection, change, said(normal)))
        return made


def insert_entry(
    connection: Connection, listing: Listing, change: int, person: str, reason: str, proposal_id: int | None = None
) -> int:
    """The new entry's id; ConflictError if the normal listing is there already."""
    if (found := live(connection, listing)) is not None:
        raise ConflictError(
            f"{listing.kind} {masked(listing.value)} is on the {listing.list} list already: entry {found['entry_id']}, "
            f"by {found['added_by']} at {found['added_at']}"
        )
    row = {**row_of(listing), "added_at": timestamp(), "added_by": person, "added_reason": reason, "added_change": change,
           "added_proposal": proposal_id}  # fmt: skip
    return int(connection.execute(insert(REGISTRY).values(row).returning(_R.entry_id)).scalar_one())


def with_rows(connection: Connection, change: int, after: dict[str, Any]) -> dict[str, Any]:
    """What the audit log says of a change, with the hashes of the entries that it added and removed."""
    return {**after, ROWS: audit_rows.of_registry(connection, change)}


def said(listing: Listing) -> dict[str, Any]:
    """A listing as what JSON can hold: for proposals and the audit log."""
    return dict(msgspec.to_builtins(listing))


def row_of(listing: Listing) -> dict[str, Any]:
    """The columns that a normal listing fills."""
    begins, ends = listing.valid_from, listing.valid_to
    return {
        "kind": listing.kind, "value": listing.value, "list": listing.list, "ground": listing.ground, "source": listing.source,
        "reference": listing.reference, "valid_from": None if begins is None else as_kept(begins),
        "valid_to": None if ends is None else as_kept(ends),
        "look_up": look_up(listing.kind, listing.value, listing.list, begins, ends),
    }  # fmt: skip


def live(connection: Connection, listing: Listing) -> dict[str, Any] | None:
    """The entry of the same kind, value and list that nobody removed, or None."""
    same = (_R.kind == listing.kind, _R.value == listing.value, _R.list == listing.list, LIVE)
    found = connection.execute(select(*_SAID).where(*same)).mappings().first()
    return None if found is None else dict(found)


def unexpired(connection: Connection, listing: Listing) -> dict[str, Any] | None:
    """As `live`, without one whose time has run out: that acts no more, and gives way to who lists it anew."""
    found = live(connection, listing)
    return None if found is None or _has_expired(found) else found


def _has_expired(entry: dict[str, Any]) -> bool:
    return entry["valid_to"] is not None and entry["valid_to"] < timestamp()


def retire_expired(connection: Connection, listings: Sequence[Listing], change: int, person: str) -> None:
    """Take the same identifiers' entries off their lists where their time has run out, so that they can be listed anew."""
    gone = select(_R.entry_id).where(_same(listings), LIVE, _R.valid_to < timestamp())
    retire(connection, connection.execute(gone).scalars().all(), change, person)


def retire(connection: Connection, entry_ids: Sequence[int], change: int, person: str) -> None:
    """Take entries whose time has run out off their lists, as they are listed anew."""
    if entry_ids:
        reason = "its time had run out; it is listed anew"
        remove_entries(connection, entry_ids, RemovalGround.EXPIRED, change, person, reason)


def listed_already(connection: Connection, listings: Sequence[Listing]) -> set[Any]:
    """Which of some listings, as (kind, value, list), have a live entry whose time has not run out."""
    lasting = or_(_R.valid_to.is_(None), _R.valid_to >= timestamp())
    found = select(_R.kind, _R.value, _R.list).where(_same(listings), LIVE, lasting)
    return {tuple(row) for row in connection.execute(found)}


def _same(listings: Sequence[Listing]) -> ColumnElement[bool]:
    return tuple_(_R.kind, _R.value, _R.list).in_([(one.kind, one.value, one.list) for one in listings])


# ---- removal ---------------------------------------------------------------------------------------------------------


def propose_removal(database: Database, entry_id: int, ground: RemovalGround, person: str, reason: str) -> int:
    """Propose to take an entry off its list, on error or on the customer's confirmation (R99, R100); the proposal's id.

    UnknownEntryError where there is no such live entry, ConflictError where its removal is proposed already.
    """
    with database.transaction() as connection:
        entry = _live_entry(connection, entry_id)
        for one in proposals.undecided(connection, REMOVAL):
            if one.content["entry_id"] == entry_id:
                raise ConflictError(f"proposal {one.proposal_id} of {one.proposed_by} to remove entry {entry_id} is open")
        content = {"entry_id": entry_id, "ground": ground, **{name: entry[name] for name in ("kind", "value", "list")}}
        return proposals.proposed(connection, REMOVAL, content, person, reason)


def apply_removal(connection: Connection, proposal: Proposal, _: int) -> None:
    """What the approval of a removal does."""
    entry_id, ground = proposal.content["entry_id"], RemovalGround(proposal.content["ground"])
    entry, person, reason = _live_entry(connection, entry_id), proposal.proposed_by, proposal.proposed_reason
    change = next_number(connection)
    remove_entries(connection, [entry_id], ground, change, person, reason, proposal.proposal_id)
    words, after = f"registry: remove entry {entry_id}, {ground}", with_rows(connection, change, {})
    record_change(connection, person, reason, words, entry, after, proposal.decided_by)


def remove_entries(
    connection: Connection, entry_ids: Sequence[int], ground: RemovalGround, change: int, person: str, reason: str,
    proposal_id: int | None = None,
) -> None:  # fmt: skip
    """Take live entries off their lists; the database asks for the proposal that allows it, unless they have expired."""
    removed = {"removed_at": timestamp(), "removed_by": person, "removed_reason": reason, "removed_ground": ground,
               "removed_proposal": proposal_id, "removed_change": change}  # fmt: skip
    connection.execute(update(REGISTRY).where(_R.entry_id.in_(entry_ids), LIVE).values(removed))


def _live_entry(connection: Connection, entry_id: int) -> dict[str, Any]:
    found = connection.execute(select(*_SAID).where(_R.entry_id == entry_id)).mappings().first()
    if found is None:
        raise UnknownEntryError(f"there is no registry entry {entry_id}; `burana registry list` shows the live ones")
    if found["removed_at"] is not None:
        raise ConflictError(
            f"entry {entry_id} was removed by {found['removed_by']} at {found['removed_at']}: {found['removed_reason']}"
        )
    return dict(found)


# ---- reading ---------------------------------------------------------------------------------------------------------


class Filter(msgspec.Struct, frozen=True):
    """Which entries are asked for. at: those that were live at an instant, as the tables keep it; None for now."""

    kind: IdentifierKind | None = None
    list: List | None = None
    value: str | None = None
    source: str | None = None
    at: str | None = None


def listed(
    database: Database, wanted: Filter | None = None, after: int = 0, limit: int | None = None
) -> list[dict[str, Any]]:
    """The entries that are, or at an instant were, live, in the order of their ids, after one of them; as many as asked for."""
    query = select(*_SAID).where(*_conditions(wanted or Filter()), _R.entry_id > after).order_by(_R.entry_id).limit(limit)
    return [{**row, "state": _state(row)} for row in _all(database, query)]


def entry(database: Database, entry_id: int) -> dict[str, Any]:
    """An entry, live or removed, with its state; UnknownEntryError for an id that is not there."""
    found = _all(database, select(*_SAID).where(_R.entry_id == entry_id))
    if not found:
        raise UnknownEntryError(f"there is no registry entry {entry_id}")
    return {**found[0], "state": _state(found[0])}


def history(database: Database, entry_id: int) -> list[dict[str, Any]]:
    """Every entry that there ever was of an entry's identifier, on either list, the oldest first."""
    of = entry(database, entry_id)
    query = select(*_SAID).where(_R.kind == of["kind"], _R.value == of["value"]).order_by(_R.entry_id)
    return [{**row, "state": _state(row)} for row in _all(database, query)]


def _conditions(wanted: Filter) -> list[Any]:
    equal = (_R.kind, wanted.kind), (_R.list, wanted.list), (_R.value, wanted.value), (_R.source, wanted.source)
    conditions = [column == value for column, value in equal if value is not None]
    if wanted.at is None:
        return [*conditions, LIVE]
    return [*conditions, and_(_R.added_at <= wanted.at, or_(LIVE, _R.removed_at > wanted.at))]


def _state(row: dict[str, Any]) -> str:
    """acting, not_yet or expired by its validity now, or removed."""
    if row["removed_at"] is not None:
        return "removed"
    now = timestamp()
    if row["valid_to"] is not None and row["valid_to"] <= now:
        return "expired"
    return "not_yet" if row["valid_from"] is not None and row["valid_from"] > now else "acting"


def _all(database: Database, query: Select[Any]) -> list[dict[str, Any]]:
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def as_instant(moment: datetime, field: str = "at") -> str:
    """An aware instant, as the tables keep it; InputError for one without a zone, or outside the years 1 to 9999 in UTC."""
    if moment.tzinfo is None:
        raise InputError(field, moment.isoformat(), "an instant with its zone, such as 2026-11-22T10:00:00+06:00")
    return as_kept(in_utc(moment, field))
