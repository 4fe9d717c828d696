"""Entries: ground, source and validity; removed by two persons, which the database holds; any past moment can be read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from casework import approvals, registry_entries
from casework import database as databases
from casework.database import Database
from casework.proposals import Ruling
from casework.registry import Registry
from casework.registry_entries import Filter
from domain.errors import ConflictError, InputError, LedgerError, SamePersonError
from domain.identifiers import IdentifierKind
from domain.instants import from_ms
from domain.listing import Ground, List, RemovalGround, Source
from tests import registry
from tests.casework.test_registry import IDENTIFIERS, operation
from tests.databases import execute, rows

PHONE = "0555123456"
PAID = operation(recipient={"phone": PHONE})
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


def add(database, value=PHONE, **more) -> int:
    return registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, value, **more)


def propose(database, entry, ground=RemovalGround.ERROR_FOUND, person="Aigul") -> int:
    return registry_entries.propose_removal(database, entry, ground, person, "listed in error")


# ---- what is kept ----------------------------------------------------------------------------------------------------


def test_r103_an_entry_keeps_ground_source_reference_person_and_time(database):
    entry = add(
        database, ground=Ground.STATE_BODY_REQUEST, source=Source.STATE_BODY, reference="MIA 17/3-114", person="Aigul"
    )
    kept = registry_entries.entry(database, entry)
    assert (kept["ground"], kept["source"], kept["reference"]) == ("state_body_request", "state_body", "MIA 17/3-114")
    assert (kept["added_by"], kept["added_reason"], kept["state"]) == ("Aigul", "fraud", "acting")


def test_nobody_lists_on_the_ground_that_stands_for_none(database):
    with pytest.raises(InputError, match="ground"):
        add(database, ground=Ground.NOT_KEPT)


def test_an_instant_outside_the_years_of_utc_is_refused_by_its_own_name(database):
    for field in ("valid_from", "valid_to"):
        with pytest.raises(InputError, match=f"{field}: .* of the years 1 to 9999"):
            add(database, **{field: datetime.fromisoformat("9999-12-31T23:59:59-06:00")})


def test_what_ends_before_it_begins_is_refused(database):
    with pytest.raises(InputError, match="valid_to"):
        add(database, valid_from=NOON, valid_to=NOON)


# ---- validity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "acts"), [(-HOUR, False), (timedelta(milliseconds=-1), False), (timedelta(0), True),
                                          (HOUR - timedelta(milliseconds=1), True), (HOUR, False)])  # fmt: skip
def test_an_entry_acts_from_its_first_instant_until_before_its_last(database, at, acts):
    entry = add(database, valid_from=NOON, valid_to=NOON + HOUR)
    hits, _ = Registry(database, IDENTIFIERS).ask(PAID, NOON + at)
    assert [hit.entry_id for hit in hits] == [entry] * acts


def test_what_has_expired_can_be_listed_anew_and_stays_as_history(database):
    past = datetime.now(UTC) - 2 * HOUR
    first = add(database, valid_to=past)
    second = add(database)
    assert [(row["entry_id"], row["removed_ground"], row["state"]) for row in registry_entries.history(database, second)] == [
        (first, "expired", "removed"), (second, None, "acting")
    ]  # fmt: skip


def test_of_two_who_list_the_same_one_is_told_by_whom_and_when(database):
    first = add(database, person="Aigul")
    with pytest.raises(ConflictError, match=rf"already: entry {first}, by Aigul at 20"):
        add(database, person="Bakyt")


# ---- four eyes -------------------------------------------------------------------------------------------------------


def test_a_proposed_removal_removes_nothing_until_another_person_approves(database):
    entry = add(database)
    live, made = Registry(database, IDENTIFIERS), propose(database, entry)
    assert [hit.entry_id for hit in live.hits(PAID)] == [entry]
    with pytest.raises(SamePersonError):
        approvals.decide(database, made, Ruling.APPROVED, " aigul", "mine")
    assert not live.refresh()
    approvals.decide(database, made, Ruling.APPROVED, "Bakyt", "the customer came")
    assert live.refresh()
    assert live.hits(PAID) == ()
    kept = registry_entries.entry(database, entry)
    assert (kept["removed_by"], kept["removed_ground"], kept["removed_proposal"]) == ("Aigul", "error_found", made)


def test_a_removal_is_proposed_once_at_a_time(database):
    entry = add(database)
    made = propose(database, entry)
    with pytest.raises(ConflictError, match=f"proposal {made} of Aigul"):
        propose(database, entry, person="Bakyt")
    approvals.decide(database, made, Ruling.REFUSED, "Bakyt", "it is no error")
    propose(database, entry, person="Bakyt")


REMOVE = "UPDATE registry SET removed_at = '2026', removed_by = 'A', removed_reason = 'x', removed_change = 1, removed_ground = {}, removed_proposal = {} WHERE entry_id = {}"


def test_by_sql_no_entry_is_removed_without_an_approved_proposal_of_this_entry_and_ground(database):
    entry, other = add(database), add(database, "0555999999")
    opened, of_other = propose(database, entry), propose(database, other)
    approvals.decide(database, of_other, Ruling.APPROVED, "Bakyt", "looked")
    tries = [("NULL", "NULL"), ("'error_found'", "NULL"), ("'expired'", "NULL"), ("'source_withdrew'", "NULL"),
             ("'error_found'", opened), ("'error_found'", of_other), ("'error_found'", 99)]  # fmt: skip
    for ground, proposal in tries:
        with pytest.raises(LedgerError, match="approved proposal that names it"):
            execute(database, REMOVE.format(ground, proposal, entry))
    approvals.decide(database, opened, Ruling.REFUSED, "Bakyt", "no")
    with pytest.raises(LedgerError, match="approved proposal that names it"):
        execute(database, REMOVE.format("'error_found'", opened, entry))
    approved = propose(database, entry, RemovalGround.CUSTOMER_CONFIRMED)
    execute(
        database,
        "UPDATE proposals SET verdict = 'approved', decided_at = '', decided_by = 'B', decided_reason = '', decided_key = 'b' WHERE verdict IS NULL",
    )
    with pytest.raises(LedgerError, match="approved proposal that names it"):
        execute(database, REMOVE.format("'error_found'", approved, entry))
    execute(database, REMOVE.format("'customer_confirmed'", approved, entry))


CHANGES = ["value = '+996555000000'", "list = 'watched'", "valid_to = '2020'", "look_up = NULL", "ground = 'x'",
           "added_by = 'Bakyt'", "added_change = 9", "reference = 'x'", "removed_ground = 'expired'"]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_by_sql_nothing_of_an_entry_changes(database, change):
    add(database)
    with pytest.raises(LedgerError, match="never changed"):
        execute(database, f"UPDATE registry SET {change}")


def test_by_sql_no_entry_is_deleted_replaced_or_removed_twice(database):
    entry = add(database)
    statements = ["DELETE FROM registry", "DELETE FROM registry WHERE entry_id = 1"]
    if database.file is None:
        statements.append("TRUNCATE registry")
    else:
        names = "kind, value, list, ground, source, look_up, added_at, added_by, added_reason, added_change"
        copied = f"SELECT {names.replace('added_change', '77')} FROM registry"
        statements += [
            f"REPLACE INTO registry ({names}) {copied}",
            f"REPLACE INTO registry (entry_id, {names}) SELECT {entry}, {copied[7:]}",
        ]
    for statement in statements:
        with pytest.raises(LedgerError, match=r"never|already"):
            execute(database, statement)
    registry.remove(database, entry)
    with pytest.raises(LedgerError, match="never changed"):
        execute(database, "UPDATE registry SET removed_reason = 'another'")
    with pytest.raises(LedgerError, match="never changed"):
        execute(
            database,
            "UPDATE registry SET removed_at = NULL, removed_by = NULL, removed_reason = NULL, removed_change = NULL",
        )


def test_by_sql_many_entries_are_not_listed_at_once_without_a_proposal(database):
    add(database)
    names = "kind, value, list, ground, source, look_up, added_at, added_by, added_reason, added_change"
    copied = names.replace("value", "'1' || value")
    with pytest.raises(LedgerError, match="listed alone"):
        execute(database, f"INSERT INTO registry ({names}) SELECT {copied} FROM registry")
    proposal = propose(database, 1)
    for number in (proposal, 99):
        other = copied.replace("added_change", "78")
        with pytest.raises(LedgerError, match="listed alone"):
            execute(database, f"INSERT INTO registry ({names}, added_proposal) SELECT {other}, {number} FROM registry")


# ---- any past moment -------------------------------------------------------------------------------------------------


def test_the_entries_of_any_past_moment_can_be_listed(database):
    moments = [databases.timestamp()]
    first = add(database)
    moments.append(databases.timestamp())
    second = add(database, "0555999999", list_=List.WATCHED)
    moments.append(databases.timestamp())
    registry.remove(database, first)
    moments.append(databases.timestamp())
    found = [[row["entry_id"] for row in registry_entries.listed(database, Filter(at=at))] for at in moments]
    assert found == [[], [first], [first, second], [second]]
    assert [row["entry_id"] for row in registry_entries.listed(database, Filter(list=List.WATCHED))] == [second]
    assert [row["entry_id"] for row in registry_entries.listed(database, after=first, limit=1)] == [second]
    assert registry_entries.as_instant(from_ms(0)) == "1970-01-01T00:00:00.000000+00:00"
    assert rows(database, "SELECT count(*) FROM registry") == [(2,)]
