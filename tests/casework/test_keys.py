"""Keys of calling systems: shown once, kept as a hash, two live ones a caller, every change in the audit log."""

from collections.abc import Iterator

import pytest

from casework import database as databases
from casework import keys
from casework.database import Database
from casework.keys import Keys, Scope
from domain.errors import SettingsError
from tests.databases import audit, everything


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


def make(database, caller="core banking", scopes=frozenset({Scope.OPERATIONS})) -> str:
    return keys.make(database, caller, set(scopes), "Aigul")


def id_of(key: str) -> str:
    return key.split("_")[1]


def test_a_key_names_its_caller_and_its_scopes(database):
    key = make(database, scopes={Scope.OPERATIONS, Scope.READ})
    caller = Keys(database).caller(key)
    assert (caller.name, caller.scopes) == ("core banking", {Scope.OPERATIONS, Scope.READ})


@pytest.mark.parametrize(
    "caller", ["", " ", "\u200b", "core\nbanking", "core\tbanking", "core\u202ebanking", "\udcff"], ids=ascii
)
def test_a_caller_has_a_name_that_can_be_seen(database, caller):
    """It is who acts in the audit log, and one line of the list of keys."""
    with pytest.raises(SettingsError, match="the name of a system or a person"):
        make(database, caller)
    assert keys.listed(database) == []


def test_two_keys_of_a_caller_are_live_and_a_third_is_refused(database):
    first, second = make(database), make(database)
    with pytest.raises(SettingsError, match="2 live keys"):
        make(database)
    live = Keys(database)
    assert live.caller(first) == live.caller(second) is not None
    make(database, caller="another caller")


def test_a_key_is_rotated_by_revoking_the_older(database):
    first, second = make(database), make(database)
    keys.revoke(database, id_of(first), "Aigul", "rotation")
    third = make(database)
    live = Keys(database)
    assert [live.caller(key) is not None for key in (first, second, third)] == [False, True, True]


def test_a_revoked_key_is_known_until_the_next_refresh(database):
    key = make(database)
    live = Keys(database)
    keys.revoke(database, id_of(key), "Aigul", "lost")
    assert live.caller(key) is not None
    live.refresh()
    assert live.caller(key) is None


def test_a_key_with_a_scope_of_a_later_release_does_not_keep_a_revoked_one_alive(database):
    key = make(database)
    live = Keys(database)
    later = make(database, caller="of a later release", scopes={"a later scope", Scope.READ})
    keys.revoke(database, id_of(key), "Aigul", "lost")
    live.refresh()
    assert (live.caller(key), live.caller(later).scopes) == (None, {Scope.READ})


@pytest.mark.parametrize("spoil", [
    lambda key: "", lambda key: key[:-1], lambda key: key + "x", lambda key: key.upper(), lambda key: key.replace("burana", "Burana"),
    lambda key: key.rpartition("_")[0] if key.count("_") == 2 else key[:20], lambda key: "burana_" + id_of(key) + "_",
    lambda key: "burana__" + key.split("_", 2)[2], lambda key: key + "\ud800", lambda key: key.replace("_", "__", 1),
    lambda key: " " + key, lambda key: "other_" + key.partition("_")[2],
])  # fmt: skip
def test_what_is_not_the_key_opens_nothing(database, spoil):
    assert Keys(database).caller(spoil(make(database))) is None


def test_a_secret_of_one_key_does_not_open_another(database):
    first, second = make(database), make(database)
    assert Keys(database).caller(f"burana_{id_of(first)}_{second.split('_', 2)[2]}") is None


def test_keys_are_never_alike(database):
    made = {make(database, caller=f"caller {number}") for number in range(50)}
    assert len({key.split("_", 2)[2] for key in made}) == len({id_of(key) for key in made}) == 50
    assert min(len(key.split("_", 2)[2]) for key in made) >= 43, "256 bits"


def test_the_secret_is_not_in_the_database(database):
    assert make(database).split("_", 2)[2] not in everything(database)


def test_the_list_shows_live_keys_without_secrets(database):
    first, second = make(database), make(database)
    keys.revoke(database, id_of(first), "Aigul", "rotation")
    ((key_id, caller, scopes, _),) = keys.listed(database)
    assert (key_id, caller, scopes) == (id_of(second), "core banking", "operations")


@pytest.mark.parametrize("key_id", ["", "unknown", "%"])
def test_a_key_that_is_not_live_cannot_be_revoked(database, key_id):
    key = make(database)
    with pytest.raises(SettingsError, match="no live key"):
        keys.revoke(database, key_id, "Aigul", "lost")
    assert Keys(database).caller(key) is not None
    assert len(audit(database)) == 1


def test_a_key_needs_somebody_who_makes_it_and_a_revocation_a_reason(database):
    with pytest.raises(SettingsError, match="person and a reason"):
        keys.make(database, "core banking", {Scope.READ}, " ")
    key = make(database)
    with pytest.raises(SettingsError, match="person and a reason"):
        keys.revoke(database, id_of(key), "Aigul", "")
    assert Keys(database).caller(key) is not None


def test_every_change_of_keys_leaves_one_line_in_the_audit_log(database):
    key = make(database, scopes={Scope.READ, Scope.EVENTS})
    keys.revoke(database, id_of(key), "Bakyt", "lost")
    assert audit(database) == [
        ("Aigul", "new key", f"keys: make {id_of(key)} for core banking: events, read"),
        ("Bakyt", "lost", f"keys: revoke {id_of(key)}"),
    ]
