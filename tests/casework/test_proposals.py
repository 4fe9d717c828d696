"""Four eyes: one person cannot pass, by any call or by SQL; what was proposed stays; one decision, and the other is told."""

import threading
from collections.abc import Iterator

import pytest

from casework import database as databases
from casework import proposals
from casework.database import Database
from casework.proposals import Ruling
from domain.errors import BuranaError, ConflictError, LedgerError, SamePersonError, SettingsError, UnknownProposalError
from tests.databases import audit, execute, rows

CONTENT = {"entry_id": 7, "said": "ошибка"}


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


@pytest.fixture
def done() -> list[int]:
    """The proposals that were carried out."""
    return []


@pytest.fixture
def kinds(done):
    return {"removal": lambda connection, proposal, change: done.append(proposal.proposal_id)}


def propose(database, person="Aigul", kind="removal") -> int:
    return proposals.propose(database, kind, CONTENT, person, "listed in error")


def test_what_another_person_approves_is_done_and_told(database, kinds, done):
    made = propose(database)
    proposals.decide(database, made, Ruling.APPROVED, "Bakyt", "I looked", kinds)
    assert done == [made]
    found = proposals.of_id(database, made)
    assert (found.content, found.verdict, found.decided_by, found.decided_reason) == (
        CONTENT,
        "approved",
        "Bakyt",
        "I looked",
    )
    assert audit(database) == [
        ("Aigul", "listed in error", "proposals: propose removal"),
        ("Bakyt", "I looked", f"proposals: approved removal {made}"),
    ]


def test_what_is_refused_is_not_done(database, kinds, done):
    proposals.decide(database, propose(database), Ruling.REFUSED, "Bakyt", "it is no error", kinds)
    assert done == []


SAME = ["Aigul", " Aigul ", "AIGUL", "aigul", "Ai gul", "\tAigul", "Aigul\u200b", "\uff21igul", "Ai\u00a0gul"]


@pytest.mark.parametrize("name", SAME)
def test_who_proposed_cannot_decide_by_whatever_name(database, kinds, done, name):
    made = propose(database)
    for verdict in Ruling:
        with pytest.raises(SamePersonError, match="another person"):
            proposals.decide(database, made, verdict, name, "I looked", kinds)
    assert done == []
    assert proposals.of_id(database, made).verdict is None
    assert len(audit(database)) == 1


def test_a_name_in_cyrillic_is_the_same_in_capitals(database, kinds):
    with pytest.raises(SamePersonError):
        proposals.decide(database, propose(database, "Айгүл"), Ruling.APPROVED, "айгүЛ ", "I looked", kinds)


DECIDED = "UPDATE proposals SET verdict = 'approved', decided_at = 'now', decided_by = '{}', decided_reason = 'x', decided_key = '{}'"


@pytest.mark.parametrize("name", ["Aigul", " aigul", "AIGUL  ", "Ai Gul"])
def test_who_proposed_cannot_decide_by_sql(database, name):
    propose(database)
    with pytest.raises(LedgerError, match="proposals_four_eyes"):
        execute(database, DECIDED.format(name, "another"))


@pytest.mark.parametrize(("key", "refused_by"), [("айгуль", "four_eyes"), ("", "decided_key")])
def test_the_key_of_a_name_holds_where_the_database_knows_no_capitals(database, key, refused_by):
    propose(database, "АЙГУЛЬ")
    with pytest.raises(LedgerError, match=f"proposals_{refused_by}"):
        execute(database, DECIDED.format("Айгуль", key))


def test_a_name_of_which_nothing_can_be_seen_is_none(database):
    with pytest.raises(SettingsError, match="nothing can be seen"):
        propose(database, "\u200b\u2060")
    assert audit(database) == []


@pytest.mark.parametrize("change", ["verdict = NULL, decided_at = NULL, decided_by = NULL, decided_reason = NULL, decided_key = NULL",
                                    "verdict = 'refused'", "decided_by = 'Cholpon'", "decided_reason = 'y'", "content = '{}'"])  # fmt: skip
def test_a_proposal_is_decided_once(database, kinds, change):
    made = propose(database)
    proposals.decide(database, made, Ruling.APPROVED, "Bakyt", "I looked", kinds)
    with pytest.raises(LedgerError, match="decided once"):
        execute(database, f"UPDATE proposals SET {change}")
    with pytest.raises(ConflictError, match=r"was approved by Bakyt at .*: I looked"):
        proposals.decide(database, made, Ruling.REFUSED, "Cholpon", "no", kinds)


