"""The registry changed as tests need it: in one call what takes officers two, and a listing of which only some words matter."""

from typing import Any

from casework import approvals, registry_entries
from casework.database import Database
from casework.proposals import Ruling
from domain.identifiers import IdentifierKind, Identifiers
from domain.listing import Ground, List, Listing, RemovalGround, Source


def listing(kind: IdentifierKind, value: str, list_: List = List.PROHIBITED, **more: Any) -> Listing:
    """What is listed; ground and source of an own case unless told otherwise."""
    told = {"ground": Ground.INTERNAL_INVESTIGATION, "source": Source.OWN_CASE, **more}
    return Listing(kind=kind, value=value, list=list_, **told)


def add(database: Database, identifiers: Identifiers, kind: IdentifierKind, value: str, list_: List = List.PROHIBITED,
        person: str = "the tests", reason: str = "fraud", **more: Any) -> int:  # fmt: skip
    """List an identifier; the entry's id."""
    return registry_entries.add(database, identifiers, listing(kind, value, list_, **more), person, reason)


def remove(
    database: Database, entry_id: int, person: str = "the tests", reason: str = "listed in error",
    ground: RemovalGround = RemovalGround.ERROR_FOUND,
) -> int:  # fmt: skip
    """Take an entry off its list by two persons; the proposal's id."""
    made = registry_entries.propose_removal(database, entry_id, ground, person, reason)
    approvals.decide(database, made, Ruling.APPROVED, "a second person", "looked at it")
    return made
