"""The audit log: every change with person, reason, before and after, in one chain that never forks, on both databases."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from casework import champions, keys, rule_sets, schema
from casework import database as databases
from casework.audit_form import FIRST, LARGEST, AuditEntry, canonical, form
from casework.audit_log import record_change
from casework.audit_rows import ROWS
from casework.database import Database
from casework.keys import Scope
from casework.tables import AUDIT
from domain.errors import InputError, LedgerError, SettingsError
from domain.identifiers import IdentifierKind, Identifiers
from domain.levels import Thresholds
from domain.listing import List
from tests import registry
from tests.databases import execute, rows

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aб\U0001f600\ufb01z"), inner, max_size=3),
)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


def log(database: Database) -> list[AuditEntry]:
    columns = select(*(AUDIT.c[name] for name in AuditEntry._fields))
    with database.reading() as connection:
        return [AuditEntry(*row) for row in connection.execute(columns.order_by(AUDIT.c.audit_id))]


def change(database: Database, words: str = "rules: try", **more: object) -> int:
    with database.transaction() as connection:
        return record_change(connection, "Айгуль", 'to "try"\n', words, **more)


# ---- the form --------------------------------------------------------------------------------------------------------


def test_the_form_of_an_entry_is_these_bytes_and_its_hash_is_a_leaf_of_rfc_9162(database: Database) -> None:
    change(database, after={"b": [1, True, None], "a": "é\x7f\x1f/"}, approved_by="Bakyt")
    (entry,) = log(database)
    wanted = (
        (
            '{"after":{"a":"é\x7f\\u001f/","b":[1,true,null]},"approved_by":"Bakyt","at":"AT","audit_id":1,"before":null,'
            '"change":"rules: try","kind":"rules","person":"Айгуль","previous":"ZEROS","reason":"to \\"try\\"\\n"}'
        )
        .replace("AT", entry.at)
        .replace("ZEROS", "0" * 64)
    )
    assert form(entry) == wanted.encode()
    assert entry.hash == hashlib.sha256(b"\0" + wanted.encode()).digest()
    assert entry.previous == FIRST


@given(value=json_values)
def test_canonical_json_is_read_back_and_is_written_in_one_way(value: object) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


def test_keys_are_ordered_as_rfc_8785_orders_them() -> None:
    assert (
        canonical({"\ufb33": 1, "\U0001f600": 2, "\r": 3, "1": 4, "é": 5})
        == '{"\\r":3,"1":4,"é":5,"\U0001f600":2,"\ufb33":1}'
    )


@pytest.mark.parametrize(
    "value", [0.5, {"a": 1.0}, [float("nan")], LARGEST + 1, {1: 2}, "\ud800", {"\ud800": 1}, b"", {1, 2}]
)
def test_what_is_not_written_in_one_way_everywhere_is_refused(database: Database, value: object) -> None:
    with pytest.raises(SettingsError, match="the audit log keeps"):
        change(database, before=value)
    assert log(database) == []


@pytest.mark.parametrize("place", ["person", "reason"])
def test_text_that_utf_8_cannot_hold_is_refused(database: Database, place: str) -> None:
    given = {"person": "Aigul", "reason": "to try", place: "a\ud800"}
    with pytest.raises(SettingsError, match="UTF-8"), database.transaction() as connection:
        record_change(connection, change="rules: try", **given)


def test_a_reason_in_which_nothing_can_be_seen_is_none(database: Database) -> None:
    with (
        pytest.raises(InputError, match="words that can be seen"),
        database.transaction() as connection,
    ):
        record_change(connection, "Aigul", "\u200b\u202e", "rules: try")
    assert log(database) == []


# ---- the chain -------------------------------------------------------------------------------------------------------


def test_each_entry_holds_the_hash_of_the_one_before(database: Database) -> None:
    assert [change(database, f"rules: {n}") for n in range(5)] == [1, 2, 3, 4, 5]
    entries = log(database)
    assert [entry.previous for entry in entries] == [FIRST, *(entry.hash for entry in entries[:-1])]
    assert [entry.hash for entry in entries] == [hashlib.sha256(b"\0" + form(entry)).digest() for entry in entries]


def test_a_change_of_a_kind_that_nobody_could_ask_for_is_not_written(database: Database) -> None:
    with pytest.raises(ValueError, match="rule"):
        change(database, "rule: one")
    assert log(database) == []


def test_a_change_that_is_rolled_back_leaves_no_gap(database: Database) -> None:
    change(database)
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        record_change(connection, "Aigul", "to try", "rules: one")
        raise ZeroDivisionError
    assert change(database) == 2


def test_many_writers_at_once_make_one_chain(url: str) -> None:
    def write(writer: int) -> None:
        with databases.connect(url) as mine:
            for number in range(25):
                change(mine, f"rules: {writer} {number}")

    with databases.connect(url) as database:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
        entries = log(database)
    assert [entry.audit_id for entry in entries] == list(range(1, 101))
    assert [entry.previous for entry in entries[1:]] == [entry.hash for entry in entries[:-1]]


@pytest.mark.parametrize(("number", "of"), [("audit_id + 5", 2), ("3", 1), ("0", 1), ("-1", 2)])
def test_the_database_refuses_an_entry_that_does_not_follow_the_last(database: Database, number: str, of: int) -> None:
    change(database)
    change(database)
    columns = ", ".join(AuditEntry._fields)
    copied = columns.replace("audit_id", number, 1)
    with pytest.raises(LedgerError, match="follows the last one"):
        execute(database, f"INSERT INTO audit ({columns}) SELECT {copied} FROM audit WHERE audit_id = {of}")
    assert len(log(database)) == 2


def test_entries_of_before_the_chain_join_it(database: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.STEPS))
    if database.file is None:
        execute(database, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    else:
        execute(database, *(f"DROP TABLE {name}" for name in ("alembic_version", *AUDIT.metadata.tables)))
    with database.transaction() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    execute(database, *(f"INSERT INTO audit VALUES ({n}, '2026', 'Aigul', 'new', 'keys: make {n}')" for n in (1, 2, 7)))
    database.bring_up_to_date()
    assert change(database) == 8
    entries = log(database)
    assert [(entry.audit_id, entry.kind) for entry in entries] == [(1, "keys"), (2, "keys"), (7, "keys"), (8, "rules")]
    assert [entry.previous for entry in entries] == [FIRST, *(entry.hash for entry in entries[:-1])]
    with pytest.raises(LedgerError, match="never"):
        execute(database, "UPDATE audit SET person = 'nobody'")


# ---- before and after ------------------------------------------------------------------------------------------------


def said(database: Database) -> tuple[object, object]:
    """Before and after of the last entry, without the hashes of rows."""
    ((before, after),) = rows(database, "SELECT before, after FROM audit ORDER BY audit_id DESC LIMIT 1")
    told = {name: value for name, value in json.loads(after).items() if name != ROWS}
    return before and json.loads(before), told or None


def test_r109_a_change_of_the_registry_says_before_and_after(database: Database) -> None:
    listed = {"kind": "phone", "value": "+996555123456", "list": "prohibited",
              "ground": "internal_investigation", "source": "own_case"}  # fmt: skip
    entry_id = registry.add(
        database, Identifiers(bytes(32)), IdentifierKind.PHONE, "0555123456", List.PROHIBITED, "Aigul", "fraud"
    )
    assert said(database) == (None, listed)
    registry.remove(database, entry_id, "Bakyt", "a mistake")
    before, after = said(database)
    assert {name: before[name] for name in ("entry_id", *listed)} == {"entry_id": entry_id, **listed}
    assert after is None
    assert rows(database, "SELECT person, approved_by FROM audit ORDER BY audit_id DESC LIMIT 1") == [
        ("Bakyt", "a second person")
    ]


def test_a_change_of_the_rules_says_both_sets_by_their_whole_hash(database: Database) -> None:
    load_starter, load_ours = (("rules = []\n", "burana"), ("rules = []", "Aigul"))
    versions = [rule_sets.load(database, text, person, "to try") for text, person in (load_starter, load_ours)]
    sha256 = hashlib.sha256(b"rules = []\n\0rules = []\n").hexdigest()
    assert versions == [sha256[:12]] * 2, "what is kept is written anew"
    assert said(database) == ({"version": sha256[:12], "sha256": sha256, "live": [], "shadow": []},) * 2


def test_a_change_of_the_champion_says_the_thresholds_before_and_after(database: Database) -> None:
    for version, medium in (("one", 0.25), ("two", 0.1), ("two", 0.1)):
        champions.take_over(database, version, Thresholds(medium, 0.9), "Aigul", "better")
    assert champions.acting(database) == "two"
    assert said(database) == (
        {"version": "one", "medium": "0.25", "high": "0.9"}, {"version": "two", "medium": "0.1", "high": "0.9"},
    )  # fmt: skip
    assert len(log(database)) == 2


def test_a_change_of_the_keys_says_whose_and_for_what_and_no_secret(database: Database) -> None:
    key = keys.make(database, "core", {Scope.READ, Scope.EVENTS}, "Aigul", is_signed=True)
    _, key_id, secret = key.split("_", 2)
    made = {"key_id": key_id, "caller": "core", "scopes": ["events", "read", "signed"]}
    assert said(database) == (None, made)
    keys.revoke(database, key_id, "Aigul", "lost")
    assert said(database) == (made, None)
    assert secret not in str(log(database))