@pytest.mark.parametrize("change", ["content = '{}'", "kind = 'other'", "proposed_by = 'Bakyt'", "proposed_reason = 'y'",
                                    "proposed_at = 'y'", "proposed_key = 'y'", "proposal_id = 99"])  # fmt: skip
def test_what_was_proposed_is_never_changed(database, change):
    propose(database)
    with pytest.raises(LedgerError, match="never changed"):
        execute(database, f"UPDATE proposals SET {change}")


def test_a_proposal_is_never_deleted_nor_replaced_nor_born_approved(database):
    made = propose(database)
    columns = "proposal_id, kind, content, proposed_at, proposed_by, proposed_reason, proposed_key, verdict, decided_at, decided_by, decided_reason, decided_key"
    row = "'removal', '{}', 'now', 'Aigul', 'x', 'aigul', 'approved', 'now', 'Bakyt', 'x', 'bakyt'"
    for statement in ("DELETE FROM proposals", f"INSERT INTO proposals ({columns}) VALUES (99, {row})"):
        with pytest.raises(LedgerError, match=r"never|undecided"):
            execute(database, statement)
    if database.file is not None:
        with pytest.raises(LedgerError, match="never changed"):
            execute(
                database,
                f"REPLACE INTO proposals (proposal_id, kind, content, proposed_at, proposed_by, proposed_reason, proposed_key) VALUES ({made}, 'a', '{{}}', '', '', '', 'a')",
            )
    else:
        with pytest.raises(LedgerError, match="never"):
            execute(database, "TRUNCATE proposals")
    assert len(proposals.open_proposals(database)) == 1


@pytest.mark.parametrize(
    "half",
    [
        "verdict = 'approved'",
        "decided_by = 'Bakyt'",
        "verdict = 'perhaps', decided_at = '', decided_by = 'B', decided_reason = '', decided_key = 'b'",
    ],
)
def test_half_a_decision_is_refused_by_the_database(database, half):
    propose(database)
    with pytest.raises(LedgerError, match="proposals_"):
        execute(database, f"UPDATE proposals SET {half}")


def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told(database, url, kinds, done):
    made = propose(database)
    told: list[BuranaError] = []
    together = threading.Barrier(2)

    def decide(person: str) -> None:
        with databases.connect(url) as mine:
            together.wait()
            try:
                proposals.decide(mine, made, Ruling.APPROVED, person, "I looked", kinds)
            except ConflictError as error:
                told.append(error)

    threads = [threading.Thread(target=decide, args=(person,)) for person in ("Bakyt", "Cholpon")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [made]
    assert len(told) == 1
    assert proposals.of_id(database, made).decided_by in str(told[0])


def test_what_cannot_be_done_is_not_approved(database):
    made = propose(database)

    def fails(connection, proposal, change):
        raise ConflictError("it is gone")

    with pytest.raises(ConflictError, match="it is gone"):
        proposals.decide(database, made, Ruling.APPROVED, "Bakyt", "I looked", {"removal": fails})
    assert proposals.of_id(database, made).verdict is None
    assert len(audit(database)) == 1


def test_an_id_that_is_not_there_is_refused(database, kinds):
    with pytest.raises(UnknownProposalError, match="no proposal 5"):
        proposals.decide(database, 5, Ruling.APPROVED, "Bakyt", "I looked", kinds)


@pytest.mark.parametrize(("person", "reason"), [("", "x"), (" ", "x"), ("Bakyt", ""), ("Bakyt", "\n")])
def test_r108_nobody_proposes_or_decides_without_a_name_and_a_reason(database, kinds, person, reason):
    with pytest.raises(SettingsError, match="person and a reason"):
        proposals.propose(database, "removal", CONTENT, person, reason)
    made = propose(database)
    with pytest.raises(SettingsError, match="person and a reason"):
        proposals.decide(database, made, Ruling.APPROVED, person, reason, kinds)


def test_open_proposals_are_told_by_kind_and_in_pages(database, kinds):
    made = [propose(database, kind=kind) for kind in ("removal", "other", "removal", "removal")]
    proposals.decide(database, made[0], Ruling.REFUSED, "Bakyt", "no", kinds)
    assert [one.proposal_id for one in proposals.open_proposals(database)] == made[1:]
    assert [one.proposal_id for one in proposals.open_proposals(database, "removal")] == made[2:]
    assert [one.proposal_id for one in proposals.open_proposals(database, after=made[1], limit=1)] == [made[2]]
    assert rows(database, "SELECT count(*) FROM proposals") == [(4,)]
