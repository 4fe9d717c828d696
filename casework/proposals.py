"""Four eyes: what one person proposes, another approves or refuses (R98, R104).

A proposal is kept for good: who, when, why, what exactly, and what became of it. The database holds it: who decides is another
person, its content never changes, it is decided once (`casework/migrations`). What needs four eyes names its proposal, and its
own table refuses the change without one that is approved and says the same.
"""

import json
import unicodedata
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, insert, select, update

from casework.audit_log import record_change
from casework.audit_rows import ROWS, kept
from casework.database import Database, timestamp
from casework.tables import PROPOSALS
from domain.errors import ConflictError, SamePersonError, SettingsError, UnknownProposalError

_P = PROPOSALS.c
PAGE = 100
"""Proposals told at once."""


class Ruling(StrEnum):
    """What became of a proposal."""

    APPROVED = "approved"
    REFUSED = "refused"


class Proposal(Struct, frozen=True):
    """What somebody proposes. content: what would be done, by its kind; verdict and after: None until somebody else decides."""

    proposal_id: int
    kind: str
    content: dict[str, Any]
    proposed_at: str
    proposed_by: str
    proposed_reason: str
    verdict: Ruling | None = None
    decided_at: str | None = None
    decided_by: str | None = None
    decided_reason: str | None = None


Apply = Callable[[Connection, Proposal, int], None]
"""Does what an approved proposal says, in the transaction of the approval. It gets the number of the approval in the audit log."""
_WHOLE = select(*(_P[name] for name in Proposal.__struct_fields__))


def propose(database: Database, kind: str, content: Mapping[str, Any], person: str, reason: str) -> int:
    """Propose a change; the proposal's id. SettingsError without a person or a reason."""
    with database.transaction() as connection:
        return proposed(connection, kind, content, person, reason)


def proposed(connection: Connection, kind: str, content: Mapping[str, Any], person: str, reason: str) -> int:
    """As `propose`, in a transaction that has more to do."""
    row = {"kind": kind, "content": json.dumps(content, ensure_ascii=False, sort_keys=True), "proposed_at": timestamp(),
           "proposed_by": person, "proposed_key": _key(person), "proposed_reason": reason}  # fmt: skip
    made = int(connection.execute(insert(PROPOSALS).values(row).returning(_P.proposal_id)).scalar_one())
    record_change(connection, person, reason, f"proposals: propose {kind}", after=_after(connection, made, row))
    return made


def decide(
    database: Database, proposal_id: int, verdict: Ruling, person: str, reason: str, kinds: Mapping[str, Apply]
) -> None:
    """Approve or refuse what another person proposed; what is approved is done in the same transaction, by its kind's function.

    SamePersonError for who proposed it, UnknownProposalError for an id that is not there, ConflictError for one that somebody
    has decided, and whatever the kind's function raises: then nothing is decided.
    """
    with database.transaction() as connection:
        decided(connection, proposal_id, verdict, person, reason, kinds)


def decided(
    connection: Connection, proposal_id: int, verdict: Ruling, person: str, reason: str, kinds: Mapping[str, Apply]
) -> None:
    """As `decide`, in a transaction that has more to do."""
    proposal = _open(connection, proposal_id)
    if is_same_person(proposal.proposed_by, person):
        raise SamePersonError(f"proposal {proposal_id} was made by {proposal.proposed_by}: another person decides on it")
    told = {"verdict": verdict, "decided_at": timestamp(), "decided_by": person, "decided_reason": reason}
    row = {**told, "decided_key": _key(person)}
    connection.execute(update(PROPOSALS).where(_P.proposal_id == proposal_id).values(row))
    words = f"proposals: {verdict} {proposal.kind} {proposal_id}"
    change = record_change(connection, person, reason, words, after=_after(connection, proposal_id, row))
    if verdict is Ruling.APPROVED:
        kinds[proposal.kind](connection, replace(proposal, **told), change)


def _after(connection: Connection, proposal_id: int, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"proposal_id": proposal_id, **row, ROWS: kept(connection, PROPOSALS, _P.proposal_id == proposal_id)}


def _open(connection: Connection, proposal_id: int) -> Proposal:
    """A proposal that nobody has decided on."""
    if (proposal := found(connection, proposal_id)) is None:
        raise UnknownProposalError(f"there is no proposal {proposal_id}; `burana proposals list` shows the open ones")
    if proposal.verdict is not None:
        raise ConflictError(
            f"proposal {proposal_id} was {proposal.verdict} by {proposal.decided_by} at {proposal.decided_at}: {proposal.decided_reason}"
        )
    return proposal


def is_same_person(one: str, other: str) -> bool:
    """Whether two names are one person's: case, blanks and what cannot be seen make no other person."""
    return folded(one) == folded(other)


def _key(person: str) -> str:
    if not (key := folded(person)):
        raise SettingsError(f"a change needs a person and a reason; seen person {person!r}, in which nothing can be seen")
    return key


def folded(name: str) -> str:
    """A name without case, blanks and what cannot be seen: the database holds two of them apart, its own lower() knows ASCII alone."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in plain if unicodedata.category(c)[0] not in "ZC")


def of_id(database: Database, proposal_id: int) -> Proposal | None:
    """A proposal, decided or not; None for an id that is not there."""
    with database.reading() as connection:
        return found(connection, proposal_id)


def open_proposals(database: Database, kind: str | None = None, after: int = 0, limit: int = PAGE) -> list[Proposal]:
    """The proposals that nobody has decided on, the oldest first; of one kind or of all, after an id."""
    with database.reading() as connection:
        return undecided(connection, kind, after, limit)


def undecided(connection: Connection, kind: str | None = None, after: int = 0, limit: int | None = None) -> list[Proposal]:
    """As `open_proposals`, in a transaction that has more to do; all of them unless told otherwise."""
    query = _WHOLE.where(_P.verdict.is_(None), _P.proposal_id > after).order_by(_P.proposal_id).limit(limit)
    return [_told(row) for row in connection.execute(query if kind is None else query.where(_P.kind == kind))]


def found(connection: Connection, proposal_id: int) -> Proposal | None:
    """As `of_id`, in a transaction that has more to do."""
    row = connection.execute(_WHOLE.where(_P.proposal_id == proposal_id)).first()
    return None if row is None else _told(row)


def _told(row: Any) -> Proposal:
    verdict = None if row.verdict is None else Ruling(row.verdict)
    return Proposal(**{**row._mapping, "content": json.loads(row.content), "verdict": verdict})
