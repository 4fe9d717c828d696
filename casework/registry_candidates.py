"""Entries that high-risk decisions propose, with their evidence (R40): a person confirms them, or a rule that was declared to; a score never does.

Proposed are the recipient's identifiers that name money and the device; what a person refused once is not proposed again.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from casework import proposals
from casework.audit_log import next_number, record_change
from casework.database import Database
from casework.ledger import Entry
from casework.proposals import Proposal, Ruling
from casework.registry_entries import insert_entry, retire_expired, said, unexpired, with_rows
from casework.registry_keys import MONEY_KINDS
from casework.tables import PROPOSALS
from domain.decision import Decision, Layer
from domain.identifiers import IdentifierKind
from domain.levels import RiskLevel
from domain.listing import Ground, List, Listing, Source
from domain.operation import Operation, identifiers_of

KIND = "registry_entry"
PROPOSER = "burana"
"""Who proposes what decisions say; nobody's key is made for it."""


class _Identifier(msgspec.Struct):
    """What is read of a proposal's content."""

    kind: str
    value: str


_IDENTIFIER = msgspec.json.Decoder(_Identifier)
_OPERATION, _DECISION = msgspec.json.Decoder(Operation), msgspec.json.Decoder(Decision)


class Candidate(NamedTuple):
    """What a decision would have listed. content: of its proposal; rules: codes of those that spoke."""

    listing: Listing
    content: dict[str, Any]
    rules: frozenset[str]

    @property
    def key(self) -> tuple[str, str]:
        """What is proposed once."""
        return self.listing.kind, self.listing.value


def propose_from(
    database: Database, entries: Iterable[Entry], known: set[tuple[str, str]], listing_rules: frozenset[str] = frozenset()
) -> int:
    """Propose what the high-risk decisions among entries of the ledger say, once for each identifier; how many.

    known: what was proposed before, see `proposed_after`; grows. listing_rules: what one of these spoke for is confirmed as well.
    Each in a transaction of its own: what a rule confirms is never left half done, and whoever writes beside waits for one alone.
    """
    made = 0
    for entry in entries:
        for candidate in candidates(entry):
            if candidate.key in known or _is_listed(database, candidate):
                continue
            with database.transaction() as connection:
                if unexpired(connection, candidate.listing) is None:
                    _propose(connection, candidate, candidate.rules & listing_rules)
                    made += 1
            known.add(candidate.key)
    return made


def _is_listed(database: Database, candidate: Candidate) -> bool:
    """Looked at before anybody has to wait for a transaction: most of what is rejected again and again is on a list."""
    with database.reading() as connection:
        return unexpired(connection, candidate.listing) is not None


def _propose(connection: Connection, candidate: Candidate, confirming: frozenset[str]) -> None:
    """Propose it; approved at once in the name of the first of the rules that confirm it, if there are any."""
    reason = f"high-risk decision on operation {candidate.content['evidence']['operation_id']}"
    made = proposals.proposed(connection, KIND, candidate.content, PROPOSER, reason)
    if confirming:
        by, why = f"rule {min(confirming)}", f"declared to list: {', '.join(sorted(confirming))}"
        proposals.decided(connection, made, Ruling.APPROVED, by, why, {KIND: apply_entry})


def candidates(entry: Entry) -> Iterator[Candidate]:
    """What an entry of the ledger would have listed."""
    if entry.type != "operation" or entry.answer is None:
        return
    decision = _DECISION.decode(entry.answer)
    if decision.level != RiskLevel.HIGH.word:
        return
    evidence = {
        "operation_id": decision.operation_id, "sequence": entry.sequence, "model": decision.model, "policy": decision.policy,
        "score": None if decision.score is None else f"{decision.score:.6f}",
        "reasons": [f"{reason.layer}: {reason.code}: {reason.text}" for reason in decision.reasons],
    }  # fmt: skip
    rules = frozenset(reason.code for reason in decision.reasons if reason.layer is Layer.RULES)
    for field, kind, value in identifiers_of(_OPERATION.decode(entry.body)):
        if (field.startswith("recipient.") and kind in MONEY_KINDS) or kind is IdentifierKind.DEVICE:
            listing = Listing(
                kind=kind, value=value, list=List.PROHIBITED, ground=Ground.HIGH_RISK_CONFIRMED, source=Source.OWN_CASE,
                reference=f"operation {decision.operation_id}",
            )  # fmt: skip
            yield Candidate(listing, {**said(listing), "field": field, "evidence": evidence}, rules)


def apply_entry(connection: Connection, proposal: Proposal, _: int) -> None:
    """What the confirmation of a proposed entry does."""
    told = {name: proposal.content[name] for name in Listing.__struct_fields__ if name in proposal.content}
    listing, person = msgspec.convert(told, Listing), proposal.decided_by or ""
    change, reason = next_number(connection), proposal.decided_reason or ""
    retire_expired(connection, [listing], change, person)
    insert_entry(connection, listing, change, person, proposal.proposed_reason, proposal.proposal_id)
    words, after = f"registry: list {listing.kind} as proposed", with_rows(connection, change, proposal.content)
    record_change(connection, person, reason, words, after=after, approved_by=person)


def last_proposed(database: Database) -> int:
    """The sequence number of the last decision that something was proposed of, 0 before the first; more of it may be missing."""
    query = select(PROPOSALS.c.content).where(PROPOSALS.c.kind == KIND).order_by(PROPOSALS.c.proposal_id.desc()).limit(1)
    with database.reading() as connection:
        content = connection.scalar(query)
    return 0 if content is None else int(msgspec.json.decode(content)["evidence"]["sequence"])


def proposed_after(database: Database, proposal_id: int) -> tuple[set[tuple[str, str]], int]:
    """(kind, value) of what was proposed after a proposal, whatever became of it, and the last proposal of these.

    An entry that was removed since may be listed by hand.
    """
    columns = PROPOSALS.c
    query = select(columns.proposal_id, columns.content).where(columns.kind == KIND, columns.proposal_id > proposal_id)
    with database.reading() as connection:
        found = connection.execute(query.order_by(columns.proposal_id)).all()
    said = [_IDENTIFIER.decode(content) for _, content in found]
    return {(one.kind, one.value) for one in said}, found[-1].proposal_id if found else proposal_id
