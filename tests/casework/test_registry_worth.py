"""What a list would have stopped, how good the registry is, and what high-risk decisions propose: on a ledger made by hand."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import Connection

from casework import approvals, proposals, registry_candidates, registry_entries, registry_quality, registry_value
from casework import database as databases
from casework.database import Database
from casework.ledger import Entry, Ledger
from casework.proposals import Ruling
from casework.registry import Registry
from casework.writers import bring_in
from domain.errors import LedgerError
from domain.events import Outcome, OutcomeSource
from domain.events import Verdict as Known
from domain.identifiers import IdentifierKind
from domain.listing import List, normal_listing
from serving.candidates import Candidates
from tests import registry
from tests.casework.records import entry
from tests.casework.test_registry import IDENTIFIERS, operation

NOW = datetime(2025, 6, 3, tzinfo=UTC)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


def paid(sequence: int, phone: str, level: str = "low", hits: tuple[int, ...] = (), reasons: tuple = ()) -> Entry:
    """An operation paid to a telephone, as it was answered, with the entries that it met."""
    record = operation(operation_id=f"op-{sequence}", recipient={"phone": phone}, device={"id": "d-1"})
    answer = {"operation_id": f"op-{sequence}", "level": level, "action": "approve", "score": 0.99, "reasons": reasons, "degraded": [],
              "model": "m", "policy": "rules-1", "case_id": None, "decided_at": "2025-06-02T04:00:00Z", "sequence": sequence}  # fmt: skip
    evidence = {"registry": [{"field": "recipient.phone", "list": "prohibited", "entry_id": hit} for hit in hits]}
    return entry(
        sequence,
        body=msgspec.json.encode(record),
        answer=msgspec.json.encode(answer),
        evidence=msgspec.json.encode(evidence),
    )


def became(sequence: int, of: int, verdict: Known) -> Entry:
    """What an operation turned out to be."""
    outcome = Outcome(
        f"o-{sequence}", f"op-{of}", verdict, datetime(2025, 6, 2, 5, tzinfo=UTC), OutcomeSource.CUSTOMER_NOTICE
    )
    return entry(sequence, type="outcome", id=f"o-{sequence}", body=msgspec.json.encode(outcome), answer=None)


LEDGER = [paid(1, "0555000001"), paid(2, "0555000001"), paid(3, "0555000002", "high"), paid(4, "0555000003"), paid(5, "0555000004"),
          became(6, 1, Known.FRAUD), became(7, 3, Known.FRAUD), became(8, 4, Known.LEGITIMATE)]  # fmt: skip


def test_a_list_is_worth_the_fraud_that_passed_and_the_customers_that_it_would_stop(database):
    bring_in(database, iter(LEDGER))
    numbers = ("0555000001", "0555000002", "0555000003", "0555777777")
    listings = [normal_listing(registry.listing(IdentifierKind.PHONE, number), IDENTIFIERS) for number in numbers]
    found = registry_value.value(IDENTIFIERS, listings, Ledger(database).read())
    assert (found.entries, found.operations, found.entries_hit, found.hits) == (4, 5, 3, 4)
    assert (found.fraud, found.legitimate, found.unknown) == (2, 1, 1)
    assert (found.fraud_passed, found.legitimate_passed, found.fraud_passed_tyiyn, found.fraud_tyiyn) == (1, 1, 1, 2)
    assert (found.reject, found.verify) == (4, 0)


def test_r121_relevance_completeness_and_timeliness(database):
    first = registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555000001")
    registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555999999", valid_to=NOW + timedelta(days=10_000))
    registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555999998", valid_to=NOW)
    met = [paid(1, "0555000001", "high", (first,)), *LEDGER[1:]]
    bring_in(database, iter(met))
    now = datetime.now(UTC)
    live = Registry(database, IDENTIFIERS)
    found = registry_quality.quality(database, live, Ledger(database).read(), NOW - timedelta(days=30), now)
    assert found.operations == 5
    assert found.relevance == registry_quality.Relevance(live=3, acting=2, hit=1, confirmed=1, contradicted=0)
    assert found.completeness == registry_quality.Completeness(frauds=2, listed=1, share=0.5)
    listed_at = datetime.fromisoformat(registry_entries.entry(database, first)["added_at"])
    assert found.timeliness.to_list_s == (listed_at - datetime(2025, 6, 2, 5, tzinfo=UTC)).total_seconds()
    assert (found.timeliness.in_a_day, found.timeliness.feed_lag_s) == (0, None)


def test_r40_high_risk_decisions_propose_the_recipient_and_the_device_once_each(database):
    bring_in(database, iter([*LEDGER, paid(9, "0555000002", "high"), paid(10, "0555000009", "high")]))
    following = Candidates(database, frozenset())
    assert [following.turn(), following.turn()] == [3, 0]
    told = proposals.open_proposals(database, "registry_entry")
    assert [(one.content["kind"], one.content["value"]) for one in told] == [
        ("phone", "+996555000002"), ("device", "d-1"), ("phone", "+996555000009"),
    ]  # fmt: skip
    assert told[0].content["evidence"]["sequence"] == 3
    assert len(Registry(database, IDENTIFIERS)) == 0, "a score lists nobody"
    approvals.decide(database, told[0].proposal_id, Ruling.APPROVED, "Aigul", "the customer says so too")
    (hit,) = Registry(database, IDENTIFIERS).hits(operation(recipient={"phone": "0555000002"}))
    listed = registry_entries.entry(database, hit.entry_id)
    assert (listed["ground"], listed["reference"], listed["added_by"]) == ("high_risk_confirmed", "operation op-3", "Aigul")
    assert Candidates(database, frozenset()).turn() == 0, "what was proposed is not proposed again after a start"


def test_r40_an_identifier_whose_entry_has_expired_is_proposed_and_listed_anew(database):
    registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555000001", valid_to=NOW)
    bring_in(database, iter([paid(1, "0555000001", "high")]))
    assert Candidates(database, frozenset()).turn() == 2, "the telephone and the device"
    approvals.decide(database, 1, Ruling.APPROVED, "Aigul", "the customer says so too")
    assert Registry(database, IDENTIFIERS).hits(operation(recipient={"phone": "0555000001"})) != ()


def test_r40_what_another_process_proposed_meanwhile_and_a_person_refused_is_not_proposed_again(database):
    bring_in(database, iter([paid(1, "0555000001", "high")]))
    first = Candidates(database, frozenset())
    assert first.turn() == 2
    bring_in(database, iter([paid(2, "0555000002", "high")]))
    assert Candidates(database, frozenset()).turn() == 1, "by a standby that took over"
    approvals.decide(database, 3, Ruling.REFUSED, "Aigul", "the customer's own telephone")
    assert first.turn() == 0, "by the first one, which holds the ledger again"


def test_r40_a_rule_that_was_declared_to_list_confirms_what_it_spoke_for_and_no_other_rule(database):
    spoke = {"layer": "rules", "code": "fictitious_store", "criterion": None, "text": "a store that is none"}
    bring_in(database, iter([paid(1, "0555000001", "high", reasons=(spoke,)), paid(2, "0555000002", "high")]))
    Candidates(database, frozenset({"fictitious_store"})).turn()
    live = Registry(database, IDENTIFIERS)
    assert [len(live.hits(operation(recipient={"phone": f"055500000{number}"}))) for number in (1, 2)] == [1, 0]
    assert [one.decided_by for one in (proposals.of_id(database, id_) for id_ in (1, 3))] == [
        "rule fictitious_store",
        None,
    ]


def test_r40_what_a_rule_lists_is_proposed_and_confirmed_together_or_not_at_all(database, monkeypatch):
    spoke = {"layer": "rules", "code": "fictitious_store", "criterion": None, "text": "a store that is none"}
    bring_in(database, iter([paid(1, "0555000001", "high", reasons=(spoke,))]))
    live = Registry(database, IDENTIFIERS)
    to_list, listed = registry_candidates.apply_entry, []

    def fails_at_the_second(connection: Connection, proposal: proposals.Proposal, change: int) -> None:
        listed.append(proposal.content["value"])
        if len(listed) == 2:
            raise LedgerError("the disk is full")
        to_list(connection, proposal, change)

    monkeypatch.setattr(registry_candidates, "apply_entry", fails_at_the_second)
    following = Candidates(database, frozenset({"fictitious_store"}))
    with pytest.raises(LedgerError, match="disk"):
        following.turn()
    live.refresh()
    assert listed == ["+996555000001", "d-1"]
    assert (len(live), proposals.open_proposals(database)) == (1, []), "the second is neither listed nor proposed"
    after_a_start = Candidates(database, frozenset({"fictitious_store"}))
    assert (after_a_start.turn(), after_a_start.turn()) == (1, 0), "the rest of what a decision speaks for comes later"
    live.refresh()
    assert (len(live), proposals.open_proposals(database)) == (2, [])


def test_r40_whoever_writes_beside_waits_for_one_proposed_entry_and_for_none_that_is_listed(database, monkeypatch):
    registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555000009", List.PROHIBITED)
    bring_in(database, iter([paid(n, f"055500000{n}", "high") for n in (1, 2, 9)]))
    held, transaction = [], database.transaction
    monkeypatch.setattr(database, "transaction", lambda: held.append(1) or transaction())
    assert Candidates(database, frozenset()).turn() == 3, "two telephones and the device"
    assert len(held) == 3


def test_what_is_on_a_list_already_is_not_proposed(database):
    registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555000002", List.PROHIBITED)
    bring_in(database, iter([paid(1, "0555000002", "high")]))
    assert registry_candidates.propose_from(database, Ledger(database).read(), set()) == 1
    assert proposals.of_id(database, 1).content["kind"] == "device"
