"""Feeds: approved once by two, followed in order, nothing twice; what a feed listed it alone withdraws; ours go out in the same form."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest

from casework import approvals, registry_entries, registry_feeds
from casework import database as databases
from casework.database import Database, url_of
from casework.proposals import Ruling
from casework.registry import Registry
from casework.registry_feeds import FeedAction, FeedChange, FeedPage
from domain.errors import ConflictError, InputError, LedgerError, OtherCallerError, UnknownEntryError
from domain.identifiers import IdentifierKind
from domain.listing import Ground, List, Source
from tests import registry
from tests.casework.test_registry import IDENTIFIERS, operation
from tests.databases import execute, rows

ISSUED = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


def follow(database, name="black", list_=List.PROHIBITED) -> int:
    made = registry_feeds.propose(
        database, name, list_, Ground.NATIONAL_BLACK_LIST, Source.NATIONAL_LIST, "feeds", "Aigul", "K8"
    )
    approvals.decide(database, made, Ruling.APPROVED, "Bakyt", "the letter says so")
    return made


def phone(sequence: int, number: int, action: FeedAction = FeedAction.ADD) -> FeedChange:
    return FeedChange(sequence, action, IdentifierKind.PHONE, f"0555 00 00 {number:02}")


def take(database, after: int, *changes: FeedChange, feed: str = "black"):
    up_to = max((change.sequence for change in changes), default=after)
    return registry_feeds.take(database, IDENTIFIERS, feed, FeedPage(after, up_to, ISSUED, changes), "feeds")


def test_k8_what_the_national_list_adds_is_met_and_what_it_withdraws_is_not(database):
    follow(database)
    taken = take(database, 0, phone(1, 1), phone(2, 2), phone(3, 1, FeedAction.WITHDRAW))
    assert (taken.up_to, taken.added, taken.withdrawn, taken.rejects) == (3, 2, 1, ())
    live = Registry(database, IDENTIFIERS)
    assert [len(live.hits(operation(recipient={"phone": f"055500000{number}"}))) for number in (1, 2)] == [0, 1]
    assert rows(database, "SELECT removed_ground FROM registry ORDER BY entry_id") == [("source_withdrew",), (None,)]


def test_k9_a_gray_list_is_watched(database):
    follow(database, "gray", List.WATCHED)
    take(database, 0, phone(1, 1), feed="gray")
    (hit,) = Registry(database, IDENTIFIERS).hits(operation(recipient={"phone": "0555000001"}))
    assert hit.list is List.WATCHED


def test_a_page_that_came_before_changes_nothing_and_a_gap_is_refused(database):
    follow(database)
    pages = [(0, phone(1, 1), phone(2, 2)), (0, phone(1, 1), phone(2, 2), phone(3, 3)), (1, phone(2, 2))]
    assert [take(database, *page).added for page in pages] == [2, 1, 0]
    assert registry_feeds.cursor(database, "black") == 3
    with pytest.raises(ConflictError, match="taken up to 3, this page begins after 5"):
        take(database, 5, phone(6, 6))
    assert len(registry_entries.listed(database)) == 3


def test_a_list_may_number_its_changes_by_nanoseconds(database):
    follow(database)
    first, second = 1_795_341_600_000_000_000, 2**62
    assert take(database, 0, phone(first, 1)).added == 1
    assert take(database, first, phone(second, 2)).added == 1
    assert registry_feeds.cursor(database, "black") == second


def test_a_page_with_nothing_new_leaves_no_entry_in_the_audit_log(database):
    follow(database)
    take(database, 0, phone(1, 1))
    before = rows(database, "SELECT count(*) FROM audit")
    assert [take(database, *page).up_to for page in ((1,), (0, phone(1, 1)), (0,))] == [1, 1, 1]
    assert rows(database, "SELECT count(*) FROM audit") == before
    take(database, 1, phone(2, 2))
    assert rows(database, "SELECT count(*) FROM audit") != before


def test_a_change_that_cannot_be_read_is_told_and_does_not_stop_the_rest(database):
    follow(database)
    taken = take(database, 0, msgspec.structs.replace(phone(1, 1), value="call me"), phone(2, 2))
    assert (taken.added, [sequence for sequence, _ in taken.rejects]) == (1, [1])


def test_a_feed_withdraws_nothing_that_somebody_else_listed(database):
    own = registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555000001")
    proposal = follow(database)
    taken = take(database, 0, phone(1, 1), phone(2, 1, FeedAction.WITHDRAW))
    assert (taken.known, taken.withdrawn) == (2, 0)
    sets = (
        "removed_at = '2026', removed_by = 'A', removed_reason = 'x', removed_change = 1, removed_ground = 'source_withdrew'"
    )
    with pytest.raises(LedgerError, match="approved proposal"):
        execute(database, f"UPDATE registry SET {sets}, removed_proposal = {proposal} WHERE entry_id = {own}")


def test_a_feed_that_nobody_approved_is_not_taken(database):
    registry_feeds.propose(
        database, "black", List.PROHIBITED, Ground.NATIONAL_BLACK_LIST, Source.NATIONAL_LIST, "feeds", "Aigul", "K8"
    )
    with pytest.raises(UnknownEntryError, match="nobody approved"):
        take(database, 0, phone(1, 1))
    for name, caller, field in (("a b", "feeds", "feed"), ("black", " ", "caller")):
        with pytest.raises(InputError, match=field):
            registry_feeds.propose(
                database, name, List.PROHIBITED, Ground.NATIONAL_BLACK_LIST, Source.NATIONAL_LIST, caller, "Aigul", "K8"
            )


def test_a_feed_lists_on_a_ground_that_somebody_may_list_on(database):
    """Else it would be approved, and every change of it rejected and passed over."""
    with pytest.raises(InputError, match=r"ground: seen 'not_kept', allowed: high_risk_confirmed, "):
        registry_feeds.propose(
            database, "black", List.PROHIBITED, Ground.NOT_KEPT, Source.NATIONAL_LIST, "feeds", "Aigul", "K8"
        )


def test_a_page_that_was_given_out_outside_the_years_of_utc_is_refused(database):
    follow(database)
    page = FeedPage(0, 1, datetime.fromisoformat("0001-01-01T00:00:00+06:00"), (phone(1, 1),))
    with pytest.raises(InputError, match="issued_at"):
        registry_feeds.take(database, IDENTIFIERS, "black", page, "feeds")


def test_r104_a_feed_comes_by_the_caller_whom_two_approved_and_by_nobody_else(database):
    """One person with a key that may list would else list thousands alone, or withdraw what the feed listed."""
    follow(database)
    page = FeedPage(0, 1, ISSUED, (phone(1, 1),))
    with pytest.raises(OtherCallerError, match="by the key of feeds, not of Aigul"):
        registry_feeds.take(database, IDENTIFIERS, "black", page, "Aigul")
    assert registry_feeds.cursor(database, "black") == 0
    assert registry_feeds.take(database, IDENTIFIERS, "black", page, "Feeds").added == 1


@pytest.mark.parametrize(
    ("after", "up_to", "sequences"),
    [(0, 2**53, ()), (0, 9, (1, 2)), (0, 1, (1, 2)), (0, 2, (2, 1, 2)), (5, 6, (4, 6)), (5, 5, (5,))],
)
def test_a_page_that_says_more_or_other_than_is_in_it_is_refused(database, after, up_to, sequences):
    """Else a number too far would pass over all that comes later, and nobody would notice."""
    follow(database)
    take(database, 0, *(phone(sequence, sequence) for sequence in range(1, 6)))
    changes = tuple(phone(sequence, 10 + sequence) for sequence in sequences)
    with pytest.raises(InputError, match=r"up_to|changes"):
        registry_feeds.take(database, IDENTIFIERS, "black", FeedPage(after, up_to, ISSUED, changes), "feeds")
    assert registry_feeds.cursor(database, "black") == 5


def test_by_sql_a_feed_lists_on_its_own_list_alone(database):
    follow(database)
    take(database, 0, phone(1, 1))
    names = "kind, value, list, ground, source, look_up, added_at, added_by, added_reason, added_proposal, added_change"
    copied = names.replace("value", "'1' || value").replace(", list", ", 'watched'")
    with pytest.raises(LedgerError, match="listed alone"):
        execute(database, f"INSERT INTO registry ({names}) SELECT {copied} FROM registry")


def test_our_own_cases_go_out_in_the_form_in_which_others_are_taken(database, tmp_path):
    follow(database)
    take(database, 0, phone(1, 99))
    entries = [registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, f"055500001{number}") for number in range(5)]
    registry.remove(database, entries[1])
    with databases.connect(databases.url_of(tmp_path / "other.db")) as other:
        follow(other)
        after, pages = 0, 0
        while (page := registry_feeds.given_out(database, after, List.PROHIBITED, least=2)).changes:
            registry_feeds.take(other, IDENTIFIERS, "black", page, "feeds")
            after, pages = page.up_to, pages + 1
        told = {row["value"] for row in registry_entries.listed(other)}
    assert told == {f"+99655500001{number}" for number in (0, 2, 3, 4)}
    assert pages == 3


def test_what_had_expired_and_is_listed_anew_is_listed_where_our_changes_are_followed(database, tmp_path):
    number = "0555000001"
    registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, number, valid_to=ISSUED.replace(year=2025))
    with databases.connect(databases.url_of(tmp_path / "other.db")) as other:
        follow(other)
        first = registry_feeds.given_out(database, 0, List.PROHIBITED)
        registry_feeds.take(other, IDENTIFIERS, "black", first, "feeds")
        registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, number)
        anew = registry_feeds.given_out(database, first.up_to, List.PROHIBITED)
        registry_feeds.take(other, IDENTIFIERS, "black", anew, "feeds")
        assert [change.action for change in anew.changes] == [FeedAction.WITHDRAW, FeedAction.ADD]
        assert Registry(other, IDENTIFIERS).hits(operation(recipient={"phone": number})) != ()


def test_changes_that_are_done_together_do_what_they_do_one_by_one(tmp_path, monkeypatch):
    drawn, told = random.Random(3), []
    changes = [phone(sequence, drawn.randrange(6), drawn.choice([*FeedAction])) for sequence in range(1, 121)]
    for together in (1, 4, 5_000):
        monkeypatch.setattr(registry_feeds, "TOGETHER", together)
        with databases.connect(url_of(tmp_path / f"{together}.db")) as database:
            follow(database)
            counts = [take(database, first, *changes[first : first + 40]) for first in (0, 40, 80)]
            told.append((counts, sorted(one["value"] for one in registry_entries.listed(database))))
    assert told[0] == told[1] == told[2]
    assert sum(counted.withdrawn for counted in told[0][0]) > 10
