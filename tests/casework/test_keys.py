"""Keys of calling systems: shown once, kept as a hash, two live ones a caller, every change in the audit log."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from casework import database, keys
from casework.keys import Keys, Scope
from domain.errors import SettingsError


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(database.connect(tmp_path / "burana.db")) as opened:
        yield opened


def make(connection, caller="core banking", scopes=frozenset({Scope.OPERATIONS})) -> str:
    return keys.make(connection, caller, set(scopes), "Aigul")


def id_of(key: str) -> str:
    return key.split("_")[1]


def audit(connection) -> list[tuple[str, str, str]]:
    return connection.execute("SELECT person, reason, change FROM audit ORDER BY audit_id").fetchall()


def test_a_key_names_its_caller_and_its_scopes(connection):
    key = make(connection, scopes={Scope.OPERATIONS, Scope.READ})
    caller = Keys(connection).caller(key)
    assert (caller.name, caller.scopes) == ("core banking", {Scope.OPERATIONS, Scope.READ})


def test_two_keys_of_a_caller_are_live_and_a_third_is_refused(connection):
    first, second = make(connection), make(connection)
    with pytest.raises(SettingsError, match="2 live keys"):
        make(connection)
    live = Keys(connection)
    assert live.caller(first) == live.caller(second) is not None
    make(connection, caller="another caller")


def test_a_key_is_rotated_by_revoking_the_older(connection):
    first, second = make(connection), make(connection)
    keys.revoke(connection, id_of(first), "Aigul", "rotation")
    third = make(connection)
    live = Keys(connection)
    assert [live.caller(key) is not None for key in (first, second, third)] == [False, True, True]


def test_a_revoked_key_is_known_until_the_next_refresh(connection):
    key = make(connection)
    live = Keys(connection)
    keys.revoke(connection, id_of(key), "Aigul", "lost")
    assert live.caller(key) is not None
    live.refresh()
    assert live.caller(key) is None


@pytest.mark.parametrize("spoil", [
    lambda key: "", lambda key: key[:-1], lambda key: key + "x", lambda key: key.upper(), lambda key: key.replace("burana", "Burana"),
    lambda key: key.rpartition("_")[0] if key.count("_") == 2 else key[:20], lambda key: "burana_" + id_of(key) + "_",
    lambda key: "burana__" + key.split("_", 2)[2], lambda key: key + "\ud800", lambda key: key.replace("_", "__", 1),
    lambda key: " " + key, lambda key: "other_" + key.partition("_")[2],
])  # fmt: skip
def test_what_is_not_the_key_opens_nothing(connection, spoil):
    assert Keys(connection).caller(spoil(make(connection))) is None


def test_a_secret_of_one_key_does_not_open_another(connection):
    first, second = make(connection), make(connection)
    assert Keys(connection).caller(f"burana_{id_of(first)}_{second.split('_', 2)[2]}") is None


def test_keys_are_never_alike(connection):
    made = {make(connection, caller=f"caller {number}") for number in range(50)}
    assert len({key.split("_", 2)[2] for key in made}) == len({id_of(key) for key in made}) == 50
    assert min(len(key.split("_", 2)[2]) for key in made) >= 43, "256 bits"


def test_the_secret_is_not_in_the_database(connection, tmp_path):
    secret = make(connection).split("_", 2)[2]
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()


def test_the_list_shows_live_keys_without_secrets(connection):
    first, second = make(connection), make(connection)
    keys.revoke(connection, id_of(first), "Aigul", "rotation")
    ((key_id, caller, scopes, _),) = keys.listed(connection)
    assert (key_id, caller, scopes) == (id_of(second), "core banking", "operations")


@pytest.mark.parametrize("key_id", ["", "unknown", "%"])
def test_a_key_that_is_not_live_cannot_be_revoked(connection, key_id):
    key = make(connection)
    with pytest.raises(SettingsError, match="no live key"):
        keys.revoke(connection, key_id, "Aigul", "lost")
    assert Keys(connection).caller(key) is not None
    assert len(audit(connection)) == 1


def test_a_key_needs_somebody_who_makes_it_and_a_revocation_a_reason(connection):
    with pytest.raises(SettingsError, match="person and a reason"):
        keys.make(connection, "core banking", {Scope.READ}, " ")
    key = make(connection)
    with pytest.raises(SettingsError, match="person and a reason"):
        keys.revoke(connection, id_of(key), "Aigul", "")
    assert Keys(connection).caller(key) is not None


def test_every_change_of_keys_leaves_one_line_in_the_audit_log(connection):
    key = make(connection, scopes={Scope.READ, Scope.EVENTS})
    keys.revoke(connection, id_of(key), "Bakyt", "lost")
    assert audit(connection) == [
        ("Aigul", "new key", f"keys: make {id_of(key)} for core banking: events, read"),
        ("Bakyt", "lost", f"keys: revoke {id_of(key)}"),
    ]
