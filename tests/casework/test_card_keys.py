"""The card key that a database's cards are hashed under is known by its fingerprint, and no other is used unnoticed."""

from collections.abc import Iterator

import pytest

from casework import card_keys
from casework import database as databases
from casework.database import Database
from domain.errors import SettingsError
from tests.databases import audit

OWN, OTHER = bytes(range(32)), bytes(32)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


def test_any_key_is_right_before_the_first_use(database):
    card_keys.check(database, OWN)
    card_keys.check(database, OTHER)
    assert card_keys.in_use(database) is None


def test_the_first_use_is_recorded_once_with_who_it_was_and_without_the_key(database):
    for _ in range(2):
        card_keys.use(database, OWN, "burana")
    (entry,) = audit(database)
    assert entry == ("burana", "first use", f"card_key: {card_keys.fingerprint(OWN)}")
    assert OWN.hex() not in str(entry)


def test_another_key_is_refused_and_both_are_named(database):
    card_keys.use(database, OWN, "burana")
    for refused in (lambda: card_keys.use(database, OTHER, "burana"), lambda: card_keys.check(database, OTHER)):
        with pytest.raises(SettingsError, match=f"{card_keys.fingerprint(OTHER)}.*{card_keys.fingerprint(OWN)}"):
            refused()
    card_keys.check(database, OWN)


def test_a_lost_key_is_exchanged_by_a_person_with_a_reason(database):
    card_keys.use(database, OWN, "burana")
    card_keys.exchange(database, OTHER, "Aigul", "the disk of the old home burned")
    card_keys.use(database, OTHER, "burana")
    with pytest.raises(SettingsError, match="restore that file"):
        card_keys.check(database, OWN)
    assert audit(database)[-1] == (
        "Aigul", "the disk of the old home burned", f"card_key: {card_keys.fingerprint(OWN)} -> {card_keys.fingerprint(OTHER)}",
    )  # fmt: skip


def test_an_exchange_for_the_same_key_is_refused(database):
    card_keys.use(database, OWN, "burana")
    with pytest.raises(SettingsError, match="in use already"):
        card_keys.exchange(database, OWN, "Aigul", "by mistake")
